"""What a monitor sees in the numbers of the epochs, and what it measures."""

import numpy as np
import pytest
import torch
from small_training import small
from torch import nn

from robustdx.data import Dataset, Example
from robustdx.models import ModelSpec, new
from robustdx.tasks import Binary
from robustdx.training import Madry
from robustdx.training.care import Care
from robustdx.training.monitors import CatastrophicOverfitting, DeadClass, RobustOverfitting, without_images
from robustdx.training.monitors.mode import modes_of, put_right
from robustdx.training.monitors.probe import Probe, in_turn, spread

FAST = {"objective": "madry", "size": [20, 20]}


def probed(one: float, several: float, cosine: float) -> dict:
    return {**FAST, "one_step_accuracy": one, "several_step_accuracy": several, "gradient_cosine": cosine, "gradient_spread": 0.5}


@pytest.mark.parametrize(
    ("now", "remedy"),
    [
        (probed(0.5, 0.45, 0.9), None),
        (probed(0.9, 0.1, 0.9), "switch"),  # a gap, where several steps had been told rightly
        (probed(0.9, 0.5, 0.9), None),  # a gap that is new, and nothing lost
        (probed(0.5, 0.35, 0.3), "switch"),  # half of it, and a gradient that has turned
        (probed(0.5, 0.45, 0.1), None),  # a bent loss that fools nobody
        (FAST, None),  # an objective without an adversary
    ],
)
def test_collapse_is_one_step_told_rightly_where_several_are_not(now, remedy):
    alarm = CatastrophicOverfitting()([probed(0.5, 0.45, 0.9), now], Care())
    assert (alarm and alarm.remedy) == remedy


def test_a_gap_in_the_first_epoch_is_given_another():
    judge, wide = CatastrophicOverfitting(), probed(0.9, 0.1, 0.9)
    assert judge([wide], Care()) is None
    assert judge([wide, wide], Care()).remedy == "switch"


def test_after_three_objectives_collapse_is_only_told():
    assert CatastrophicOverfitting()([probed(0.9, 0.1, 0.9)] * 2, Care(replaced=[{}] * 3)).remedy == "tell"


def test_what_stands_in_takes_more_steps_where_it_has_collapsed_too():
    fast, fallback = Madry(steps=1), small().stands_in
    assert fallback == Madry(steps=3)
    care = Care()
    assert care.objective(fast, fallback) == fast
    for replaced, then in [(fast, fallback), (fallback, Madry(steps=6)), (Madry(steps=6), Madry(steps=12))]:
        care.replaced.append({"name": "madry", **vars(replaced)} if replaced.step_size else _words(replaced))
        assert care.objective(fast, fallback) == then
        assert care.objective(Madry(steps=10), fallback) == Madry(steps=10), "another stage's objective stays"


def _words(objective: Madry) -> dict:
    return {"name": "madry", **{k: v for k, v in vars(objective).items() if v is not None}}


def falling(values: list[float], losses: list[float]) -> list[dict]:
    return [
        {**FAST, "epoch": i + 1, "loss": loss, "robust_balanced_accuracy": v}
        for i, (v, loss) in enumerate(zip(values, losses, strict=True))
    ]


DOWN = [0.3, 0.4, 0.5, 0.5, 0.5, 0.46, 0.44, 0.42, 0.40, 0.38, 0.36, 0.34]
LOSS = [2 - 0.1 * i for i in range(12)]


def test_robust_overfitting_is_a_loss_that_falls_with_the_robustness():
    judge = RobustOverfitting()
    assert judge(falling(DOWN, LOSS), Care()).remedy == "lower"
    assert judge(falling(DOWN, LOSS[::-1]), Care()) is None, "the loss rises: training is lost in another way"
    assert judge(falling(sorted(DOWN), LOSS), Care()) is None
    assert judge(falling(DOWN[:7], LOSS[:7]), Care()) is None, "too early to tell"
    wavering = [0.5 + 0.01 * (-1) ** i for i in range(12)]
    assert judge(falling(wavering, LOSS), Care()) is None, "a small validation set wavers"


