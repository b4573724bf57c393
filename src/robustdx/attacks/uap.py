"""Universal adversarial perturbations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

import torch
from torch import Tensor

from robustdx.attacks.learning import trained
from robustdx.attacks.learning.lessons import Goal, Lessons, Progress, require_learning
from robustdx.attacks.learning.trained import Trained
from robustdx.attacks.loops.hyperplane import TINY, dot
from robustdx.attacks.loops.uphill import uphill
from robustdx.attacks.protocol import Model
from robustdx.data import Dataset
from robustdx.draws import Draws
from robustdx.errors import PlanError, WeightsError
from robustdx.models import DiagnosticModel, still
from robustdx.tensors import Images, Labels, per_image
from robustdx.threats import Threat, everywhere

PERTURBATION = "perturbation"
"""The name of the one tensor in the file."""

OVERSHOOT = 0.02
"""How far beyond the boundary a minimal step goes, as a share of the step (DeepFool's value)."""


@final
@dataclass(frozen=True, kw_only=True)
class UAP:
    """One perturbation that turns the decision on most images (Moosavi-Dezfooli et al. 2017; Shafahi et al. 2020, section 3).

        gradient:  v <- project(v + lr * eps * steepest(m)),   m the running mean of the direction that lowers the aim's cost
        minimal:   v <- project(v + r),   r the mean of the smallest changes that turn, by a linear model, the images
                   still standing at v

    over batches of training images, where the projection is on the ball of the threat around 0. `gradient` is the default: it is a
    stochastic gradient method on the rate of fooled images itself, of one pass a visit, where `minimal` (algorithm 1 of 2017 with
    one linear step in place of a whole DeepFool, and the published order of one image at a time with batch_size = 1) adds up steps
    that need not agree. The aim's cost stays bounded on images that are beaten already, as the clipped loss of Shafahi et al. does.

    Cost per image: none; with early stop, one forward pass. Training: epochs forward and backward passes per image and one forward pass
    (`minimal`: backward only where the image still stands).
    """

    form: Literal["gradient", "minimal"] = "gradient"
    """How the perturbation is improved."""
    aim: Goal = "any"
    """"any": away from what the model says now; "least_likely": to what it finds least likely."""
    epochs: int = 10
    """How often each training image is shown."""
    lr: float = 0.1
    """Length of the first step of `gradient` as a fraction of eps; it falls to 0 along a cosine."""
    momentum: float = 0.9
    """Share of the old direction in the new one, for `gradient`."""
    batch_size: int = 32
    """Training images at a time."""
    early_stop: bool = True
    """Leave an image as it is where every decision on it is wrong already."""
    weights: str | None = None
    """The file that `fit` has written. All settings but early_stop are then read from it."""
    sha256: str | None = None
    """The hash of that file: filled in, and checked where it is given."""

    def __post_init__(self) -> None:
        require_learning(self.epochs, self.lr, self.batch_size)
        if not 0 <= self.momentum < 1:
            raise PlanError(f"momentum must lie in [0, 1), got {self.momentum:g}")
        trained.adopt(self, "uap")

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        change = self.change(x, threat)
        return trained.shown(model, x, y, threat, draws, change, early_stop=self.early_stop)

    def change(self, x: Images, threat: Threat) -> Images:
        """The perturbation, the same for each image, inside the threat, before pixels are clamped to [0, 1].

        Raises:
            PlanError: no weights, or images of another size than they were trained for.
        """
        weights = trained.require_weights(self.weights, "uap")
        found = trained.read(weights, "uap", self.sha256)
        found.trained.require_images(x, weights)
        v = found.tensors.get(PERTURBATION)
        if v is None or tuple(v.shape) != tuple(x.shape[1:]):
            raise WeightsError(f"{weights}: its perturbation does not fit what its header says: train it again")
        if threat.eps == 0:
            return torch.zeros_like(x)
        found.trained.note_threat(threat, weights)
        scale, within = threat.eps / found.trained.eps, everywhere(threat)
        if trained.norm(threat) != found.trained.norm:
            scale = threat.eps / max(TINY, float(within.distance(v[None], torch.zeros_like(v[None]))))
        return (v.to(x) * scale).expand_as(x)

    def fit(
        self,
        model: DiagnosticModel,
        data: Dataset,
        threat: Threat,
        draws: Draws,
        *,
        out: str | Path | None = None,
        progress: Progress | None = None,
    ) -> UAP:
        """Find a perturbation for `model` on `data` and write it to `out`; the answer is this attack with its weights.

        `data` are training images; their labels are looked at only under `Targeted`, where they are the targets, and under a goal.
        Without `out`, the file stands in the current folder under its hash. The same draws give the same perturbation on the same machine.

        Raises:
            PlanError, DataError: an eps of 0, no images, or images of different sizes.
            RunError: the training has diverged, or the disk refuses.
        """
        trained.require_budget(threat)
        with still(model):
            lessons = Lessons(model, data, draws, self.batch_size, self.aim)
            v = self._learned(lessons, threat, progress)
        about = Trained.by(self, "uap", threat, lessons.shape, len(data))
        path, sha256 = trained.write(out, {PERTURBATION: v[0]}, about)
        return replace(self, weights=path, sha256=sha256)

    def _learned(self, lessons: Lessons, threat: Threat, progress: Progress | None) -> Images:
        """The perturbation (1, C, H, W) after all epochs."""
        v = torch.zeros(1, *lessons.shape, device=lessons.device)
        downhill, whole, step = torch.zeros_like(v), self.epochs * len(lessons), 0
        for n in range(self.epochs):
            for some, x, draws in lessons.epoch(n):
                if self.form == "minimal":
                    v = _in_ball(v + _minimal(lessons, threat, v, some, x, draws), threat)
                else:
                    grad = _gradient(lessons, v, some, x, draws)
                    downhill = self.momentum * downhill - (1 - self.momentum) * grad / grad.abs().sum().clamp_min(TINY)
                    length = self.lr * threat.eps * (1 + math.cos(math.pi * step / whole)) / 2
                    v = _in_ball(v + length * threat.steepest(downhill), threat)
                step += 1
                if progress is not None:
                    progress(f"training uap, epoch {n + 1} of {self.epochs}", step, whole)
        return v


def _gradient(lessons: Lessons, v: Images, some: Tensor, x: Images, draws: Draws) -> Images:
    """Of the mean cost over a batch, in the perturbation that all its images share."""
    v = v.detach().requires_grad_()
    return uphill(lessons.cost((x + v).clamp(0, 1), some, draws).mean(), v)


def _minimal(lessons: Lessons, threat: Threat, v: Images, some: Tensor, x: Images, draws: Draws) -> Images:
    """The mean of the smallest changes that turn the images of a batch which stand at v, as if their margins were linear."""
    x_t = (x + v).clamp(0, 1).requires_grad_()
    gap = lessons.gap(x_t, some, draws)
    standing = (gap > 0).detach()
    if not bool(standing.any()):
        return torch.zeros_like(v)
    slope = uphill(gap[standing], x_t)[standing]
    way = threat.steepest(slope)
    far = (gap.detach()[standing] / dot(slope, way).clamp_min(TINY)).clamp_max(2 * threat.eps)
    return -(1 + OVERSHOOT) * (way * per_image(far, way)).mean(0, keepdim=True)


def _in_ball(v: Images, threat: Threat) -> Images:
    """The nearest perturbation inside the threat: of a grey image, which leaves room on both sides."""
    grey = torch.full_like(v, 0.5)
    return threat.project(grey + v, grey) - grey
