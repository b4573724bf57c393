"""How the predictions on an image move while an attack goes on, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import Task, plain
from robustdx.tensors import Images, Labels, Outputs, PerImage


@final
@dataclass(frozen=True, eq=False)
class Trajectory:
    """The way of each image through T steps. Divergences are Kullback-Leibler's of the predicted distributions f, in nats.

    It is what SMIA's authors argue with (Qi et al. 2021, section 3): a stable attack comes to rest, so that `between` shrinks, far
    from the truth, and does so alike on all images, so that the spread over images is small.
    """

    ids: tuple[str, ...]
    """The images."""
    between: Tensor
    """(T, B): KL(f(x_t) || f(x_{t+1})), how far each step moves the prediction."""
    from_start: Tensor
    """(T + 1, B): KL(f(x_0) || f(x_t)), how far the prediction has come from the first one."""
    from_truth: Tensor | None
    """(T + 1, B): the task's loss, KL(y || f(x_t)) where one answer is right; None where no labels were given."""
    variance: Tensor
    """(T + 1, B): variance of x_t - x over the pixels and channels of an image."""

    @classmethod
    def joined(cls, parts: Sequence[Trajectory]) -> Trajectory:
        """The trajectories of several batches as one."""
        truths = [p.from_truth for p in parts if p.from_truth is not None]
        return cls(
            ids=sum((p.ids for p in parts), ()),
            between=torch.cat([p.between for p in parts], 1),
            from_start=torch.cat([p.from_start for p in parts], 1),
            from_truth=torch.cat(truths, 1) if len(truths) == len(parts) else None,
            variance=torch.cat([p.variance for p in parts], 1),
        )


@final
@dataclass(frozen=True)
class Spread:
    """A value at each step, over images."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Standard deviation of a sample (n - 1): how alike the images are; NaN for a single one."""


def trajectory(model: DiagnosticModel | Subject, x: Images, path: Iterable[Images], draws: Draws, y: Labels | None = None) -> Trajectory:
    """Follow the images that `path` gives, x_0 .. x_T: those of an iterative attack, `attack.path(model, x, y, threat, draws)`.

    `y` are the true labels, also where the attack aimed at another answer. A stochastic model draws the same at each step, so that
    what moves is the image. Cost per image: T + 1 forward passes, next to those of the path.

    Raises:
        PlanError: a path of less than two images, or one that not all images stay on.
    """
    task, drawn = plain(model.task), draws.fork("trajectory")
    outputs: list[Outputs] = []
    variance: list[PerImage] = []
    for x_t in path:
        if x_t.shape != x.shape:
            raise PlanError(f"expected a path of {tuple(x.shape)} images like x, got {tuple(x_t.shape)}: none may leave early")
        with torch.no_grad():
            outputs.append(model.exact(x_t, drawn))
        variance.append((x_t - x).flatten(1).var(1, correction=0))
    if len(outputs) < 2:
        raise PlanError(f"a trajectory needs the start and at least one step, got {len(outputs)} images: take an iterative attack")
    return Trajectory(
        ids=draws.ids,
        between=torch.stack([_divergence(task, b, a) for a, b in pairwise(outputs)]),
        from_start=torch.stack([_divergence(task, z, outputs[0]) for z in outputs]),
        from_truth=None if y is None else torch.stack([task.loss(z, y) for z in outputs]),
        variance=torch.stack(variance),
    )


def spread(values: Tensor) -> Spread:
    """Mean and standard deviation over the images of (steps, images) values."""
    values = values.double()
    std = values.std(1) if values.shape[1] > 1 else torch.full_like(values[:, 0], torch.nan)
    return Spread(tuple(values.mean(1).tolist()), tuple(std.tolist()))


def _divergence(task: Task, outputs: Outputs, reference: Outputs) -> PerImage:
    """At least 0, which float32 may miss by its last bit."""
    return task.divergence(outputs, reference).clamp_min(0)
