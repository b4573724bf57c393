"""What a training does: one dataclass, read from TOML, every key documented under the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, final

from robustdx.attacks import ATTACKS, Attack
from robustdx.errors import PlanError
from robustdx.models import ModelSpec
from robustdx.threats import THREATS, Threat
from robustdx.training import OBJECTIVES
from robustdx.training.augment import Augment
from robustdx.training.objectives import Objective

USUAL_BATCH = 64


@final
@dataclass(frozen=True, kw_only=True)
class Stage:
    """Some epochs in a row."""

    epochs: float
    """How often as many images are shown as the training set has; 2.5 ends in the middle of the third time."""
    size: int | tuple[int, ...] | None = None
    """Height and width of the images in this stage; left out, the model's own. Small images first cost a fraction."""
    objective: Mapping[str, Any] | None = None
    """Another objective than the plan's in this stage: clean images first, before the adversary comes."""
    eps: float | None = None
    """Another budget than the plan's for the adversary of the objective in this stage: a smaller one first."""

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise PlanError(f"a stage needs epochs above 0, got {self.epochs:g}")
        if self.eps is not None and not 0 < self.eps <= 1:
            raise PlanError(f"a stage's own eps must lie between 0 and 1, got {self.eps:g}: leave it out for the plan's")
        ModelSpec(source="", size=self.size)  # refuses what is no size


