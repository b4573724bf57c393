"""What gets into pictures of skin taken through a dermatoscope."""

from robustdx.perturbations.artefacts.dermoscopy.dark_corner import DarkCorner
from robustdx.perturbations.artefacts.dermoscopy.gel_bubble import GelBubble
from robustdx.perturbations.artefacts.dermoscopy.glare import Glare
from robustdx.perturbations.artefacts.dermoscopy.hair import Hair
from robustdx.perturbations.artefacts.dermoscopy.ink import Ink
from robustdx.perturbations.artefacts.dermoscopy.ruler import Ruler
from robustdx.perturbations.artefacts.dermoscopy.white_balance import WhiteBalance

DERMOSCOPY: dict[str, type] = {
    "hair": Hair,
    "ruler": Ruler,
    "ink": Ink,
    "gel_bubble": GelBubble,
    "dark_corner": DarkCorner,
    "glare": Glare,
    "white_balance": WhiteBalance,
}

__all__ = ["DERMOSCOPY", "DarkCorner", "GelBubble", "Glare", "Hair", "Ink", "Ruler", "WhiteBalance"]
