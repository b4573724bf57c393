"""What training can lower: an objective for each file, found by the names that plans use."""

from robustdx.catalogue import Catalogue
from robustdx.training.objectives.advt import AdvT
from robustdx.training.objectives.awp import AWP
from robustdx.training.objectives.focal import Focal
from robustdx.training.objectives.free import Free
from robustdx.training.objectives.grad_align import GradAlign
from robustdx.training.objectives.maadvt import MAAdvT
from robustdx.training.objectives.madry import PRESETS as ADVERSARIAL
from robustdx.training.objectives.madry import Madry
from robustdx.training.objectives.mart import Mart
from robustdx.training.objectives.mixed import Mixed
from robustdx.training.objectives.mpadvt import MPAdvT
from robustdx.training.objectives.n_fgsm import NFGSM
from robustdx.training.objectives.noisy import Noisy
from robustdx.training.objectives.protocol import Objective, Passes, require_meaning
from robustdx.training.objectives.standard import Standard
from robustdx.training.objectives.trades import Trades
from robustdx.training.objectives.universal import Universal

OBJECTIVES = Catalogue(
    "objective",
    {"standard": Standard, "noisy": Noisy, "focal": Focal, "madry": Madry, "at-mixed": Mixed}
    | {"advt": AdvT, "mpadvt": MPAdvT, "maadvt": MAAdvT}
    | {"trades": Trades, "mart": Mart, "awp": AWP}
    | {"n-fgsm": NFGSM, "grad-align": GradAlign, "free": Free, "universal": Universal},
    role=Objective,
    presets={
        **ADVERSARIAL,
        "mpadvt-released": {"name": "mpadvt", "version": "released"},
        "maadvt-released": {"name": "maadvt", "version": "released"},
    },
)

__all__ = [
    "AWP",
    "NFGSM",
    "OBJECTIVES",
    "AdvT",
    "Focal",
    "Free",
    "GradAlign",
    "MAAdvT",
    "MPAdvT",
    "Madry",
    "Mart",
    "Mixed",
    "Noisy",
    "Objective",
    "Passes",
    "Standard",
    "Trades",
    "Universal",
    "require_meaning",
]
