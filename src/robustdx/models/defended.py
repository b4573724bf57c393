"""A model behind a purifier: itself a model, so that everything applies to it unchanged."""

from __future__ import annotations

from typing import Protocol

import torch

from robustdx.draws import Draws
from robustdx.errors import ImageError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.wrapper import Wrapper
from robustdx.tasks import Task
from robustdx.tensors import PIXEL_SLACK, Images, Outputs, require_pixels


class Purifier(Protocol):
    """Images in, images out, both (B, C, H, W) in [0, 1]; what is random comes from the draws of each image."""

    def __call__(self, x: Images, draws: Draws) -> Images: ...


class Defended(Wrapper):
    """A model that sees only what a purifier lets through: `model(purify(x))`."""

    def __init__(self, model: DiagnosticModel, purifier: Purifier) -> None:
        super().__init__(model)
        self.purifier = purifier

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        """Logits of the purified images; without draws, each position in the batch draws from its own fixed stream.

        Raises:
            ImageError: pixels outside [0, 1], or a purifier that gives back something else than images of the size that came.
        """
        given = draws or Draws(0, tuple(str(i) for i in range(len(x))))
        if torch.compiler.is_compiling():
            return self.model(self.purifier(x, given.fork("purify")), draws)
        require_pixels(x)
        pure = self.purifier(x, given.fork("purify"))
        require_pure(pure, x, self.purifier)
        return self.model(pure, draws)

    def with_task(self, task: Task) -> Defended:
        return Defended(self.model.with_task(task), self.purifier)

    def in_precision(self, dtype: torch.dtype) -> Defended:
        """A copy whose network computes in `dtype`; the purifier stays in float32."""
        return Defended(self.model.in_precision(dtype), self.purifier)


def require_pure(pure: object, x: Images, purifier: Purifier) -> None:
    """Refuse what a purifier gives back in place of purified images.

    Raises:
        ImageError: names the purifier and says what was expected, what came and what to do.
    """
    name = getattr(purifier, "__name__", type(purifier).__name__)
    if not isinstance(pure, torch.Tensor):
        raise ImageError(f"the purifier {name}: expected a tensor of images, got {type(pure).__name__}: return the purified images")
    if pure.shape != x.shape:
        one = int(pure.dim() == x.dim() and len(pure) == len(x))  # the batch is no news where it is right
        expected, got = tuple(x.shape[one:]), tuple(pure.shape[one:])
        raise ImageError(f"the purifier {name}: expected {expected}, got {got}: give the images back in the shape in which they came")
    low, high = (float(v) for v in pure.detach().aminmax()) if pure.numel() else (0.0, 1.0)
    if low != low or high != high:
        raise ImageError(f"the purifier {name}: expected pixels in [0, 1], got NaN: look for a division by 0 or a root of 0 in it")
    if low < -PIXEL_SLACK or high > 1 + PIXEL_SLACK:
        raise ImageError(f"the purifier {name}: expected pixels in [0, 1], got [{low:.4g}, {high:.4g}]: clamp what it gives back")
