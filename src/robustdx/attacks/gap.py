"""Generative adversarial perturbations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from robustdx.attacks.learning import generators, trained
from robustdx.attacks.learning.lessons import Goal, Lessons, Progress, require_learning, seeded
from robustdx.attacks.learning.trained import Trained
from robustdx.attacks.protocol import Model
from robustdx.data import Dataset
from robustdx.draws import Draws
from robustdx.errors import PlanError, WeightsError
from robustdx.models import DiagnosticModel, still
from robustdx.models.weights import require_names, require_shapes
from robustdx.tensors import Images, Labels, per_image
from robustdx.threats import Linf, Threat, everywhere

PATTERN = "pattern"
"""The name of the fixed pattern among the weights of a universal generator."""

SETTLING = 32
"""Batches over which the statistics of batch normalisation are taken before they are fixed."""

TINY = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class GAP:
    """A network that has learned to paint the perturbation in one pass (Poursaeed et al. 2018; as run by Xu et al. 2021, code).

        x_adv = clamp(x + eps * d, 0, 1),   d = tanh(generator(x)) under Linf, and d * min(1, 1 / |d|) under L2

    `fit` trains the generator once, on a training set, against a model that is held still: Adam lowers the aim's cost through the clamp,
    the scaling and the generator. A universal one paints a single perturbation for all images, from a fixed pattern U(0, 1).

    Where the released code of Xu et al. goes wrong, this does not: the gradient flows through the scaling and the clamp; the
    image is clamped to [0, 1] and not to the range of its batch; the perturbation is centred at 0 and not at the mean of the data;
    norms are not shared; and dropout is off and batch statistics are fixed at attack time, and already in the second half of
    the training, so that what was learned is what attacks. The published scaling, d * min(1, eps / max|d|), lets only a
    few pixels reach eps; it is weaker by far and left to the preset `gap-released`, which keeps one fault with it: the gradient ignores
    scaling and clamp (straight-through). The preset also has the released aim, epochs and batch size.

    Cost per image: one pass of the generator (universal: one for the whole batch) and, with early stop, one forward pass of the
    model. Training: epochs forward and backward passes per image, and one forward pass.
    """

    generator: generators.Kind = "unet"
    """The network that paints: "unet", or "residual" (six blocks)."""
    universal: bool = False
    """One perturbation for all images."""
    width: int = 64
    """Channels of the generator's first layer; the others follow."""
    aim: Goal = "any"
    """"any": away from what the model says now; "least_likely": to what it finds least likely, as published."""
    straight_through: bool = False
    """Scale by the largest value, with a gradient that ignores scaling and clamp, as the released code does."""
    epochs: int = 10
    """How often each training image is shown."""
    lr: float = 2e-4
    """Adam's first step size; it falls to 0 along a cosine."""
    batch_size: int = 8
    """Training images at a time."""
    early_stop: bool = True
    """Leave an image as it is where every decision on it is wrong already."""
    weights: str | None = None
    """The file that `fit` has written. All settings but early_stop are then read from it."""
    sha256: str | None = None
    """The hash of that file: filled in, and checked where it is given."""

    def __post_init__(self) -> None:
        require_learning(self.epochs, self.lr, self.batch_size)
        if not 1 <= self.width <= 1024:
            raise PlanError(f"width must lie between 1 and 1024, got {self.width}")
        trained.adopt(self, "gap")

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        change = self.change(x, threat)
        return trained.shown(model, x, y, threat, draws, change, early_stop=self.early_stop)

    @torch.no_grad()
    def change(self, x: Images, threat: Threat) -> Images:
        """The perturbation of each image, inside the threat, before pixels are clamped to [0, 1].

        Raises:
            PlanError: no weights, or images of another size than they were trained for.
        """
        weights = trained.require_weights(self.weights, "gap")
        about = trained.read(weights, "gap", self.sha256).trained
        about.require_images(x, weights)
        if threat.eps == 0:
            return torch.zeros_like(x)
        about.note_threat(threat, weights)
        assert self.sha256 is not None
        network, pattern = _painter(self, self.sha256, x.device)
        painted = network(x if pattern is None else pattern)
        return self._sized(painted, threat).expand_as(x)

    def fit(
        self,
        model: DiagnosticModel,
        data: Dataset,
        threat: Threat,
        draws: Draws,
        *,
        out: str | Path | None = None,
        progress: Progress | None = None,
    ) -> GAP:
        """Train a generator against `model` on `data` and write it to `out`; the answer is this attack with its weights.

        `data` are training images; their labels are looked at only under `Targeted`, where they are the targets, and under a goal.
        Without `out`, the file stands in the current folder under its hash. The same draws give the same weights on the same machine.

        Raises:
            PlanError, DataError: an eps of 0, no images, or images of different sizes.
            RunError: the training has diverged, or the disk refuses.
        """
        trained.require_budget(threat)
        with still(model), seeded(draws, model.mean.device):
            lessons = Lessons(model, data, draws, self.batch_size, self.aim)
            channels, height, width = lessons.shape
            network = generators.generator(self.generator, channels, self.width).to(lessons.device)
            pattern = torch.rand(1, channels, height, width).to(lessons.device) if self.universal else None
            self._learn(network, pattern, lessons, threat, progress)
        about = Trained.by(self, "gap", threat, lessons.shape, len(data))
        tensors: Mapping[str, Tensor] = network.state_dict() | ({} if pattern is None else {PATTERN: pattern})
        path, sha256 = trained.write(out, tensors, about)
        return replace(self, weights=path, sha256=sha256)

    def _learn(self, network: nn.Module, pattern: Tensor | None, lessons: Lessons, threat: Threat, progress: Progress | None) -> None:
        """Half of the steps with the statistics of each batch, half with fixed ones and without dropout, as at attack time."""
        whole, step = self.epochs * len(lessons), 0
        optimiser = torch.optim.Adam(network.parameters(), lr=self.lr)
        network.train()
        for n in range(self.epochs):
            for some, x, draws in lessons.epoch(n):
                if step == whole // 2:
                    _settle(network, pattern, lessons)
                optimiser.param_groups[0]["lr"] = self.lr * (1 + math.cos(math.pi * step / whole)) / 2
                with lessons.painting():
                    painted = network(x if pattern is None else pattern).float()
                cost = lessons.cost(self._shown(x, painted, threat), some, draws).mean()
                optimiser.zero_grad()
                cost.backward()
                optimiser.step()
                step += 1
                if progress is not None:
                    progress(f"training gap, epoch {n + 1} of {self.epochs}", step, whole)
        network.eval()

    def _shown(self, x: Images, painted: Images, threat: Threat) -> Images:
        """What the model is shown while the generator learns."""
        x_adv = (x + self._sized(painted, threat)).clamp(0, 1)
        return x_adv.detach() + (painted - painted.detach()) if self.straight_through else x_adv

    def _sized(self, painted: Images, threat: Threat) -> Images:
        """The perturbation inside the threat."""
        return (_shrunk if self.straight_through else _scaled)(painted, everywhere(threat))


