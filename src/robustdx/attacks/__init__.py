"""How an adversary looks for the worst image that a threat allows."""

from robustdx.attacks.apgd import APGD
from robustdx.attacks.apgd_targeted import APGDTargeted
from robustdx.attacks.autoattack import AUTOATTACK
from robustdx.attacks.bim import BIM
from robustdx.attacks.boundary import Boundary
from robustdx.attacks.cascade import Cascade
from robustdx.attacks.cw import CW
from robustdx.attacks.ddn import DDN
from robustdx.attacks.deepfool import DeepFool
from robustdx.attacks.fab import FAB
from robustdx.attacks.fgsm import FGSM
from robustdx.attacks.fmn import FMN
from robustdx.attacks.gap import GAP
from robustdx.attacks.hopskipjump import HopSkipJump
from robustdx.attacks.momentum import PRESETS as MOMENTUM
from robustdx.attacks.momentum import Momentum
from robustdx.attacks.nes import NES
from robustdx.attacks.pgd import PGD
from robustdx.attacks.protocol import Attack, Iterative, Model, follows_gradient, is_minimal
from robustdx.attacks.random_search import RandomSearch
from robustdx.attacks.simba import SimBA
from robustdx.attacks.smia import PRESETS as SMIA_RELEASED
from robustdx.attacks.smia import SMIA
from robustdx.attacks.square import Square
from robustdx.attacks.uap import UAP
from robustdx.catalogue import Catalogue

ATTACKS = Catalogue(
    "attack",
    {"fgsm": FGSM, "bim": BIM, "pgd": PGD, "deepfool": DeepFool, "cw": CW, "ddn": DDN, "fmn": FMN, "fab": FAB, "square": Square}
    | {"gap": GAP, "uap": UAP, "apgd": APGD, "apgd-targeted": APGDTargeted, "cascade": Cascade}
    | {"simba": SimBA, "nes": NES, "hopskipjump": HopSkipJump, "boundary": Boundary, "random": RandomSearch}
    | {"momentum": Momentum, "smia": SMIA},
    role=Attack,
    presets={
        **AUTOATTACK,
        **MOMENTUM,
        **SMIA_RELEASED,
        "gap-released": {"name": "gap", "straight_through": True, "aim": "least_likely", "epochs": 13},
    },
)

__all__ = [
    "APGD",
    "ATTACKS",
    "BIM",
    "CW",
    "DDN",
    "FAB",
    "FGSM",
    "FMN",
    "GAP",
    "NES",
    "PGD",
    "SMIA",
    "UAP",
    "APGDTargeted",
    "Attack",
    "Boundary",
    "Cascade",
    "DeepFool",
    "HopSkipJump",
    "Iterative",
    "Model",
    "Momentum",
    "RandomSearch",
    "SimBA",
    "Square",
    "follows_gradient",
    "is_minimal",
]
