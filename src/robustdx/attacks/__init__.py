"""How an adversary looks for the worst image that a threat allows."""

from robustdx.attacks.bim import BIM
from robustdx.attacks.boundary import Boundary
from robustdx.attacks.cw import CW
from robustdx.attacks.ddn import DDN
from robustdx.attacks.deepfool import DeepFool
from robustdx.attacks.fab import FAB
from robustdx.attacks.fgsm import FGSM
from robustdx.attacks.fmn import FMN
from robustdx.attacks.hopskipjump import HopSkipJump
from robustdx.attacks.nes import NES
from robustdx.attacks.pgd import PGD
from robustdx.attacks.protocol import Attack, Model
from robustdx.attacks.simba import SimBA
from robustdx.attacks.square import Square
from robustdx.catalogue import Catalogue

ATTACKS = Catalogue(
    "attack",
    {"fgsm": FGSM, "bim": BIM, "pgd": PGD, "deepfool": DeepFool, "cw": CW, "ddn": DDN, "fmn": FMN, "fab": FAB, "square": Square}
    | {"simba": SimBA, "nes": NES, "hopskipjump": HopSkipJump, "boundary": Boundary},
    role=Attack,
)

__all__ = [
    "ATTACKS",
    "BIM",
    "CW",
    "DDN",
    "FAB",
    "FGSM",
    "FMN",
    "NES",
    "PGD",
    "Attack",
    "Boundary",
    "DeepFool",
    "HopSkipJump",
    "Model",
    "SimBA",
    "Square",
]
