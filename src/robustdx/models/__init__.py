"""The subjects of an audit: networks, what their pixels and outputs mean, and where they come from."""

from robustdx.models.attnmel import AttnMel
from robustdx.models.averaged import Averaged
from robustdx.models.cnn import CNN
from robustdx.models.crafting import Subject, searching, still
from robustdx.models.defended import Defended, Purifier
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.ensemble import Ensemble
from robustdx.models.folder import save
from robustdx.models.load import load, new
from robustdx.models.smoothed import Smoothed
from robustdx.models.spec import ModelSpec
from robustdx.models.watched import Detector, Watched

__all__ = [
    "CNN",
    "AttnMel",
    "Averaged",
    "Defended",
    "Detector",
    "DiagnosticModel",
    "Ensemble",
    "ModelSpec",
    "Purifier",
    "Smoothed",
    "Subject",
    "Watched",
    "load",
    "new",
    "save",
    "searching",
    "still",
]