def test_after_the_rate_was_lowered_it_is_given_time_and_then_stopped():
    assert RobustOverfitting()(falling(DOWN, LOSS), Care(lowered=9)) is None
    assert RobustOverfitting()(falling(DOWN, LOSS), Care(lowered=7)).remedy == "stop"


def silent(*names: str, epochs: int = 3) -> list[dict]:
    return [{"epoch": i + 1, "never_predicted": list(names)} for i in range(epochs)]


def test_a_class_that_is_never_predicted_counts_more_and_more():
    judge = DeadClass()
    assert judge(silent("a", epochs=2), Care()) is None
    assert judge([*silent("a"), {"epoch": 4}], Care()) is None
    alarm = judge(silent("a"), Care())
    assert (alarm.remedy, alarm.of) == ("boost", "a")
    assert judge(silent("a", epochs=5), Care(boosts={"a": 2.0}, boosted={"a": 3})) is None, "it is given time"
    assert judge(silent("a", epochs=6), Care(boosts={"a": 8.0}, boosted={"a": 3})).remedy == "tell"


def dataset(labels: list, kind: str = "multiclass") -> Dataset:
    examples = [Example(str(i), label) for i, label in enumerate(labels)]
    return Dataset("cards", ("a", "b", "c"), kind, examples, lambda e, size, channels: np.full((*size, channels), 99, np.uint8))


def test_classes_and_findings_without_examples_are_named():
    assert without_images(dataset([0, 0, 2])) == ["b"]
    assert without_images(dataset([(1.0, 0.0, float("nan"))], "multilabel")) == ["b", "c"]


def test_the_probe_looks_at_every_class_in_turn():
    assert in_turn(dataset([0, 0, 0, 2, 2, 1])) == [0, 5, 3, 1, 4, 2]


def test_a_gradient_that_is_spread_evenly_has_ratio_one_and_a_single_pixel_one_over_all():
    even, single, none = torch.ones(10), torch.eye(10)[0] * 1e-30, torch.zeros(10)
    assert spread(torch.stack([even, single, none])).tolist() == pytest.approx([1, 0.1, 0])


class Bent(nn.Module):
    """One logit, the mean of a function of the pixels: straight, or a narrow ridge that one step jumps over."""

    def __init__(self, function):
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.function(x).mean((1, 2, 3))[:, None] + self.weight


@pytest.mark.parametrize(
    ("function", "several"),
    [
        (lambda x: x - 0.5, 0.0),  # the class is 0 at 99 / 255: a logit below 0 is right, and no step of 8/255 turns it
        (lambda x: 0.02 - ((x - 99 / 255) - 0.01).abs().clamp(max=0.03), 1.0),
    ],
)
def test_the_probe_tells_a_straight_loss_from_one_with_a_ridge(function, several):
    from robustdx.models import DiagnosticModel

    model = DiagnosticModel(Bent(function), Binary(), size=(4, 4))
    data = Dataset("grey", ("no", "yes"), "binary", [Example("a", 0)], lambda e, size, c: np.full((*size, c), 99, np.uint8))
    told = Probe()(model, data, (4, 4), small(eps="8/255").adversary, 0, "float32", 16)
    assert told["one_step_accuracy"] - told["several_step_accuracy"] == several
    assert told["gradient_cosine"] == pytest.approx(1) if not several else told["gradient_cosine"] < 0.9


def test_the_wrong_mode_is_put_right_and_a_part_that_keeps_itself_frozen_is_left():
    model = new(ModelSpec(source="cnn", size=20), "binary", ("no", "yes")).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    norms[0].eval()
    next(model.parameters()).requires_grad_(False)
    wanted = modes_of(model)
    assert put_right(model, wanted) == ""
    model.eval()
    model.requires_grad_(False)
    assert "4 of them batch norms" in put_right(model, wanted)
    assert modes_of(model) == wanted
