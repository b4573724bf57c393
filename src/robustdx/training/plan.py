"""What a training does: one dataclass, read from TOML, every key documented under the field."""

from __future__ import annotations

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


@final
@dataclass(frozen=True, kw_only=True)
class Stage:
    """Some epochs in a row."""

    epochs: int
    """How often as many images are shown as the training set has."""
    size: int | tuple[int, ...] | None = None
    """Height and width of the images in this stage; left out, the model's own. Small images first cost a fraction."""
    objective: Mapping[str, Any] | None = None
    """Another objective than the plan's in this stage: clean images first, before the adversary comes."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise PlanError(f"a stage has at least 1 epoch, got {self.epochs}")
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
    batch_size: int = 64
    """Images at a time."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """"sgd" with Nesterov momentum 0.9, or "adamw"."""
    learning_rate: float = 0.05
    """The highest, reached after the warm-up; from there it falls to 0 as half a cosine."""
    warm_up: float = 1.0
    """Epochs in which the learning rate rises from 0 in a straight line."""
    weight_decay: float = 5e-4
    """Decay of the weights; biases and normalisations are spared."""
    average: float = 0.99
    """Share of the old average that one step keeps: the weights that are judged and saved are this moving average (EMA)."""
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
    seed: int = 0
    """Seed of everything that is drawn."""

    def __post_init__(self) -> None:
        self._require_numbers()
        if self.model.weights is not None:
            raise PlanError(f"model: harden begins with fresh weights, got weights={self.model.weights}: to go on from these, say start")
        if self.size_of(len(self.stages) - 1) not in (None, self.model.shape):
            raise PlanError(f"the last stage must have the model's own size, got {self.stages[-1].size}: add a stage without size")
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
        if self.batch_size < 2:
            raise PlanError(f"batch_size must be at least 2 (batch norm needs two images), got {self.batch_size}")
        if not self.learning_rate > 0 or self.weight_decay < 0 or self.warm_up < 0:
            raise PlanError("learning_rate must be above 0, weight_decay and warm_up at least 0")
        for name in ("average", "sampling", "weighting"):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (name == "average" and value == 1):
                raise PlanError(f"{name} must lie between 0 and 1, got {value:g}")

        if self.effective is not None and not 0 < self.effective < 1:
            raise PlanError(f"effective must lie between 0 and 1, got {self.effective:g}: leave it out to count every image")

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def adversary(self) -> Threat:
        """What the adversary of the objective and of the judge may do."""
        threat: Threat = THREATS.parse({"name": self.threat, "eps": self.eps})
        return threat

    @property
    def judged_by(self) -> Attack | None:
        """The attack that chooses the epoch."""
        return None if self.judge is None else ATTACKS.parse(self.judge)

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
        ends = [sum(s.epochs for s in self.stages[: i + 1]) for i in range(len(self.stages))]
        return next(i for i, end in enumerate(ends) if epoch < end)
