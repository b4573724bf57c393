"""A perturbation and a sequence that are plain enough to be computed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from robustdx.draws import Draws
from robustdx.errors import ImageError
from robustdx.perturbations.protocol import Modality, require_count, require_severity
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Dusk:
    """Everything is a little darker, by an amount that is drawn for each image."""

    modalities: ClassVar[tuple[Modality, ...]] = ()
    random: ClassVar[bool] = True

    strength: float = 0.05
    """How much darker at most, for each step of severity."""

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_severity(severity)
        return (x - severity * self.strength * draws.uniform(0.5, 1, like=x[:, :1, :1, :1])).clamp(0, 1)


@final
@dataclass(frozen=True, kw_only=True)
class Wisp:
    """A bright line across the image: it happens to skin only, and needs 8 rows."""

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy",)
    random: ClassVar[bool] = False

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        if x.shape[2] < 8:
            raise ImageError(f"wisp needs images of at least 8x8, got {x.shape[2]}x{x.shape[3]}")
        lined = x.clone()
        lined[:, :, 2 : 2 + severity] = 1
        return lined


@final
@dataclass(frozen=True, kw_only=True)
class Dimming:
    """Each frame is darker than the one before."""

    compared: ClassVar[str] = "previous"
    random: ClassVar[bool] = False

    step: float = 0.04
    """By how much."""

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require_count(count)
        for i in range(count):
            yield (x - self.step * i).clamp(0, 1)


@final
@dataclass(frozen=True, kw_only=True)
class Flicker:
    """The clean image, then brightness that jumps, drawn for each image and frame."""

    compared: ClassVar[str] = "first"
    random: ClassVar[bool] = True

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require_count(count)
        for i in range(count):
            moved = x + 0.2 * draws.fork("frame", i).uniform(-1, 1, like=x[:, :1, :1, :1])
            yield moved.clamp(0, 1) if i else x
