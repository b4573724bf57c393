"""Settings that no sequence can be made with, refused in words."""

from __future__ import annotations

from math import isfinite

from robustdx.errors import PlanError


def require_above_zero(**settings: float) -> None:
    """Refuse settings of 0 or below, or that are not numbers."""
    for name, value in settings.items():
        if not 0 < value < float("inf"):
            raise PlanError(f"{name} must be above 0, got {value:g}")


def require_not_below_zero(**settings: float) -> None:
    """Refuse settings below 0, or that are not numbers."""
    for name, value in settings.items():
        if not 0 <= value < float("inf"):
            raise PlanError(f"{name} must be 0 or above, got {value:g}")


def require_finite(**settings: float | None) -> None:
    """Refuse settings that are not numbers; one that is None is left to the sequence."""
    for name, value in settings.items():
        if value is not None and not isfinite(value):
            raise PlanError(f"{name} must be a number, got {value:g}")
