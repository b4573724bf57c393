"""Total-variation denoising as a purifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.purifiers.rof.backward import checkpointed, implicit
from robustdx.purifiers.rof.dual import unrolled
from robustdx.purifiers.rof.fused import fits, fused
from robustdx.tensors import Images

Gradient = Literal["unrolled", "implicit"]


@final
@dataclass(frozen=True, kw_only=True)
class ROF:
    """Total-variation denoising (Rudin, Osher, Fatemi 1992) by dual projection (Chambolle 2004, section 3).

        argmin_u  weight * TV(u) + 1/2 ||u - x||^2,  clipped to [0, 1]

    The same image as scikit-image's `denoise_tv_chambolle` that never stops early. On the processor a fused kernel computes it and both
    gradients; elsewhere, and in exported programs, plain torch. Memory for the gradient: about 2 * sqrt(iterations) states, of one
    channel on the processor and of the batch elsewhere; implicit: one state of the batch.
    """

    differentiable: ClassVar[bool] = True
    random: ClassVar[bool] = False

    weight: float = 0.1
    """How much is smoothed away, scikit-image's weight; 0 gives the image back."""
    iterations: int = 50
    """Iterations, counted as scikit-image counts them: the first only looks at the image, each other one is a dual step."""
    coupled: bool = False
    """One gradient length for all channels of a pixel, so that edges stay in the same place; if not, each channel by itself."""
    gradient: Gradient = "unrolled"
    """"unrolled": the exact gradient of these very iterations; "implicit": that of the point where they end, cheaper, and equal where
    they have converged."""

    def __post_init__(self) -> None:
        require_rof(self.weight, self.iterations)

    def __call__(self, x: Images, draws: Draws) -> Images:
        return denoised(x, self.weight, self.iterations, self.coupled, self.gradient).clamp(0, 1)


def denoised(x: Images, weight: float, iterations: int, coupled: bool = False, gradient: Gradient = "unrolled") -> Images:
    """ROF denoising without the clipping: (B, C, H, W) of any range."""
    steps = iterations - 1
    if weight == 0 or steps == 0:
        return x
    if fits(x):
        return fused(x, weight, steps, coupled, gradient == "implicit")
    if not (x.requires_grad and torch.is_grad_enabled()) or torch.compiler.is_compiling():
        return unrolled(x, weight, steps, coupled)
    return (implicit if gradient == "implicit" else checkpointed)(x, weight, steps, coupled)


def require_rof(weight: float, iterations: int) -> None:
    """Refuse settings of the denoising that mean nothing."""
    if not weight >= 0:
        raise PlanError(f"the weight of ROF denoising must be at least 0 (0: no denoising), got {weight:g}")
    if iterations < 1:
        raise PlanError(f"iterations must be at least 1, got {iterations}: for no denoising set the weight to 0")
