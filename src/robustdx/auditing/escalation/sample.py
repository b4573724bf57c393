"""The few images on which an evaluation tries the model before it believes its attacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, Labels, Outputs, PerImage, linf_norm, per_image, total
from robustdx.threats import Threat

MOST = 16
"""Images in a sample."""
MEANS = 8
"""Draws behind a mean, where answers are drawn."""
STEP_SHARES = (1 / 32, 1 / 8, 1 / 2)
"""How far a gradient is followed, as shares of eps, to see whether it tells the truth."""
LATER = 1
"""Which of these is far enough to be of use to an attack."""
RATIO = (0.5, 2.0)
"""Within which factors what was found must agree with what the gradient foresaw to be called true."""
OF_USE = 0.1
"""What a gradient must deliver of what it foresees, at a step that an attack would take."""

SERVED = 0.75
"""Share of the images on which a sound gradient tells the truth and is of use, at least."""
LOST = 0.05
"""Share of the images on which a sound gradient is 0 or not a number, at most."""


@dataclass(frozen=True)
class Sample:
    """Images that the model gets right, the threat they are under, and their draws."""

    x: Images
    y: Labels
    threat: Threat
    draws: Draws

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor) -> Sample:
        return Sample(self.x[index], self.y[index], self.threat.take(index), self.draws.take(index))


@dataclass(frozen=True)
class Slope:
    """What the gradient of one view of the model foresees, and what the model itself does, as shares of the images."""

    passes: bool
    """Whether there is a gradient at all."""
    zero: float = 1.0
    """Images where it is 0 everywhere, or not a number."""
    true: float = 0.0
    """Images where, for some small step, the margin falls as foreseen within a factor of 2."""
    steady: float = 0.0
    """Images where that holds for the smallest of these steps too: the model does not jump between one image and the next."""
    useful: float = 0.0
    """Images where a step of eps / 8 lowers the margin by a tenth of what was foreseen or more, and by more than random steps do."""
    largest: float = 0.0
    """The largest absolute value of any gradient."""
    agree: float = 1.0
    """Mean cosine between the gradients of different draws."""

    @property
    def sound(self) -> bool:
        """Good enough to attack by."""
        return self.passes and self.zero <= LOST and self.true >= SERVED and self.useful >= SERVED

    @property
    def smooth(self) -> bool:
        """Sound, and the model is what it looks like at the image itself: nothing has to be put in its place."""
        return self.sound and self.steady >= SERVED

    def words(self) -> dict[str, Any]:
        return asdict(self) | {"sound": self.sound}

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Slope:
        return cls(**{k: v for k, v in words.items() if k != "sound"})


Answers = Callable[[Images], PerImage]


def slope(view: DiagnosticModel, model: DiagnosticModel, sample: Sample, *, means: int = 1) -> Slope:
    """Follow the gradient of a view a little way and see what the model does. Cost per image: `means` times 2 passes and 8 forwards."""
    each = [gradient(view, sample, i) for i in range(means)]
    found = [g for g in each if g is not None]
    if not found:
        return Slope(passes=False)
    grad = torch.stack(found).mean(0)
    flat = (linf_norm(grad) == 0) | ~grad.flatten(1).isfinite().all(1)
    before = margins(model, sample.x, sample, means)
    ratios = [_ratio(model, sample, grad, share, before, means) for share in STEP_SHARES]
    ahead = ratios[LATER]
    chance = _ratio(model, sample, sample.draws.fork("anywhere").normal(like=sample.x), STEP_SHARES[LATER], before, means)
    holds = torch.stack([(r.delivered > RATIO[0] * r.foreseen) & (r.delivered < RATIO[1] * r.foreseen) for r in ratios]) & ~flat
    useful = (ahead.delivered > OF_USE * ahead.foreseen) & (ahead.delivered > chance.delivered) & ~flat
    flags = {"zero": flat, "true": holds.any(0), "steady": holds[0], "useful": useful}
    shares = {name: float(f.float().mean()) for name, f in flags.items()}
    return Slope(passes=True, **shares, largest=float(grad.nan_to_num(0, 0, 0).abs().max()), agree=_agreement(found))


def gradient(view: DiagnosticModel, sample: Sample, i: int) -> Images | None:
    """The gradient that lowers the margin, in the view's eyes, with the i-th of independent draws; None where nothing comes back."""
    with torch.enable_grad():
        x = sample.x.detach().clone().requires_grad_()
        try:
            margin = view.task.margin(view(x, sample.draws.fork("probe", i)), sample.y)
            (grad,) = torch.autograd.grad(-margin.sum(), x, allow_unused=True)
        except RuntimeError:  # outputs without a history
            return None
    return grad


@torch.no_grad()
def margins(model: DiagnosticModel, x: Images, sample: Sample, means: int) -> PerImage:
    """How far each image is from being wrong, in the mean over draws."""
    each = [model.task.margin(model.exact(x, sample.draws.fork("probe", i)), sample.y) for i in range(means)]
    return torch.stack(each).mean(0)


@dataclass(frozen=True)
class _Ratio:
    foreseen: PerImage
    delivered: PerImage


def _ratio(model: DiagnosticModel, sample: Sample, grad: Images, share: float, before: PerImage, means: int) -> _Ratio:
    ahead = sample.x + share * sample.threat.eps * sample.threat.steepest(grad.nan_to_num(0, 0, 0))
    ahead = sample.threat.project(ahead, sample.x)
    return _Ratio(total(grad * (ahead - sample.x)), before - margins(model, ahead, sample, means))


def _agreement(each: list[Images]) -> float:
    if len(each) < 2:
        return 1.0
    unit = torch.stack([g.flatten(1) / per_image(g.flatten(1).norm(dim=1).clamp_min(1e-30), g.flatten(1)) for g in each])
    mean = unit.sum(0)
    n = len(each)
    return float((((mean**2).sum(1) - n) / (n * (n - 1))).mean())


def outputs(model: DiagnosticModel, sample: Sample, *names: object) -> Outputs:
    """The model's answers with the draws of this name."""
    with torch.no_grad():
        return model.exact(sample.x, sample.draws.fork("asked", *names))
