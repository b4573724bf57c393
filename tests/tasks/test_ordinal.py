"""Grades: read from K outputs or from K - 1 steps, with a margin against every other grade."""

import pytest
import torch
from torch.nn import functional as F

from robustdx.tasks import Binary, MultiClass, Ordinal

G = torch.Generator().manual_seed(0)
GRADES = tuple("01234")
Z = 3 * torch.randn(50, 4, generator=G)
STEPS = Ordinal(GRADES, cumulative=True)


def test_with_k_outputs_it_is_the_task_of_several_classes():
    grades, classes = Ordinal(GRADES), MultiClass(GRADES)
    outputs, y = torch.randn(50, 5, generator=G), torch.randint(0, 5, (50,), generator=G)
    for value in ("loss", "margin", "margins", "errors"):
        assert torch.equal(getattr(grades, value)(outputs, y), getattr(classes, value)(outputs, y))


def test_two_grades_in_one_step_are_the_binary_task():
    steps, binary = Ordinal(("no", "yes"), cumulative=True), Binary(("no", "yes"))
    z, y = torch.randn(50, 1, generator=G), torch.randint(0, 2, (50,), generator=G)
    assert torch.equal(steps.decide(z), binary.decide(z))
    for value in ("probabilities", "log_probabilities"):
        assert torch.allclose(getattr(steps, value)(z), getattr(binary, value)(z), atol=1e-5)
    assert torch.allclose(steps.loss(z, y), binary.loss(z, y), atol=1e-6)
    assert torch.allclose(steps.margin(z, y), binary.margin(z, y))


def test_a_grade_is_reached_only_over_all_lower_steps():
    """The number of steps taken before the first that is not."""
    by_hand = torch.tensor([next((k for k, z in enumerate(row) if z <= 0), 4) for row in Z.tolist()])
    assert torch.equal(STEPS.decide(Z), by_hand)


def test_probabilities_of_grades_are_differences_of_steps():
    falling = Z.sort(1, descending=True).values
    p = STEPS.probabilities(falling)
    assert torch.allclose(p.sum(1), torch.ones(50))
    for k in range(4):
        assert torch.allclose(p[:, k + 1 :].sum(1), falling[:, k].sigmoid(), atol=1e-6)
    assert torch.allclose(STEPS.log_probabilities(falling).exp(), p, atol=1e-5)


def test_far_out_the_gradient_of_the_logarithm_is_still_there():
    z = torch.tensor([[200.0, 150.0, -90.0, -100.0]], requires_grad=True)
    log_p = STEPS.log_probabilities(z)
    assert log_p.isfinite().all()
    for k in range(5):
        (grad,) = torch.autograd.grad(log_p[0, k], z, retain_graph=True)
        assert grad.isfinite().all()
        assert k == 2 or grad.abs().max() > 0.5


def test_a_grade_costs_more_the_further_it_is_away():
    sure_of_0 = torch.full((5, 4), -5.0)
    assert (STEPS.loss(sure_of_0, torch.arange(5)).diff() > 4).all()
    y = torch.randint(0, 5, (50,), generator=G)
    above = (y[:, None] > torch.arange(4)).float()
    assert torch.allclose(STEPS.loss(Z, y), F.binary_cross_entropy_with_logits(Z, above, reduction="none").sum(1))


def test_grades_off_has_a_sign():
    outputs = torch.eye(5)[[4, 0, 2]]
    assert Ordinal(GRADES).grades_off(outputs, torch.tensor([1, 1, 2])).tolist() == [3, -1, 0]


@pytest.mark.parametrize("task", [Ordinal(GRADES), STEPS], ids=["outputs", "steps"])
def test_the_margin_against_a_grade_is_what_keeps_it_from_being_decided(task):
    """Pushing the outputs along the gradient of one column by a little more than the margin makes that grade beat the label."""
    outputs = torch.randn(20, task.outputs[0], generator=G)
    y = task.decide(outputs)
    margins = task.margins(outputs, y)
    assert (margins >= 0).all()
    assert torch.equal(margins.isinf(), F.one_hot(y, 5).bool())