@final
@dataclass(frozen=True, kw_only=True)
class HardenPlan:
    """A training in words. What to run lives here; where to run it (device, output folder) in flags.

    Paths in a plan are relative to the folder one stands in, as they are on the command line.
    """

    model: ModelSpec
    """The network, with fresh weights: a table with `source`, `size`, `mean`, `std`."""
    data: str
    """The images: "synthetic", "folder:PATH", "ham10000:PATH", ...; options follow after commas. Learns on the split
    train, chooses on val, never opens test; data without splits are split by patient."""
    task: Literal["auto", "binary", "multiclass", "multilabel", "ordinal"] = "auto"
    """What a label means; "auto" takes what the data say (two classes: binary). "ordinal": classes are grades, from mild to severe."""
    objective: Mapping[str, Any] = field(default_factory=lambda: {"name": "standard"})
    """What is learned: a table with `name` ("standard", "madry", ...) and its settings."""
    threat: Literal["linf", "l2"] = "linf"
    """How an adversarial change is measured: its largest pixel, or its Euclidean length."""
    eps: float = 2 / 255
    """The adversary's budget in pixel units, as a fraction: "2/255". Plain training has no adversary and ignores it."""
    stages: tuple[Stage, ...] = (Stage(epochs=30),)
    """The epochs, as tables with `epochs`, and where they differ from the plan `size` and `objective`. The model is
    chosen among the epochs of the last stage, whose images have the model's own size."""
    start: str | None = None
    """A robustdx run folder, or a file of weights, from which training starts; a last layer for another number of classes is
    drawn anew. Left out, all weights are random."""
    batch_size: Literal["auto"] | int = "auto"
    """Images at a time. "auto" takes 64, or half of the training images where they are fewer."""
    accumulate: int = 1
    """Batches whose gradients make one step: as a batch so many times larger, in the memory of one. Normalisation still sees
    one batch at a time."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """"sgd" with Nesterov momentum 0.9, or "adamw"."""
    learning_rate: float = 0.05
    """The highest, reached after the warm-up; from there it falls to 0 as half a cosine."""
    warm_up: float = 1.0
    """Epochs in which the learning rate rises from 0 in a straight line."""
    weight_decay: float = 5e-4
    """Decay of the weights; biases and normalisations are spared."""
    l1: float = 0.0
    """Penalty on the sum of the absolute values of all parameters: its gradient is added, the losses told leave it out. Xu et al.
    (2021) take 1e-5 in standard training and 0.01 in MPAdvT on fundus photographs."""
    clip: float | None = None
    """The largest Euclidean length of a step's gradient; a longer one is shortened to it. Left out, none is."""
    average: Literal["swa"] | float = 0.99
    """The weights that are judged and saved: a moving average (EMA), of which one step keeps this share; or "swa", the plain mean
    over the last quarter of the steps (before it, the weights as they are)."""
    sampling: float = 0.5
    """How far rare classes are shown more often: class c is shown in proportion to n_c ** (1 - sampling)."""
    weighting: float = 0.5
    """How far rare classes count more: an image of class c counts n_c ** -weighting. With `sampling`, 1 balances fully."""
    effective: float | None = None
    """What n_c is for `sampling` and `weighting`, where images of a class are much alike: the effective number
    (1 - effective ** n_c) / (1 - effective) of Cui et al. 2019 (proposition 1), who take 0.9 to 0.9999, with sampling = 0 and
    weighting = 1. Left out, the images as counted."""
    augment: Augment = field(default_factory=Augment)
    """What changes each time an image is shown: a table; see `Augment`."""
    judge: Mapping[str, Any] | None = None
    """The attack under which validation images choose the epoch, as a table; left out, clean images choose."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the passes; weights and sums are float32. "auto" takes bfloat16 where the processor computes in it."""
    monitors: bool = True
    """Watch for catastrophic and robust overfitting, a loss that is no number, a class that is never predicted and a network in
    the wrong mode, and act on it: `events` in curve.json says what was seen and done. A few passes over 96 validation images an epoch."""
    fallback: Mapping[str, Any] = field(default_factory=lambda: {"name": "madry", "steps": 3})
    """The objective that takes over where one has collapsed (catastrophic overfitting); a table with `name` and settings."""
    seconds: float | None = None
    """Time that the training may take: the last stage goes on, or ends, as the machine turns out to be faster or slower than
    was foreseen. Left out, the epochs alone count."""
    seed: int = 0
    """Seed of everything that is drawn."""

    def __post_init__(self) -> None:
        self._require_numbers()
        if self.model.weights is not None:
            raise PlanError(f"model: harden begins with fresh weights, got weights={self.model.weights}: to go on from these, say start")
        if self.size_of(len(self.stages) - 1) not in (None, self.model.shape):
            raise PlanError(f"the last stage must have the model's own size, got {self.stages[-1].size}: add a stage without size")
        if not hasattr(self.stands_in, "steps"):
            raise PlanError(f"fallback must be an objective with steps, such as madry, got {self.fallback}")
        _ = self.adversary, self.judged_by
        for i in range(len(self.stages)):
            if self.objective_of(i).needs_eps and self.eps == 0:
                raise PlanError(
                    f"{self.objective_name(i)} trains against an adversary, who can do nothing with eps = 0: give one like 2/255, "
                    "or take the objective standard"
                )

    def _require_numbers(self) -> None:
        if not self.stages:
            raise PlanError("expected at least one stage, got none: write stages = [{ epochs = 30 }]")
        if self.batch_size != "auto" and self.batch_size < 2:
            raise PlanError(f"batch_size must be at least 2 (batch norm needs two images), got {self.batch_size}")
        if self.accumulate < 1:
            raise PlanError(f"accumulate must be at least 1 batch, got {self.accumulate}")
        if not self.learning_rate > 0 or self.weight_decay < 0 or self.warm_up < 0 or self.l1 < 0:
            raise PlanError("learning_rate must be above 0, weight_decay, l1 and warm_up at least 0")
        if self.seconds is not None and not self.seconds > 0:
            raise PlanError(f"seconds must be above 0, got {self.seconds:g}: leave it out where only epochs count")
        if self.clip is not None and not self.clip > 0:
            raise PlanError(f"clip must be above 0, got {self.clip:g}: leave it out where no gradient is to be shortened")
        for name in ("average", "sampling", "weighting"):
            value = getattr(self, name)
            if value != "swa" and (not 0 <= value <= 1 or (name == "average" and value == 1)):
                raise PlanError(f"{name} must lie between 0 and 1, got {value:g}")

        if self.effective is not None and not 0 < self.effective < 1:
            raise PlanError(f"effective must lie between 0 and 1, got {self.effective:g}: leave it out to count every image")

    @property
    def batch(self) -> int:
        """Images at a time: a number, of the plan of a training that is prepared."""
        return USUAL_BATCH if self.batch_size == "auto" else self.batch_size

    @property
    def step_images(self) -> int:
        """Images of one step."""
        return self.batch * self.accumulate

    @property
    def epochs(self) -> int:
        """Epochs of all stages together, those that are cut short among them."""
        return sum(math.ceil(stage.epochs) for stage in self.stages)

    @property
    def adversary(self) -> Threat:
        """What the adversary of the objective and of the judge may do."""
        threat: Threat = THREATS.parse({"name": self.threat, "eps": self.eps})
        return threat

    def adversary_of(self, stage: int) -> Threat:
        """What the adversary of the objective may do in one stage."""
        threat: Threat = THREATS.parse({"name": self.threat, "eps": self.stages[stage].eps or self.eps})
        return threat

    @property
    def judged_by(self) -> Attack | None:
        """The attack that chooses the epoch."""
        return None if self.judge is None else ATTACKS.parse(self.judge)

    @property
    def stands_in(self) -> Objective:
        """The objective that takes over where one has collapsed."""
        objective: Objective = OBJECTIVES.parse(self.fallback)
        return objective

    def size_of(self, stage: int) -> tuple[int, int] | None:
        """Height and width of the images of one stage, where it has its own."""
        return replace(self.model, size=self.stages[stage].size).shape

    def objective_of(self, stage: int) -> Objective:
        """What one stage lowers."""
        return self._objectives[stage]

    @cached_property
    def _objectives(self) -> tuple[Objective, ...]:
        """Made once: one that is wrong on purpose says so each time it is made."""
        return tuple(OBJECTIVES.parse(stage.objective or self.objective) for stage in self.stages)

    def objective_name(self, stage: int) -> str:
        """What one stage lowers, by name."""
        return OBJECTIVES.name(self.objective_of(stage))

    def stage_of(self, epoch: int) -> int:
        """The stage that epoch 0, 1, 2, ... belongs to."""
        ends = [self.first_of(i + 1) for i in range(len(self.stages))]
        return next((i for i, end in enumerate(ends) if epoch < end), len(self.stages) - 1)

    def first_of(self, stage: int) -> int:
        """The epoch that a stage begins with, counted from 0."""
        return sum(math.ceil(s.epochs) for s in self.stages[:stage])

    def share_of(self, epoch: int) -> float:
        """How much of that epoch is shown: all of it, unless its stage ends in the middle."""
        stage = self.stage_of(epoch)
        return min(1.0, self.stages[stage].epochs - (epoch - self.first_of(stage)))
