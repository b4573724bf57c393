"""A black box answers, counts and refuses; what it hides stays hidden."""

from math import log

import pytest
import torch
from torch import nn

from robustdx.attacks import FGSM, PGD, Square
from robustdx.attacks.boundary import Boundary
from robustdx.attacks.hopskipjump import HopSkipJump
from robustdx.attacks.nes import NES
from robustdx.attacks.simba import SimBA
from robustdx.draws import Draws
from robustdx.errors import PlanError, RobustdxError
from robustdx.models import DiagnosticModel, Subject
from robustdx.models.oracle import Oracle
from robustdx.tasks import Binary, MultiClass
from robustdx.threats import L2, Linf

B = 4
DRAWS = Draws(0, tuple("abcd"))
X = torch.rand(B, 3, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 0, 1])
SCORES = [Square(queries=40), SimBA(queries=40), NES(queries=40, samples=6)]
LABELS = [HopSkipJump(queries=40, samples=6), Boundary(queries=40)]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DiagnosticModel(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), MultiClass(("a", "b"))).eval()


def test_it_answers_what_the_model_answers_without_a_gradient(model):
    outputs = Oracle(model)(X, DRAWS)
    assert torch.equal(outputs, model(X))
    assert not outputs.requires_grad


def test_each_query_is_counted_for_its_image(model):
    oracle = Oracle(model)
    oracle(X, DRAWS)
    oracle(X[:2], DRAWS.take([0, 1]))
    oracle.exact(X[:1].repeat(3, 1, 1, 1), DRAWS.take([0, 0, 0]))
    assert oracle.queries == {"a": 5, "b": 2, "c": 1, "d": 1}


def test_queries_are_passes_of_the_subject_behind_it(model):
    subject = Subject(model)
    oracle = Oracle(subject)
    Square(queries=30)(oracle, X, Y, Linf(1 / 255), DRAWS)
    assert oracle.queries == subject.forwards


@pytest.mark.parametrize("attack", [FGSM(), PGD(steps=2)], ids=str)
@pytest.mark.parametrize(("reveals", "advice"), [("scores", "square, simba or nes"), ("labels", "hopskipjump or boundary")])
def test_who_needs_gradients_is_told_what_to_take(model, attack, reveals, advice):
    oracle = Oracle(model, reveals=reveals)
    with pytest.raises(RobustdxError, match=f"black box .* asks for a gradient: take {advice}"):
        attack(oracle, X, Y, Linf(8 / 255), DRAWS)
    assert not oracle.queries


@pytest.mark.parametrize("attack", SCORES, ids=str)
def test_who_needs_scores_is_told_what_to_take(model, attack):
    with pytest.raises(PlanError, match=r"reveals only its labels.*take hopskipjump or boundary"):
        attack(Oracle(model, reveals="labels"), X, Y, Linf(8 / 255), DRAWS)


@pytest.mark.parametrize("attack", LABELS, ids=str)
def test_labels_are_all_that_a_label_only_attack_sees(model, attack):
    """It gives the same images for labels as for scores, and for any network that decides alike."""
    threat = L2(1.0)
    on_labels = attack(Oracle(model, reveals="labels"), X, Y, threat, DRAWS)
    assert torch.equal(on_labels, attack(Oracle(model), X, Y, threat, DRAWS))
    layer = model.network[1]
    layer.weight.data *= 2
    layer.bias.data *= 2
    assert torch.equal(on_labels, attack(Oracle(model, reveals="labels"), X, Y, threat, DRAWS))


@pytest.mark.parametrize("attack", SCORES + LABELS, ids=str)
@pytest.mark.parametrize("budget", [1, 2, 7, 25])
def test_attacks_end_with_the_budget_and_keep_to_the_threat(model, attack, budget):
    oracle, threat = Oracle(model, reveals="labels" if attack in LABELS else "scores", budget=budget), L2(0.5)
    x_adv = attack(oracle, X, Y, threat, DRAWS)
    assert max(oracle.queries.values()) <= budget
    assert (threat.distance(x_adv, X) <= threat.eps * (1 + 1e-5)).all()
    assert (model.task.errors(model(x_adv), Y) >= model.task.errors(model(X), Y)).all()


def test_one_query_too_many_is_refused_by_image(model):
    oracle = Oracle(model, budget=2)
    oracle(X, DRAWS)
    oracle(X[:1], DRAWS.take([0]))
    assert oracle.left(DRAWS).tolist() == [0, 1, 1, 1]
    with pytest.raises(PlanError, match="answers 2 queries for each image, and those for a are spent"):
        oracle(X, DRAWS)
    assert oracle.left(DRAWS).tolist() == [0, 1, 1, 1], "a refused query is no query"


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_of_no_query_is_refused(model, budget):
    with pytest.raises(PlanError, match=f"at least 1 query for each image, got {budget}"):
        Oracle(model, budget=budget)


def test_an_unknown_thing_to_reveal_is_refused(model):
    with pytest.raises(PlanError, match='"scores" or "labels"'):
        Oracle(model, reveals="gradients")


def test_decisions_tell_nothing_of_how_nearly(model):
    task = Oracle(model, reveals="labels").task
    outputs = model(X)
    assert torch.equal(task.decide(outputs), model.task.decide(outputs))
    assert torch.equal(task.fooled(outputs, Y), model.task.fooled(outputs, Y))
    for ask in (task.loss, task.margin, task.margins, task.divergence):
        with pytest.raises(PlanError, match="black box"):
            ask(outputs, Y)
    for ask in (task.probabilities, task.confidence):
        with pytest.raises(PlanError, match="black box"):
            ask(outputs)
    assert task.classes == model.task.classes
    assert (task.activation, task.outputs) == (model.task.activation, model.task.outputs)
    with pytest.raises(RobustdxError):
        task.require_labels(torch.tensor([7]))


def test_the_answer_is_float32_whatever_the_search_is_in(model):
    subject = Subject(model, model.in_precision(torch.bfloat16))
    assert torch.equal(Oracle(subject)(X, DRAWS), model(X))
    assert not Oracle(subject).rough


def test_one_logit_with_another_operating_point():
    torch.manual_seed(0)
    model = DiagnosticModel(nn.Sequential(nn.Flatten(), nn.Linear(192, 1)), Binary(threshold=0.3)).eval()
    model.network[1].bias.data += log(0.3 / 0.7) - model(X).detach().mean()  # images lie on both sides
    y = model.task.decide(model(X))
    x_adv = HopSkipJump(queries=300, samples=20)(Oracle(model, reveals="labels"), X, y, L2(3.0), DRAWS)
    assert (model.task.fooled(model(x_adv), y)).float().mean() > 0.5
