"""What gets into radiographs."""

from robustdx.perturbations.artefacts.xray.collimation import Collimation
from robustdx.perturbations.artefacts.xray.exposure import Exposure
from robustdx.perturbations.artefacts.xray.grid_lines import GridLines
from robustdx.perturbations.artefacts.xray.letters import Letters
from robustdx.perturbations.artefacts.xray.rotation import Rotation
from robustdx.perturbations.artefacts.xray.tubes import Tubes

XRAY: dict[str, type] = {
    "exposure": Exposure,
    "grid_lines": GridLines,
    "tubes": Tubes,
    "collimation": Collimation,
    "rotation": Rotation,
    "letters": Letters,
}

__all__ = ["XRAY", "Collimation", "Exposure", "GridLines", "Letters", "Rotation", "Tubes"]
