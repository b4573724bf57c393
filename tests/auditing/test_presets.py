"""Presets run on every task, cost what they say, and are refused beside attacks."""

from pathlib import Path

import pytest
import torch
from torch import nn

import robustdx
from robustdx.attacks import ATTACKS
from robustdx.auditing.escalation.steps import STRONG
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.presets import PRESETS
from robustdx.catalogue import build, dump
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, Subject, still
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal
from robustdx.threats import L2, Linf

X = torch.randint(60, 196, (1, 3, 4, 4), generator=torch.Generator().manual_seed(0)) / 255
ONE = Draws(0, ("a",))
NAMES = tuple("abcdefghijkl")
TASKS = {
    "twelve": (MultiClass(NAMES), 12),
    "three": (MultiClass(NAMES[:3]), 3),
    "one logit": (Binary(("no", "yes")), 1),
    "two outputs": (Binary(("no", "yes")), 2),
    "findings": (MultiLabel(NAMES[:4]), 4),
    "grades": (Ordinal(NAMES[:5]), 5),
}
SHORT = {"autoattack"}
"""Nearly 9,000 passes: seconds for each task, so that only one of them is taken."""


class Firm(nn.Module):
    """A linear network whose first class leads by far more than any change can take."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(48, outputs)
        self.lead = nn.Parameter(50 * torch.eye(outputs)[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1)) + self.lead


def passes(task, outputs, attack, threat):
    """What one image that stands takes."""
    with still(model := DiagnosticModel(Firm(outputs), task, size=(4, 4))):
        subject = Subject(model)
        words = {k: v for k, v in attack.items() if k != "images"}
        x_adv = ATTACKS.parse(words)(subject, X, task.decide(model(X)), threat, ONE)
    assert threat.distance(x_adv, X).item() <= threat.eps * (1 + 1e-5)
    return subject.forwards["a"] + subject.backwards["a"]


@pytest.mark.parametrize("preset", PRESETS)
def test_an_image_that_stands_costs_what_the_preset_says(preset):
    for part in PRESETS[preset].parts:
        assert 0.99 * part.passes <= passes(*TASKS["twelve"], part.attack, Linf(2 / 255)) <= part.passes


def test_the_escalation_costs_what_the_page_says():
    told = (Path(__file__).parents[2] / "docs" / "presets.md").read_text()
    assert (
        f"{passes(*TASKS['twelve'], ATTACKS.dump(STRONG), Linf(2 / 255))} passes for each image and eps where the gradient is smooth"
        in told
    )


@pytest.mark.parametrize("threat", [Linf(2 / 255), L2(0.1)], ids=["linf", "l2"])
@pytest.mark.parametrize("task", TASKS)
def test_every_attack_of_a_preset_runs_on_every_task(task, threat):
    for name in ("quick", "standard"):
        for part in PRESETS[name].parts:
            assert 2 <= passes(*TASKS[task], part.attack, threat) <= part.passes + 2


def plan(**words):
    return build(AuditPlan, {"model": {"source": "cnn"}, "data": "synthetic", **words}, where="plan")


def test_a_preset_stands_for_its_attacks():
    made = plan(preset="standard")
    assert [label for label, _ in made.methods()] == ["fgsm", "pgd", "cascade", "square"]
    assert {cell.attack: cell.images for cell, _, _ in made.cells("test")} == {"fgsm": None, "pgd": None, "cascade": None, "square": 100}
    assert build(AuditPlan, dump(made), where="plan") == made


def test_without_one_it_is_fgsm_and_pgd():
    assert [label for label, _ in plan().methods()] == ["fgsm", "pgd"]
    assert plan(attacks=[]).methods() == []


def test_driven_to_the_end_cascades_stay_what_they_are():
    stops = {cell.attack: cell.early_stop for cell, _, _ in plan(preset="standard").driven().cells("test")}
    assert stops == {"fgsm": False, "pgd": False, "cascade": True, "square": False}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"preset": "quick", "attacks": [{"name": "pgd"}]}, "expected a preset or attacks, got both .preset quick.: leave one of them out"),
        ({"preset": "fast"}, "preset: expected one of quick, standard, thorough, clinical, got 'fast'"),
    ],
)
def test_slips(words, told):
    with pytest.raises(PlanError, match=told):
        plan(**words)


def test_the_run_says_which_attacks_it_was(tmp_path):
    pairs = [(torch.randint(0, 256, (3, 4, 4), dtype=torch.uint8), k % 3) for k in range(9)]
    found = robustdx.audit(
        Firm(3),
        pairs,
        out=tmp_path / "run",
        preset="quick",
        eps=["8/255"],
        classes=list("abc"),
        bootstrap=100,
        precision="float32",
        escalation=False,
    )
    assert found["plan"]["preset"] == "quick"
    assert found["plan"]["attacks"] == [dict(attack) for attack in PRESETS["quick"].attacks]
    assert {c["attack"] for c in found["cells"]} == {"clean", "fgsm", "pgd", "worst"}
