"""What a model does when it is asked again, alone, in company and with other draws, and whether its gradients tell the truth."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from robustdx.auditing.escalation.sample import MEANS, Sample, Slope, outputs, slope
from robustdx.auditing.escalation.variants import maps_pixels
from robustdx.auditing.escalation.views import View
from robustdx.models import DiagnosticModel
from robustdx.tensors import Outputs
from robustdx.threats import everywhere

SAME = 1e-3
"""How far two answers to one image may differ, as a share of the largest logit, and still be one answer: float32 in another batch."""
NEAR = 0.25
"""How far the neighbour lies that is shown to see whether a model remembers, as a share of eps."""


@dataclass(frozen=True)
class Probes:
    """What was found, on `images` images."""

    images: int
    repeats: bool
    """Asked twice with the same draws, it answers the same."""
    drawn: bool
    """With other draws it answers otherwise."""
    alone: bool
    """It answers the same whether an image comes alone or in company."""
    forgets: bool
    """What it was shown before changes nothing."""
    flat: float
    """Share of images whose answer is the same, to the last bit, all around them."""
    slopes: Mapping[str, Slope]
    """By view of the model."""
    pixelwise: bool = False
    """What stands before the network maps each pixel by itself."""

    @property
    def pure(self) -> bool:
        """Whether the answer is a function of the image and the draws, and of nothing else."""
        return self.repeats and self.alone and self.forgets

    @property
    def stochastic(self) -> bool:
        return self.drawn or not self.repeats

    def words(self) -> dict[str, Any]:
        return asdict(self) | {"slopes": {name: s.words() for name, s in self.slopes.items()}}

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Probes:
        return cls(**{**words, "slopes": {name: Slope.of(s) for name, s in words["slopes"].items()}})


def probe(model: DiagnosticModel, views: list[View], sample: Sample) -> Probes:
    """Try a model on a few images. Cost per image: about 40 passes for each view, `MEANS` times as many where answers are drawn."""
    once, again = outputs(model, sample, 0), outputs(model, sample, 0)
    repeats = same(once, again)
    drawn = not same(once, outputs(model, sample, 1)) and repeats
    means = 1 if repeats and not drawn else MEANS
    found = {view.name: slope(view.model, model, sample, means=means) for view in views}
    return Probes(
        images=len(sample),
        repeats=repeats,
        drawn=drawn,
        alone=not repeats or _alone(model, sample, once),
        forgets=not repeats or _forgets(model, sample),
        flat=_flat(model, sample, once) if repeats else 0.0,
        slopes=found,
        pixelwise=repeats and maps_pixels(model, sample.x, sample.threat, sample.draws),
    )


def same(one: Outputs, other: Outputs) -> bool:
    largest = float(one.abs().max().clamp_min(1e-12))
    return bool(((one - other).abs().max() <= SAME * largest).item())


def _alone(model: DiagnosticModel, sample: Sample, together: Outputs) -> bool:
    singly = torch.cat([outputs(model, sample.take(torch.tensor([i])), 0) for i in range(min(4, len(sample)))])
    return same(together[: len(singly)], singly)


def _forgets(model: DiagnosticModel, sample: Sample) -> bool:
    """Whether a copy answers neighbours of images as one does that has just seen the images themselves.

    The images are mirrored: what the model has seen of them so far it may have stored already.
    """
    seen = replace(sample, x=sample.x.flip(-1), threat=everywhere(sample.threat))
    near = replace(seen, x=_neighbours(seen))
    try:
        fresh, used = copy.deepcopy(model), copy.deepcopy(model)
    except (RuntimeError, TypeError, NotImplementedError, copy.Error):
        return True  # a program that cannot be copied has no memory that could be seen
    outputs(used, seen, 0)
    return same(outputs(fresh, near, 0), outputs(used, near, 0))


def _flat(model: DiagnosticModel, sample: Sample, once: Outputs) -> float:
    near = outputs(model, replace(sample, x=_neighbours(sample)), 0)
    return float((near == once).all(1).float().mean())


def _neighbours(sample: Sample) -> torch.Tensor:
    inside = sample.threat.sample(sample.x, sample.draws.fork("neighbour"))
    return sample.x + NEAR * (inside - sample.x)
