"""What happens to a model's answers and features under attack, beyond whether the answers are wrong."""

from robustdx.analyses.cka import CKA
from robustdx.analyses.feature_maps import FeatureMaps
from robustdx.analyses.label_correlation import LabelCorrelation
from robustdx.analyses.protocol import Analysis, Finding, Number, Seen, Views
from robustdx.analyses.response_areas import ResponseAreas
from robustdx.analyses.separability import Separability
from robustdx.analyses.trajectory import Spread, Trajectory, spread, trajectory
from robustdx.catalogue import Catalogue

ANALYSES = Catalogue(
    "analysis",
    {
        "separability": Separability,
        "cka": CKA,
        "feature-maps": FeatureMaps,
        "response-areas": ResponseAreas,
        "label-correlation": LabelCorrelation,
    },
    role=Analysis,
)
"""What can be looked at inside a network, by the name that plans use. Adding one is a file and a line here; the contracts apply."""

__all__ = [
    "ANALYSES",
    "CKA",
    "Analysis",
    "FeatureMaps",
    "Finding",
    "LabelCorrelation",
    "Number",
    "ResponseAreas",
    "Seen",
    "Separability",
    "Spread",
    "Trajectory",
    "Views",
    "spread",
    "trajectory",
]
