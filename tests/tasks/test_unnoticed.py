"""Fooled means wrong and unnoticed, for every task; what is climbed leads there."""

import pytest
import torch

from robustdx.errors import PlanError
from robustdx.tasks import Binary, MultiClass, MultiLabel, Unnoticed

WRONG, RIGHT, SILENT, ALARM = [-1.0, 2.0], [2.0, -1.0], [-0.5], [0.5]
Y = torch.tensor([0])


def outputs(logits, excess):
    return torch.tensor([logits + excess])


@pytest.mark.parametrize(
    ("logits", "excess", "fooled"), [(WRONG, SILENT, True), (WRONG, ALARM, False), (RIGHT, SILENT, False), (RIGHT, ALARM, False)]
)
def test_both_or_it_does_not_count(logits, excess, fooled):
    for decision in (MultiClass(("a", "b")), Binary()):
        task, z = Unnoticed(decision), outputs(logits, excess)
        assert bool(task.fooled(z, Y)) is fooled
        assert float(task.errors(z, Y)) == float(fooled)
        assert bool(task.margin(z, Y) < 0) is fooled
        assert task.margins(z, Y).shape == (1, 1)
        assert int(task.decide(z)) == int(logits is WRONG), "the decision does not look at the score"
        torch.testing.assert_close(task.probabilities(z), decision.probabilities(z[:, :-1]))


def test_of_several_findings_the_share_counts_where_nothing_is_noticed():
    task, y = Unnoticed(MultiLabel(("a", "b"))), torch.tensor([[0.0, 0.0]])
    assert float(task.errors(outputs([3.0, -3.0], SILENT), y)) == 0.5
    assert float(task.errors(outputs([3.0, -3.0], ALARM), y)) == 0


def test_a_score_that_is_no_number_is_an_alarm():
    assert bool(Unnoticed(Binary()).noticed(outputs(WRONG, [float("nan")])))


def test_the_penalty_counts_only_above_the_threshold():
    decision = MultiClass(("a", "b"))
    bare = decision.loss(torch.tensor([WRONG]), Y)
    torch.testing.assert_close(Unnoticed(decision, 3.0).loss(outputs(WRONG, ALARM), Y), bare - 1.5)
    torch.testing.assert_close(Unnoticed(decision, 3.0).loss(outputs(WRONG, SILENT), Y), bare)


def test_selective_follows_one_at_a_time_and_prefers_what_is_wrong():
    task = Unnoticed(MultiClass(("a", "b")), selective=True)
    slopes, values = [], []
    for logits, excess in ((RIGHT, ALARM), (WRONG, [50.0]), (WRONG, ALARM), (WRONG, SILENT)):
        z = outputs(logits, excess).requires_grad_()
        loss = task.loss(z, Y)
        (grad,) = torch.autograd.grad(loss.sum(), z)
        slopes.append((bool(grad[0, :-1].any()), float(grad[0, -1]) < 0))
        values.append(float(loss))
    assert slopes == [(True, False), (False, True), (False, True), (False, False)]
    assert values == sorted(values)


def test_weights_that_mean_nothing_are_refused():
    with pytest.raises(PlanError, match="weight must be a number of at least 0"):
        Unnoticed(Binary(), -1.0)
