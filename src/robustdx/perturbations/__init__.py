"""What happens to images without an adversary: corruptions, artefacts of a modality, sequences of frames."""

from robustdx.catalogue import Catalogue
from robustdx.perturbations.artefacts import ARTEFACTS
from robustdx.perturbations.corruptions import CORRUPTIONS, STANDARD
from robustdx.perturbations.protocol import SEVERITIES, FrameSequence, Modality, Perturbation
from robustdx.perturbations.sequences import SEQUENCES

PERTURBATIONS = Catalogue("perturbation", {**CORRUPTIONS, **ARTEFACTS}, role=Perturbation, presets=STANDARD)
"""What changes one image, by the name that plans use. Adding one is a file and a line in its room; tests/contracts apply themselves."""

__all__ = ["PERTURBATIONS", "SEQUENCES", "SEVERITIES", "FrameSequence", "Modality", "Perturbation"]
