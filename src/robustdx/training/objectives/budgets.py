"""The budgets of Xu et al. (2021), read in pixels, and threats that are not the same for each image or pixel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel
from robustdx.tensors import Images, PerImage
from robustdx.threats import Linf, Masked, Threat

Version = Literal["matched", "as_published", "released"]
"""Against the threat of the plan; against the published budget, read in pixels; as the public code runs, faults included."""


Scale = tuple[float, ...] | None
"""Standard deviations of the channels; left out, those of the model's normalisation."""


def met(version: Version, std: Scale, threat: Threat, model: DiagnosticModel, eps: float) -> Threat:
    """The threat that a version trains against. `eps` is the published one: a change of the normalised image, so eps * std in pixels."""
    return threat if version == "matched" else Linf.per_channel(tuple(eps * s for s in _scale(std, model)))


def require_scale(name: str, version: Version, std: Scale, model: DiagnosticModel) -> None:
    """Refuse to read a published budget in pixels where nothing says what a pixel of the normalised image is."""
    if version == "matched":
        return
    scale = _scale(std, model)
    if len(scale) != model.channels or not all(0 < s <= 1 for s in scale):
        raise PlanError(f"{name}: expected a std in (0, 1] for each of {model.channels} channels, got {list(scale)}")
    if set(scale) == {1.0}:
        raise PlanError(
            f'{name}, version "{version}": the published eps is one of normalised images, and this model does not normalise (std 1), so it '
            "would be many times larger: give the model a mean and std; or std here, as [0.0942, 0.1331, 0.1521], that of their melanoma "
            'images; or take version = "matched"'
        )


def require_version(name: str, version: Version, std: Scale) -> None:
    """Refuse a std that would not be looked at."""
    if std is not None and version != "as_published":
        raise PlanError(f'{name}: std tells how to read the published eps, got version "{version}": leave std out, or take "as_published"')


def _scale(std: Scale, model: DiagnosticModel) -> tuple[float, ...]:
    return tuple(model.std.flatten().tolist()) if std is None else std


def warn_of_faults(name: str, faults: str) -> None:
    """Say that what is about to run is wrong on purpose."""
    warnings.warn(
        f'{name}, version "released": runs the faults of the published code ({faults}) so that their harm can be measured; to train '
        'a network for use take version = "matched"',
        stacklevel=4,
    )


def within(threat: Threat, eps: float) -> Threat:
    """The same threat with another budget."""
    if isinstance(threat, Masked):
        return replace(threat, threat=within(threat.threat, eps))
    changed: Any = threat
    return replace(changed, eps=eps)


@dataclass(frozen=True, eq=False)
class Portioned:
    """A threat of which each image of a batch is granted its own portion; a step is as long for all as in the whole."""

    whole: Threat
    portions: PerImage

    @property
    def eps(self) -> float:
        return self.whole.eps

    @property
    def levels(self) -> int:
        return self.whole.levels

    @property
    def travel(self) -> float:
        return self.whole.travel

    @property
    def savable(self) -> bool:
        return self.whole.savable

    def take(self, index: Tensor) -> Self:
        return replace(self, whole=self.whole.take(index), portions=self.portions[index.to(self.portions.device)])

    def project(self, x_adv: Images, x: Images) -> Images:
        return torch.cat([ball.project(x_adv[i : i + 1], x[i : i + 1]) for i, ball in self._each()])

    def steepest(self, grad: Images) -> Images:
        return self.whole.steepest(grad)

    def sample(self, x: Images, draws: Draws) -> Images:
        return torch.cat([ball.sample(x[i : i + 1], draws.take([i])) for i, ball in self._each()])

    def distance(self, x_adv: Images, x: Images) -> PerImage:
        return self.whole.distance(x_adv, x)

    def snap(self, x_adv: Images, x: Images) -> Images:
        return torch.cat([ball.snap(x_adv[i : i + 1], x[i : i + 1]) for i, ball in self._each()])

    def _each(self) -> list[tuple[int, Threat]]:
        """The ball of each image: threats know one budget only, and a loop of a few small operations costs little beside a pass."""
        return [(i, within(self.whole.take(torch.tensor([i])), self.eps * p)) for i, p in enumerate(self.portions.tolist())]


@dataclass(frozen=True, eq=False)
class Misclamped:
    """A threat whose members are clamped to [low, high] in each channel afterwards, and so may lie far outside of it.

    The released MAAdvT clamps the normalised image to [0, 1]: in pixels, to between mean and mean + std.
    """

    whole: Threat
    low: Tensor
    """(1, C, 1, 1)."""
    high: Tensor
    """(1, C, 1, 1)."""

    @property
    def eps(self) -> float:
        return self.whole.eps

    @property
    def levels(self) -> int:
        return self.whole.levels

    @property
    def travel(self) -> float:
        return self.whole.travel

    @property
    def savable(self) -> bool:
        return self.whole.savable

    def take(self, index: Tensor) -> Self:
        return replace(self, whole=self.whole.take(index))

    def project(self, x_adv: Images, x: Images) -> Images:
        return self._clamped(self.whole.project(x_adv, x))

    def steepest(self, grad: Images) -> Images:
        return self.whole.steepest(grad)

    def sample(self, x: Images, draws: Draws) -> Images:
        return self._clamped(self.whole.sample(x, draws))

    def distance(self, x_adv: Images, x: Images) -> PerImage:
        return self.whole.distance(x_adv, x)

    def snap(self, x_adv: Images, x: Images) -> Images:
        return self._clamped(self.whole.snap(x_adv, x))

    def _clamped(self, x: Images) -> Images:
        return x.clamp(self.low, self.high).clamp(0, 1)
