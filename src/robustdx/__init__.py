"""Audit and harden diagnostic models for medical images.

The public names, one flat namespace. They are loaded when they are first used, so that what needs no network (a report, a
command's help) starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustdx.api import audit
    from robustdx.attacks import ATTACKS, BIM, FGSM, PGD
    from robustdx.data import Dataset, Example, load_dataset
    from robustdx.draws import Draws
    from robustdx.errors import RobustdxError
    from robustdx.models import Defended, DiagnosticModel, ModelSpec, load
    from robustdx.perturbations import PERTURBATIONS, SEQUENCES
    from robustdx.tasks import Binary, MultiClass, MultiLabel, Targeted
    from robustdx.threats import L2, Linf

_ROOMS = {
    "robustdx.api": ("audit",),
    "robustdx.attacks": ("ATTACKS", "BIM", "FGSM", "PGD"),
    "robustdx.data": ("Dataset", "Example", "load_dataset"),
    "robustdx.draws": ("Draws",),
    "robustdx.errors": ("RobustdxError",),
    "robustdx.models": ("Defended", "DiagnosticModel", "ModelSpec", "load"),
    "robustdx.perturbations": ("PERTURBATIONS", "SEQUENCES"),
    "robustdx.tasks": ("Binary", "MultiClass", "MultiLabel", "Targeted"),
    "robustdx.threats": ("L2", "Linf"),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "ATTACKS",
    "BIM",
    "FGSM",
    "L2",
    "PERTURBATIONS",
    "PGD",
    "SEQUENCES",
    "Binary",
    "Dataset",
    "Defended",
    "DiagnosticModel",
    "Draws",
    "Example",
    "Linf",
    "ModelSpec",
    "MultiClass",
    "MultiLabel",
    "RobustdxError",
    "Targeted",
    "audit",
    "load",
    "load_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"robustdx has no public name {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
