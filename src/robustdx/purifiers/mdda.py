"""Multiscale diffusive and denoising aggregation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur

from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError
from robustdx.models import Purifier
from robustdx.purifiers.rof import Gradient, denoised
from robustdx.purifiers.rof.purifier import require_rof
from robustdx.purifiers.white_noise import noise
from robustdx.tensors import Images

CHUNK = 4
"""Images that go together on the processor, so that those of the pyramid stay in its cache. The answer is the same for any number."""
SMALLEST = 2
"""Pixels that the smallest image of the pyramid needs on each side: denoising looks at neighbours."""


@final
@dataclass(frozen=True, kw_only=True)
class MDDA:
    """Noise and total-variation denoising, in turn, on several scales that inform one another (Wang et al. 2023, section 3).

        x_s = resize(x, s);   blocks times:  d_s = ROF(x_s + sigma * e),   x_s = own * d_s + (1 - own) * mean of resized neighbours' d
        answer = smooth(mean of the x_s resized to x), clipped to [0, 1]

    The paper's values were not available for most settings, and no code was published: each field says so, and its default is ours.
    Cost: the denoising of sum(s^2) * blocks images; no network is asked. Exactly differentiable: every part is, the noise being a
    constant. `samples` averages purified images; to average the network's answers over draws there is `Averaged(Defended(model, mdda))`.

    Raises:
        ImageError: an image too small for the smallest scale.
    """

    scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    """Sizes of the pyramid, 1 being the image's own. The paper's figure names 1/4, 1/2 and 2; whether 1 belongs to them is not known."""
    blocks: int = 3
    """How often noise, denoising and aggregation follow one another. The paper's N is not known."""
    sigma: float = 0.02
    """Standard deviation of the noise in pixel units; 0 for none. The paper says "small"; its value is not known."""
    growth: float = 1.0
    """By what factor sigma grows from block to block. Whether it does in the paper is not known."""
    schedule: Literal["additive", "variance-preserving"] = "additive"
    """"additive": x + sigma * e. "variance-preserving": contrast about 0.5 is first lowered by sqrt(1 - 4 sigma^2), as diffusion models
    do it, and restored after the denoising. Which of them the paper means is not known."""
    rof_weight: float = 0.05
    """Weight of the denoising, as scikit-image's denoise_tv_chambolle takes it, on every scale; 0 for none. The paper's is not known."""
    rof_iterations: int = 40
    """Iterations of the denoising. The paper's number, and its solver, are not known."""
    rof_coupled: bool = False
    """Whether colour channels are denoised together. Not known of the paper."""
    gradient: Gradient = "unrolled"
    """How the gradient goes through the denoising: "unrolled", exact, or "implicit", cheaper, exact where the iterations have converged."""
    denoiser: Purifier | None = None
    """Another purifier in ROF's place, for comparison; the rof settings are then not used."""
    own: float = 0.5
    """A scale's own share when neighbours are aggregated; they share the rest equally. 1 for no aggregation. Not known of the paper."""
    smoothing: float = 0.5
    """Standard deviation in pixels of the Gaussian that smooths the answer; 0 for none. How the paper smooths is not known."""
    samples: int = 1
    """Purified images, each from its own noise, that are averaged. The paper seems to take one."""

    @property
    def differentiable(self) -> bool:
        """Whether the gradient by autograd is the true one."""
        return self.denoiser is None or bool(getattr(self.denoiser, "differentiable", False))

    @property
    def random(self) -> bool:
        """Whether the draws matter."""
        return self.blocks > 0 and (self.sigma > 0 or bool(getattr(self.denoiser, "random", False)))

    def __post_init__(self) -> None:
        require_rof(self.rof_weight, self.rof_iterations)
        _require(bool(self.scales) and min(self.scales) > 0, f"scales must be at least one number above 0, got {list(self.scales)}")
        _require(len(set(self.scales)) == len(self.scales), f"scales must differ from one another, got {list(self.scales)}")
        _require(self.blocks >= 0, f"blocks must be at least 0, got {self.blocks}")
        _require(self.sigma >= 0, f"sigma must be at least 0 (0: no noise), got {self.sigma:g}")
        _require(self.growth > 0, f"growth must be above 0 (1: the same sigma in every block), got {self.growth:g}")
        _require(0 <= self.own <= 1, f"own must lie in [0, 1] (1: no aggregation), got {self.own:g}")
        _require(self.smoothing >= 0, f"smoothing must be at least 0 (0: none), got {self.smoothing:g}")
        _require(self.samples >= 1, f"samples must be at least 1, got {self.samples}")
        preserving, most = self.schedule == "variance-preserving", self._sigma(max(0, self.blocks - 1))
        _require(
            not preserving or max(most, self.sigma) < 0.5, f"a variance-preserving sigma must stay below 0.5 in every block, got {most:g}"
        )

    def __call__(self, x: Images, draws: Draws) -> Images:
        self._require_size(x)
        if torch.compiler.is_compiling():
            return self._averaged(x, draws)
        if not len(x):
            return x
        size = CHUNK if x.device.type == "cpu" else len(x)
        parts = [slice(i, i + size) for i in range(0, len(x), size)]
        return torch.cat([self._averaged(x[part].contiguous(), draws.take(range(len(x))[part])) for part in parts])

    def _averaged(self, x: Images, draws: Draws) -> Images:
        return _sum([self._purified(x, draws.fork("sample", i)) for i in range(self.samples)]) / self.samples

    def _purified(self, x: Images, draws: Draws) -> Images:
        pyramid = [resized(x, _sides(x, scale)) for scale in sorted(self.scales)]
        for n in range(self.blocks):
            streams = [draws.fork("block", n, "scale", scale) for scale in sorted(self.scales)]
            pyramid = self._aggregated([self._denoised(x_s, n, s) for x_s, s in zip(pyramid, streams, strict=True)])
        merged = _sum([resized(x_s, _sides(x)) for x_s in pyramid]) / len(pyramid)
        return (_smoothed(merged, self.smoothing) if self.smoothing else merged).clamp(0, 1)

    def _denoised(self, x: Images, n: int, draws: Draws) -> Images:
        """One scale in one block: noise, denoising."""
        sigma = self._sigma(n)
        keep = math.sqrt(1 - 4 * sigma**2) if self.schedule == "variance-preserving" else 1.0
        dim = x if keep == 1 else 0.5 + keep * (x - 0.5)
        noisy = dim.add(noise(draws, dim), alpha=sigma).clamp(0, 1) if sigma else dim
        clean = self._clean(noisy, draws)
        return clean if keep == 1 else 0.5 + (clean - 0.5) / keep

    def _clean(self, noisy: Images, draws: Draws) -> Images:
        if self.denoiser is not None:
            return self.denoiser(noisy, draws.fork("denoiser"))
        return denoised(noisy, self.rof_weight, self.rof_iterations, self.rof_coupled, self.gradient)

    def _aggregated(self, pyramid: Sequence[Images]) -> list[Images]:
        """Each scale mixed with the next smaller and the next larger."""
        if len(pyramid) == 1 or self.own == 1:
            return list(pyramid)
        mixed = []
        for i, x in enumerate(pyramid):
            near = [resized(pyramid[j], _sides(x)) for j in (i - 1, i + 1) if 0 <= j < len(pyramid)]
            mix = self.own * x
            for y in near:
                mix = mix.add(y, alpha=(1 - self.own) / len(near))
            mixed.append(mix)
        return mixed

    def _sigma(self, n: int) -> float:
        return self.sigma * self.growth**n

    def _require_size(self, x: Images) -> None:
        least = math.ceil((SMALLEST - 0.5) / min(self.scales))
        if min(_sides(x)) < least:
            raise ImageError(
                f"expected images of at least {least} x {least} pixels for the scale {min(self.scales):g}, "
                f"got {x.shape[-2]} x {x.shape[-1]}: leave out the smallest scales or take larger images"
            )
        radius = _radius(self.smoothing)
        if radius >= min(_sides(x)):
            raise ImageError(
                f"expected images of more than {radius} pixels a side for smoothing {self.smoothing:g}, "
                f"got {x.shape[-2]} x {x.shape[-1]}: lower smoothing or take larger images"
            )


def resized(x: Images, sides: tuple[int, int]) -> Images:
    """Bilinear, smoothed first where it shrinks; the image itself where the size is the same."""
    return x if _sides(x) == sides else interpolate(x, size=sides, mode="bilinear", antialias=True)


def _sides(x: Images, scale: float = 1.0) -> tuple[int, int]:
    height, width = (math.floor(side * scale + 0.5) for side in x.shape[-2:])
    return height, width


def _radius(sigma: float) -> int:
    return math.ceil(2 * sigma)


def _smoothed(x: Images, sigma: float) -> Images:
    return gaussian_blur(x, [2 * _radius(sigma) + 1] * 2, [sigma] * 2)


def _sum(images: Sequence[Images]) -> Images:
    total = images[0]
    for x in images[1:]:
        total = total + x
    return total


def _require(fine: bool, message: str) -> None:
    if not fine:
        raise PlanError(message)