def _scaled(painted: Images, threat: Threat) -> Images:
    """eps * d, where d is at most 1 in size: under Linf each pixel for itself (tanh sees to it), and else by its length."""
    if isinstance(threat, Linf):
        return threat.eps * painted * threat.steepest(torch.ones_like(painted))
    size = threat.distance(painted, torch.zeros_like(painted))
    return threat.eps * painted * per_image((1 / size.clamp_min(TINY)).clamp_max(1), painted)


def _shrunk(painted: Images, threat: Threat) -> Images:
    """d * min(1, eps / size(d)), the scaling of the released code (which sees each channel for itself)."""
    size = threat.distance(painted, torch.zeros_like(painted))
    return painted * per_image((threat.eps / size.clamp_min(TINY)).clamp_max(1), painted)


@torch.no_grad()
def _settle(network: nn.Module, pattern: Tensor | None, lessons: Lessons) -> None:
    """Take the statistics of batch normalisation over several batches, with the weights as they are now, and fix them."""
    network.eval()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    for n, (_, x, _) in enumerate(lessons.epoch(-1)):
        if n < SETTLING:
            network(x if pattern is None else pattern)
    network.eval()


@lru_cache(maxsize=4)
def _painter(attack: GAP, sha256: str, device: torch.device) -> tuple[nn.Module, Tensor | None]:
    """The generator in a file, ready to paint, and the pattern of a universal one.

    Raises:
        WeightsError: weights that are missing, left over or of another shape than the header says.
    """
    assert attack.weights is not None
    found = trained.read(attack.weights, "gap", sha256)
    about, state = found.trained, dict(found.tensors)
    pattern = state.pop(PATTERN, None)
    if (None if pattern is None else tuple(pattern.shape)) != ((1, about.channels, *about.size) if attack.universal else None):
        raise WeightsError(f"{attack.weights}: its pattern does not fit what its header says: train it again")
    with torch.device("meta"):  # nothing is allocated before the shapes are known to be those of the file
        network = generators.generator(attack.generator, about.channels, attack.width)
    wanted = network.state_dict()
    require_names([k for k in wanted if k not in state], [k for k in state if k not in wanted], attack.weights)
    require_shapes({k: (tuple(v.shape), tuple(state[k].shape)) for k, v in wanted.items()}, attack.weights)
    network.load_state_dict({k: state[k].to(v.dtype) for k, v in wanted.items()}, assign=True)
    network.requires_grad_(False).eval()
    return network.to(device), None if pattern is None else pattern.to(device).float()
