"""What tells adversarial images from clean ones, by a score for each: the higher, the more suspicious."""

from robustdx.catalogue import Catalogue
from robustdx.detectors.feature_squeezing import FeatureSqueezing
from robustdx.detectors.lid import LID
from robustdx.detectors.mahalanobis import Mahalanobis
from robustdx.detectors.reconstruction import ReconstructionError
from robustdx.models import Detector

DETECTORS = Catalogue(
    "detector",
    {"feature-squeezing": FeatureSqueezing, "mahalanobis": Mahalanobis, "lid": LID, "reconstruction-error": ReconstructionError},
    role=Detector,
)
"""The detectors by the name that plans use. Adding one is a file and a line here; tests/contracts apply themselves."""

__all__ = ["DETECTORS", "LID", "Detector", "FeatureSqueezing", "Mahalanobis", "ReconstructionError"]
