"""Which changes of an image are plausible: how far each of them may go."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError
from robustdx.perturbations.box.changes import Fill, blurred, contrasted, hued, moved
from robustdx.tensors import Images

LARGEST = {"rotation": 180.0, "shift": 0.5, "scale": 0.9, "brightness": 1.0, "contrast": 1.0, "hue": 180.0, "blur": 0.25}
"""Beyond these a half-width means nothing, or leaves nothing of the image."""
SHARE = 1e-6
"""Of a half-width: what float32 may place a parameter beyond it."""


@final
@dataclass(frozen=True, kw_only=True)
class Box:
    """How far an image may be turned, moved, enlarged, brightened, tinted and blurred: half the width of each parameter, 0 to leave it out.

    Turning and moving as Engstrom et al. (2019, "Exploring the landscape of spatial robustness") allow them to an adversary; colour as
    Hosseini and Poovendran (2018, "Semantic adversarial examples"), who change it without bounds. The defaults are what happens between two
    pictures of one lesion or organ, taken with care: docs/worst-case.md says why.
    """

    names: ClassVar[tuple[str, ...]] = ("rotation", "shift_x", "shift_y", "scale", "brightness", "contrast", "hue", "blur")
    """The parameters, in the order in which they stand in a tensor (B, 8)."""

    rotation: float = 15.0
    """Degrees, either way: a dermatoscope has no stop, a patient leans."""
    shift: float = 0.1
    """To each side and up and down, as a share of width and height: who frames the picture."""
    scale: float = 0.1
    """As a share: 0.1 is from 0.9 to 1.1 times its size: how near the camera was."""
    brightness: float = 0.1
    """Added to pixels in [0, 1], either way: exposure."""
    contrast: float = 0.2
    """As a share: 0.2 is from 0.8 to 1.2 times the differences to the mean: another camera's curve."""
    hue: float = 10.0
    """Degrees, either way, at the same brightness: white balance. Grey images stay as they are."""
    blur: float = 0.005
    """Sigma up to this share of the shorter side: focus. 0.005 is 1.1 pixels of 224."""
    fill: Fill = "reflection"
    """What comes in from outside the frame: the image mirrored at its edge, or its "edge" going on."""

    def __post_init__(self) -> None:
        for name, largest in LARGEST.items():
            if not 0 <= (width := getattr(self, name)) <= largest:
                raise PlanError(
                    f"{name} is half the width of a box and must lie in [0, {largest:g}], got {width:g}: write 0 to leave it out"
                )
        if self.fill not in ("reflection", "edge"):
            raise PlanError(f'fill must be "reflection" or "edge", got {self.fill!r}')

    @property
    def widths(self) -> tuple[float, ...]:
        """Half of each parameter's width, in the order of `names`."""
        return self.rotation, self.shift, self.shift, self.scale, self.brightness, self.contrast, self.hue, self.blur

    @property
    def empty(self) -> bool:
        """Whether nothing may change."""
        return not any(self.widths)

    def apply(self, x: Images, parameters: Tensor) -> Images:
        """The images under parameters (B, 8) of the box, differentiable in them; at 0 the images themselves. In [0, 1], not yet rounded.

        Position first, in one resampling, then blur, contrast, hue and brightness. A parameter of half-width 0 costs nothing.

        Raises:
            PlanError: parameters of another shape, or outside the box.
            ImageError: images that are neither grey nor in colour, or smaller than the blur.
        """
        self._require(x, parameters)
        form = torch.contiguous_format if x.is_contiguous() else torch.channels_last  # kept as it came: networks are faster on it
        rotation, shift_x, shift_y, scale, brightness, contrast, hue, blur = parameters.unbind(1)
        if self.rotation or self.shift or self.scale:
            x = moved(x, rotation, shift_x, shift_y, scale, self.fill)
        if self.blur:
            side = min(x.shape[2:])
            x = blurred(x, blur * side, self.blur * side)
        x = contrasted(x, contrast) if self.contrast else x
        x = hued(x, hue) if self.hue else x
        return (x + brightness.view(-1, 1, 1, 1)).clamp(0, 1).contiguous(memory_format=form)

    def inside(self, shares: Tensor) -> Tensor:
        """Shares of the half-widths (..., 8) taken to the nearest that the box holds: [-1, 1], and [0, 1] for the blur."""
        low = shares.new_tensor([0.0 if name == "blur" else -1.0 for name in self.names])
        return shares.clamp(low, torch.ones_like(low))

    def scaled(self, shares: Tensor) -> Tensor:
        """Shares of the half-widths as parameters, in degrees, shares of a side and so on."""
        return shares * shares.new_tensor(self.widths)

    def random(self, draws: Draws, like: Tensor) -> Tensor:
        """Shares drawn evenly over the box, in the shape (B, count, 8) of `like`."""
        drawn = draws.uniform(-1, 1, like=like)
        return torch.cat((drawn[..., :-1], drawn[..., -1:].abs()), -1)

    def grid(self, rotations: int, shifts: int, scales: int) -> Tensor:
        """Shares (N, 8) of an even grid over rotation, shift (both ways) and scale: the image as it is first, then from far to near.

        A parameter of half-width 0 has one value. `shifts` counts for each of the two ways.
        """
        sides = [_even(n if width else 1) for n, width in zip((rotations, shifts, shifts, scales), self.widths, strict=False)]
        points = torch.tensor(list(product(*sides)))
        points = points[points.square().sum(1).argsort(descending=True, stable=True)].roll(1, 0)
        return torch.cat((points, points.new_zeros(len(points), 4)), 1)

    def named(self, parameters: Tensor) -> list[dict[str, float]]:
        """Parameters (B, 8) by name, of those that the box lets change."""
        open_ = [bool(width) for width in self.widths]
        return [{name: v for name, v, some in zip(self.names, row, open_, strict=True) if some} for row in parameters.tolist()]

    def only(self, *names: str) -> Box:
        """The same box for some of its half-widths, by the names of its fields; the others 0."""
        left_out: dict[str, Any] = {name: 0.0 for name in LARGEST if name not in names}
        return dataclasses.replace(self, **left_out)

    def _require(self, x: Images, parameters: Tensor) -> None:
        if x.shape[1] not in (1, 3):
            raise ImageError(f"a box of plausible changes knows images with 1 or 3 channels, got {x.shape[1]}: convert the images")
        if tuple(parameters.shape) != (len(x), len(self.names)):
            raise PlanError(
                f"expected parameters of shape ({len(x)}, {len(self.names)}): {', '.join(self.names)}; got {tuple(parameters.shape)}"
            )
        widths = parameters.new_tensor(self.widths)
        low = torch.cat((-widths[:-1], widths[-1:] * 0))
        beyond = ((parameters > widths * (1 + SHARE)) | (parameters < low * (1 + SHARE))).any(0)
        if bool(beyond.any()):
            name, width = (these[int(beyond.long().argmax())] for these in (self.names, self.widths))
            raise PlanError(
                f"{name} goes to {width:g} in this box, and parameters lie beyond it: take them from box.scaled(box.inside(...))"
            )


def _even(count: int) -> list[float]:
    """Points from -1 to 1, exactly 0 in the middle of an odd number of them."""
    return [2 * i / (count - 1) - 1 for i in range(count)] if count > 1 else [0.0]
