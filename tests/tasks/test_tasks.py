"""Every task: values per image, signs that agree with each other, and the same numbers as torch's own losses."""

import pytest
import torch
from torch.nn import functional as F

from robustdx.errors import DataError, ModelError, PlanError
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal, Targeted
from robustdx.tasks.protocol import require_outputs

G = torch.Generator().manual_seed(0)
NAN = float("nan")
CASES = {
    "one logit": (Binary(), torch.randn(20, 1, generator=G), torch.randint(0, 2, (20,), generator=G)),
    "two outputs": (Binary(), torch.randn(20, 2, generator=G), torch.randint(0, 2, (20,), generator=G)),
    "operating point": (Binary(threshold=0.2), torch.randn(20, 1, generator=G), torch.randint(0, 2, (20,), generator=G)),
    "multi-class": (MultiClass(tuple("abcde")), torch.randn(20, 5, generator=G), torch.randint(0, 5, (20,), generator=G)),
    "grades": (Ordinal(tuple("abcd")), torch.randn(20, 4, generator=G), torch.randint(0, 4, (20,), generator=G)),
    "steps between grades": (
        Ordinal(tuple("abcd"), cumulative=True),
        torch.randn(20, 3, generator=G).sort(1, descending=True).values,
        torch.randint(0, 4, (20,), generator=G),
    ),
    "multi-label": (MultiLabel(tuple("abc")), torch.randn(20, 3, generator=G), torch.randint(0, 2, (20, 3), generator=G).float()),
}


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def case(request):
    return request.param


def test_values_are_per_image(case):
    task, outputs, y = case
    for value in (
        task.loss(outputs, y),
        task.margin(outputs, y),
        task.errors(outputs, y),
        task.fooled(outputs, y),
        task.confidence(outputs),
    ):
        assert value.shape == (20,)
    assert task.probabilities(outputs).shape == (20, len(task.classes))


def test_fooled_errors_margin_and_decision_agree(case):
    task, outputs, y = case
    fooled = task.fooled(outputs, y)
    assert torch.equal(fooled, task.margin(outputs, y) < 0)
    assert torch.equal(fooled, task.errors(outputs, y) > 0)
    assert not task.fooled(outputs, task.decide(outputs)).any()


def test_the_least_margin_of_all_rivals_is_the_margin(case):
    task, outputs, y = case
    for seen in (task, Targeted(task)):
        assert torch.equal(seen.margins(outputs, y).amin(1), seen.margin(outputs, y))


def test_an_image_does_not_feel_its_neighbours(case):
    task, outputs, y = case
    for value in (task.loss, task.margin, task.errors):
        assert torch.allclose(value(outputs[3:4], y[3:4]), value(outputs, y)[3:4])


def test_divergence_is_zero_only_from_itself_and_is_kullback_leibler(case):
    task, outputs, _ = case
    other = outputs.flip(0)
    assert torch.allclose(task.divergence(outputs, outputs), torch.zeros(20), atol=1e-6)
    p, q = task.probabilities(other).double(), task.probabilities(outputs).double()
    own = (p * (p / q).log()).sum(1)
    if isinstance(task, MultiLabel):
        own = own + ((1 - p) * ((1 - p) / (1 - q)).log()).sum(1)
    assert torch.allclose(task.divergence(outputs, other).double(), own, atol=1e-5)


def test_losses_are_the_usual_ones():
    binary, z, y = CASES["one logit"]
    assert torch.allclose(binary.loss(z, y), F.binary_cross_entropy_with_logits(z[:, 0], y.float(), reduction="none"))
    two, outputs, y2 = CASES["two outputs"]
    assert torch.allclose(two.loss(outputs, y2), F.cross_entropy(outputs, y2, reduction="none"), atol=1e-6)
    many, logits, labels = CASES["multi-label"]
    assert torch.allclose(many.loss(logits, labels), F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1))


def test_a_finding_that_was_not_annotated_counts_nowhere():
    task, logits, y = CASES["multi-label"]
    blind = y.clone()
    blind[:, 1] = NAN
    without = MultiLabel(("a", "c"))
    kept = logits[:, [0, 2]]
    for value in ("loss", "margin", "errors"):
        assert torch.allclose(getattr(task, value)(logits, blind), getattr(without, value)(kept, y[:, [0, 2]]))
    nothing = torch.full_like(y, NAN)
    assert torch.equal(task.loss(logits, nothing), torch.zeros(20))
    assert not task.fooled(logits, nothing).any()


def test_gradients_pass_a_finding_that_was_not_annotated():
    logits = torch.randn(4, 3, requires_grad=True)
    MultiLabel(tuple("abc")).loss(logits, torch.tensor([[1.0, NAN, 0.0]] * 4)).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, 1] == 0).all()


def test_the_operating_point_moves_the_decision():
    z = torch.tensor([[-1.0]])
    assert int(Binary().decide(z)) == 0
    assert int(Binary(threshold=0.2).decide(z)) == 1


def test_targeted_turns_the_view_round(case):
    task, outputs, y = case
    wanted = Targeted(task)
    assert torch.equal(wanted.loss(outputs, y), -task.loss(outputs, y))
    assert torch.equal(wanted.fooled(outputs, y), ~task.fooled(outputs, y))
    assert torch.equal(wanted.errors(outputs, y) == 1, wanted.fooled(outputs, y))


def test_losses_stay_finite_far_out():
    for task, y in ((Binary(), torch.tensor([1, 0])), (MultiLabel(("a",)), torch.tensor([[1.0], [0.0]]))):
        assert torch.isfinite(task.loss(torch.tensor([[-500.0], [500.0]]), y)).all()


@pytest.mark.parametrize(
    ("task", "y", "words"),
    [
        (MultiClass(tuple("abc")), torch.tensor([0, 3]), "labels from 0 to 2"),
        (MultiClass(tuple("abc")), torch.tensor([0.5, 1.0]), "whole-number labels"),
        (MultiLabel(tuple("ab")), torch.zeros(2, 3), r"shape \(B, 2\)"),
        (MultiLabel(tuple("ab")), torch.tensor([[2.0, 0.0]]), "0, 1 or NaN"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(task, y, words):
    with pytest.raises(DataError, match=words):
        task.require_labels(y)


def test_outputs_of_another_class_count_are_refused():
    with pytest.raises(ModelError, match=r"expects outputs of shape \(B, 3\), the network gives \(2, 7\)"):
        require_outputs(torch.zeros(2, 7), MultiClass(tuple("abc")))


def test_binary_has_two_classes():
    with pytest.raises(PlanError, match="use multiclass"):
        Binary(("a", "b", "c"))
