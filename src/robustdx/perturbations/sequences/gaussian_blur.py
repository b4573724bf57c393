"""A lens that goes through its focus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from robustdx.draws import Draws
from robustdx.perturbations.scale import REFERENCE
from robustdx.perturbations.sequences.frames import STILL, along, places, relative, require
from robustdx.perturbations.sequences.refusals import require_above_zero, require_finite
from robustdx.perturbations.sequences.smear import bell, blurred, framed
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class GaussianBlur:
    """The lens goes out of focus (Hendrycks and Dietterich 2019, ImageNet-P): a Gaussian, wider from frame to frame.

    A sigma below 0 is a focus before the image, and blurs as much as one behind it: by default the sharp image is in the middle.
    """

    compared: ClassVar[Literal["previous", "first"]] = "previous"
    random: ClassVar[bool] = False

    first: float | None = None
    """Sigma of the first frame, in pixels of an image of `side`; left out, the clean image is in the middle."""
    step: float = 0.3
    """How much more from frame to frame."""
    truncate: float = 6.0
    """After how many sigma the Gaussian is cut off."""
    side: int = REFERENCE
    """Shorter side of the images that pixels belong to; images of another size are blurred over the same share of theirs."""

    def __post_init__(self) -> None:
        require_finite(first=self.first, step=self.step)
        require_above_zero(truncate=self.truncate, side=self.side)

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        require(x, count)
        unit = relative(x, self.side)
        sigmas = [abs(sigma) * unit for sigma in places(self.first, self.step, count)]
        reach = max(len(bell(sigma, self.truncate)) // 2 for sigma in sigmas if sigma > STILL) if max(sigmas) > STILL else 0
        wide = framed(x, reach)
        return along(x, sigmas, lambda sigma: blurred(wide, reach, bell(sigma, self.truncate)))
