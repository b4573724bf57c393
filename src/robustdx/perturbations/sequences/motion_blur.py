"""A hand that is not still while the shutter is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from robustdx.draws import Draws
from robustdx.perturbations.scale import REFERENCE
from robustdx.perturbations.sequences.frames import STILL, places, relative, require
from robustdx.perturbations.sequences.refusals import require_above_zero, require_finite
from robustdx.perturbations.sequences.smear import Taps, framed, reach_of, smeared, trail
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class MotionBlur:
    """The hand moves while the shutter is open (Hendrycks and Dietterich 2019, ImageNet-P; the blur is ImageMagick's).

    Each pixel is a mean over a line that begins at it, near ones weighing more. By default the hand comes from one side, is
    still, and goes to the other; in the released code it is never still and its direction turns.
    """

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    radius: float = 10.0
    """Half the length of the line at strength 1, in pixels of an image of `side`."""
    sigma: float = 3.0
    """How fast weights fall along it at strength 1, in the same pixels."""
    angle: float = 45.0
    """Direction of the line in the first frame, in degrees from the right downwards."""
    angle_step: float = 0.0
    """Degrees by which it turns from frame to frame."""
    strength: float | None = None
    """How far the hand moves in the first frame; below 0, the other way. Left out, the clean image is in the middle."""
    strength_step: float = 0.2
    """How much farther from frame to frame."""
    side: int = REFERENCE
    """Shorter side of the images that pixels belong to; images of another size are blurred over the same share of theirs."""

    def __post_init__(self) -> None:
        require_above_zero(radius=self.radius, sigma=self.sigma, side=self.side)
        require_finite(angle=self.angle, angle_step=self.angle_step, strength=self.strength, strength_step=self.strength_step)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        lines = self.lines(count, relative(x, self.side))
        reach = max(map(reach_of, lines))
        wide = framed(x, reach)
        return (smeared(wide, reach, line, *x.shape[2:]).clamp_(0, 1) for line in lines)

    def lines(self, count: int, unit: float = 1.0) -> list[Taps]:
        """The line of each frame, where a pixel of the settings is so many of the image."""
        strengths, angles = places(self.strength, self.strength_step, count), places(self.angle, self.angle_step, count)
        return [self._line(strength, angle, unit) for strength, angle in zip(strengths, angles, strict=True)]

    def _line(self, strength: float, angle: float, unit: float) -> Taps:
        if abs(strength) < STILL:
            return [(0, 0, 1.0)]
        far = abs(strength) * unit
        return trail(self.radius * far, self.sigma * far, angle if strength > 0 else angle + 180)
