"""What gets into photographs of the retina."""

from robustdx.perturbations.artefacts.fundus.defocus import Defocus
from robustdx.perturbations.artefacts.fundus.dust import Dust
from robustdx.perturbations.artefacts.fundus.haze import Haze
from robustdx.perturbations.artefacts.fundus.illumination import Illumination

FUNDUS: dict[str, type] = {"illumination": Illumination, "dust": Dust, "defocus": Defocus, "haze": Haze}

__all__ = ["FUNDUS", "Defocus", "Dust", "Haze", "Illumination"]
