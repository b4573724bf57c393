"""Settings and images that a purifier cannot work with, refused in words."""

from __future__ import annotations

from robustdx.errors import ImageError, PlanError
from robustdx.tensors import Images


def require_above_zero(**settings: float | None) -> None:
    """Refuse settings of 0 or below, or that are not numbers; one that is None is left to the purifier."""
    for name, value in settings.items():
        if value is not None and not 0 < value < float("inf"):
            raise PlanError(f"{name} must be above 0, got {value:g}")


def require_at_least(least: int, **settings: int) -> None:
    """Refuse whole numbers that are too small to do anything."""
    for name, value in settings.items():
        if value < least:
            raise PlanError(f"{name} must be at least {least}, got {value}")


def require_window(**settings: int) -> None:
    """Refuse windows without a middle pixel: they would shift the image."""
    for name, value in settings.items():
        if value < 3 or value % 2 == 0:
            raise PlanError(f"{name} must be an odd number of pixels, 3 or more, got {value}: a window needs a pixel in its middle")


def require_quality(quality: int) -> None:
    """Refuse a JPEG quality that encoders do not know."""
    if not 1 <= quality <= 100:
        raise PlanError(f"quality must lie between 1 and 100, got {quality}")


def require_colour(x: Images, name: str) -> None:
    """Refuse images that are neither grey nor in colour."""
    if x.shape[1] not in (1, 3):
        raise ImageError(f"{name} knows images with 1 or 3 channels, got {x.shape[1]}: take another purifier")


def require_sides(x: Images, least: int, name: str) -> None:
    """Refuse images too small for a purifier to see any structure in."""
    if min(x.shape[2:]) < least:
        raise ImageError(f"{name} needs images of at least {least}x{least} pixels, got {x.shape[2]}x{x.shape[3]}: take another purifier")
