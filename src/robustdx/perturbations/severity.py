"""Tables with one value for each severity, and images that a perturbation cannot work on, refused in words."""

from __future__ import annotations

import math

from robustdx.errors import ImageError, PlanError
from robustdx.perturbations.protocol import SEVERITIES, require_severity
from robustdx.tensors import Images

Table = tuple[float, ...]
"""A value for each severity, 1 to 5."""
Counts = tuple[int, ...]
"""A whole number for each severity, 1 to 5."""


def at(severity: int, table: tuple) -> float:
    """The value of a table at a severity.

    Raises:
        PlanError: the severity is not a whole number from 1 to 5.
    """
    require_severity(severity)
    return table[severity - 1]


def require_tables(least: float = -math.inf, most: float = math.inf, **tables: tuple) -> None:
    """Refuse tables that do not have a value for each severity, or one that lies outside [least, most].

    Raises:
        PlanError: names the table and what came.
    """
    for name, table in tables.items():
        if len(table) != len(SEVERITIES):
            raise PlanError(f"{name} needs {len(SEVERITIES)} values, one for each severity, got {len(table)}")
        for value in table:
            if not (math.isfinite(value) and least <= value <= most):
                raise PlanError(f"{name} must lie {_within(least, most)}, got {value:g}")


def require_channels(x: Images, name: str) -> None:
    """Refuse images that are neither grey nor in colour."""
    if x.shape[1] not in (1, 3):
        raise ImageError(f"{name} knows images with 1 or 3 channels, got {x.shape[1]}: take another perturbation")


def require_colour(x: Images, name: str) -> None:
    """Refuse grey images where only colour changes."""
    require_channels(x, name)
    if x.shape[1] == 1:
        raise ImageError(f"{name} changes colour, and these images have 1 channel: leave it out, or read the images as RGB")


def require_sides(x: Images, least: int, name: str) -> None:
    """Refuse images that are smaller than what is laid over them."""
    if min(x.shape[2:]) < least:
        raise ImageError(f"{name} needs images of at least {least}x{least} pixels, got {x.shape[2]}x{x.shape[3]}: take larger ones")


def _within(least: float, most: float) -> str:
    """The range in words: "between 0 and 1", "at 0 or above"."""
    if math.isfinite(least) and math.isfinite(most):
        return f"between {least:g} and {most:g}"
    return f"at {least:g} or above" if math.isfinite(least) else "among the finite numbers"
