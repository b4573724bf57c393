"""What happens to an image without an adversary, and how a method says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Protocol, get_args, runtime_checkable

from robustdx.catalogue import unknown
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.tensors import Images

Modality = Literal["dermoscopy", "x-ray", "fundus", "ct", "mr"]
"""How an image was made; a perturbation that lists none may happen to any."""
SEVERITIES = (1, 2, 3, 4, 5)
"""From hardly seen to hardly readable."""


@runtime_checkable
class Perturbation(Protocol):
    """A natural change of images at five severities."""

    modalities: ClassVar[tuple[Modality, ...]]
    """Where it is believable; empty: anywhere."""
    random: ClassVar[bool]
    """Whether it draws anything."""

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        """Images (B, C, H, W) in [0, 1] at a severity of 1 to 5, in the same shape and range."""
        ...


@runtime_checkable
class FrameSequence(Protocol):
    """An image that changes a little from frame to frame, as in a clip: what flip probability is measured on."""

    compared: ClassVar[Literal["previous", "first"]]
    """With which frame each one is compared: the one before, or for noise, whose frames have no order, the first (clean) one."""
    random: ClassVar[bool]
    """Whether it draws anything."""

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        """`count` times the images (B, C, H, W) in [0, 1], one frame at a time: memory does not grow with `count`."""
        ...


def require_severity(severity: int) -> None:
    """Refuse what is no severity.

    Raises:
        PlanError: not a whole number from 1 to 5.
    """
    if severity not in SEVERITIES or isinstance(severity, bool):
        raise PlanError(f"severity goes from 1 (hardly seen) to 5 (hardly readable), got {severity!r}")


def require_count(count: int) -> None:
    """Refuse a sequence in which nothing can flip.

    Raises:
        PlanError: less than two frames.
    """
    if count < 2:
        raise PlanError(f"a sequence needs at least 2 frames, got {count}: with one there is nothing to compare")


def require_modality(modality: str | None) -> Modality | None:
    """The modality of that name; None where none is named.

    Raises:
        PlanError: no such modality (the nearest is named).
    """
    for known in get_args(Modality):
        if modality == known:
            return known
    if modality is not None:
        raise PlanError(unknown("modality", modality, dict.fromkeys(get_args(Modality))))
    return None
