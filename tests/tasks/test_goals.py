"""Goals: what an adversary is after, told from the decisions alone, and found by PGD where the optimum is known."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn

from robustdx.attacks import PGD
from robustdx.draws import Draws
from robustdx.errors import PlanError, UnsupportedTask
from robustdx.models import DiagnosticModel
from robustdx.tasks import GOALS, Aimed, AllFindings, AnyFinding, Binary, Class, Costly, Finding, Grades, MultiClass, MultiLabel, Ordinal
from robustdx.threats import Linf

B = 200
G = torch.Generator().manual_seed(0)
NAN = float("nan")
FINDINGS = MultiLabel(("effusion", "mass", "nodule"))
GRADES = Ordinal(tuple("01234"))
STEPS = Ordinal(tuple("01234"), cumulative=True)
LESIONS = MultiClass(("nevus", "melanoma", "keratosis"))
COSTS = ((0.0, 1.0, 1.0), (10.0, 0.0, 5.0), (0.0, 0.0, 0.0))


def of_findings():
    """Random logits and labels, some of them not annotated; an image with no label at all."""
    y = torch.randint(0, 2, (B, 3), generator=G).float()
    y[torch.rand(B, 3, generator=G) < 0.15] = NAN
    y[0] = NAN
    return 2 * torch.randn(B, 3, generator=G), y


def of_classes(task):
    return 2 * torch.randn(B, task.outputs[0], generator=G), torch.randint(0, len(task.classes), (B,), generator=G)


def others_stay(y, d, finding):
    return all(d[k] == y[k] for k in range(3) if k != finding and y[k] == y[k])


def wrong(y, d):
    return [a != b for a, b in zip(y, d, strict=True) if a == a]


CASES = {
    "any": (Aimed(FINDINGS, AnyFinding()), lambda y, d: any(wrong(y, d)) if wrong(y, d) else None),
    "all": (Aimed(FINDINGS, AllFindings()), lambda y, d: all(wrong(y, d)) if wrong(y, d) else None),
    "hidden": (
        Aimed(FINDINGS, Finding("mass", "hidden")),
        lambda y, d: d[1] == 0 and others_stay(y, d, 1) if y[1] == 1 else None,
    ),
    "planted": (
        Aimed(FINDINGS, Finding("effusion", "planted")),
        lambda y, d: d[0] == 1 and others_stay(y, d, 0) if y[0] == 0 else None,
    ),
    "turned, whatever else": (
        Aimed(FINDINGS, Finding("nodule", "turned", keep_others=False)),
        lambda y, d: d[2] != y[2] if y[2] == y[2] else None,
    ),
    "two grades away": (Aimed(GRADES, Grades(2)), lambda y, d: abs(d - y) >= 2),
    "upwards": (Aimed(GRADES, Grades(1, "up")), lambda y, d: d > y if y < 4 else None),
    "three down": (Aimed(STEPS, Grades(3, "down")), lambda y, d: d <= y - 3 if y >= 3 else None),
    "a class": (Aimed(LESIONS, Class("nevus")), lambda y, d: d == 0 if y != 0 else None),
    "a class of two": (Aimed(Binary(("healthy", "ill"), threshold=0.2), Class("healthy")), lambda y, d: d == 0 if y == 1 else None),
    "costliest": (Aimed(LESIONS, Costly(COSTS)), lambda y, d: {0: d != 0, 1: d == 0, 2: None}[y]),
    "costs 5": (Aimed(LESIONS, Costly(COSTS, at_least=5)), lambda y, d: d != 1 if y == 1 else None),
    "costly grades": (
        Aimed(STEPS, Costly(tuple(tuple(float(abs(i - j)) for j in range(5)) for i in range(5)))),
        lambda y, d: abs(d - y) == max(y, 4 - y),
    ),
}


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def case(request):
    task, reached = request.param
    return task, *(of_findings() if isinstance(task.task, MultiLabel) else of_classes(task)), reached


def test_it_is_reached_where_the_decisions_say_so(case):
    """None: the goal cannot be asked of the image."""
    task, outputs, y, reached = case
    by_hand = [reached(label, decided) for label, decided in zip(y.tolist(), task.decide(outputs).tolist(), strict=True)]
    assert [bool(f) if asked else None for f, asked in zip(task.fooled(outputs, y), task.asked(y), strict=True)] == by_hand
    assert {True, False} <= set(by_hand)


def test_errors_margins_and_fooled_say_the_same(case):
    task, outputs, y, _ = case
    fooled, margins = task.fooled(outputs, y), task.margins(outputs, y)
    assert torch.equal(task.errors(outputs, y), fooled.float())
    assert torch.equal(task.margin(outputs, y), margins.amin(1))
    assert torch.equal(fooled, margins.amin(1) < 0)
    assert not margins.isnan().any()


def test_what_cannot_be_asked_is_never_beaten_and_pulls_nowhere(case):
    task, outputs, y, _ = case
    outputs = (100 * outputs).requires_grad_()
    (grad,) = torch.autograd.grad(task.loss(outputs, y).sum(), outputs)
    no = ~task.asked(y)
    assert grad.isfinite().all()
    assert task.loss(outputs, y).isfinite().all()
    assert (task.margin(outputs, y)[no] == torch.inf).all()
    assert (grad[no] == 0).all()
    assert (grad[~no & ~task.fooled(outputs, y)].abs().sum(1) > 0).all()
    finite = task.margins(outputs, y)
    (slope,) = torch.autograd.grad(finite[finite.isfinite()].sum(), outputs)
    assert slope.isfinite().all()


def test_following_the_loss_reaches_the_goal(case):
    """Of outputs that are free to move, every goal that can be asked is reached."""
    task, outputs, y, _ = case
    for _ in range(400):
        outputs = outputs.detach().requires_grad_()
        (grad,) = torch.autograd.grad(task.loss(outputs, y).sum(), outputs)
        outputs = outputs + 0.1 * grad / grad.norm(dim=1, keepdim=True).clamp_min(1e-9)
    assert torch.equal(task.fooled(outputs, y), task.asked(y))


def test_an_image_does_not_feel_its_neighbours(case):
    task, outputs, y, _ = case
    for value in (task.loss, task.margins, task.errors):
        assert torch.allclose(value(outputs[3:7], y[3:7]), value(outputs, y)[3:7])


def test_what_is_decided_and_shown_stays_the_plain_task_s(case):
    task, outputs, *_ = case
    for value in ("decide", "probabilities", "confidence"):
        assert torch.equal(getattr(task, value)(outputs), getattr(task.task, value)(outputs))
    assert torch.equal(task.divergence(outputs, outputs.flip(0)), task.task.divergence(outputs, outputs.flip(0)))
    assert (task.classes, task.outputs, task.activation) == (task.task.classes, task.task.outputs, task.task.activation)


def test_the_loss_follows_the_scale_of_the_logits():
    """A network with logits times 1000 is climbed in the same direction, which no saturated softmax hides."""
    for name in ("all", "hidden", "two grades away", "a class"):
        task, _ = CASES[name]
        outputs, y = of_findings() if isinstance(task.task, MultiLabel) else of_classes(task)
        outputs.requires_grad_()
        (grad,) = torch.autograd.grad(task.loss(outputs, y).sum(), outputs)
        (far,) = torch.autograd.grad(task.loss(1000 * outputs, y).sum(), outputs)
        assert torch.allclose(far, 1000 * grad, rtol=1e-3, atol=1e-2)


def test_with_one_level_the_loss_of_costs_is_the_logarithm_of_what_is_expected():
    _, (outputs, y) = LESIONS, of_classes(LESIONS)
    task = Aimed(LESIONS, Costly(((0.0, 1.0, 0.0), (1.0, 0.0, 1.0), (1.0, 0.0, 0.0))))
    expected = (task.probabilities(outputs) * torch.tensor(task.goal.costs)[y]).sum(1)
    assert torch.allclose(task.loss(outputs, y), expected.log(), atol=1e-5)


def test_with_several_levels_each_chance_counts_by_its_step():
    """Costs 0, 1, 5 and 10: E = 1 P(>= 1) + 4 P(>= 5) + 5 P(>= 10), and what is climbed has the logarithms."""
    task = CASES["costliest"][0]
    outputs, y = torch.randn(B, 3, generator=G), torch.ones(B, dtype=torch.long)
    p = task.probabilities(outputs)
    wrong = p[:, 0] + p[:, 2]
    assert torch.allclose(wrong + 4 * wrong + 5 * p[:, 0], (p * torch.tensor(COSTS)[1]).sum(1))
    assert torch.allclose(task.loss(outputs, y), 5 * wrong.log() + 5 * p[:, 0].log(), atol=1e-5)


def test_the_others_are_held_at_what_the_model_said_of_the_clean_image():
    """The label of the finding itself stays; NaN of the others gives way to a decision."""
    y = torch.tensor([[1.0, NAN, 0.0], [0.0, 1.0, NAN]])
    decided = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    task, free = (Aimed(FINDINGS, goal) for goal in (Finding("effusion"), AnyFinding()))
    assert task.labels(y, decided).tolist() == [[1, 1, 1], [0, 1, 0]]
    assert torch.equal(free.labels(y, decided).nan_to_num(), y.nan_to_num())


# ---- the optimum on linear models -----------------------------------------------------------------------------------

N, IMAGES, EPS = 27, 12, 0.04
DRAWS = Draws(0, tuple(map(str, range(IMAGES))))


def linear(task, seed=1):
    torch.manual_seed(seed)
    layer = nn.Linear(N, task.outputs[0])
    nn.init.normal_(layer.weight, std=1.0)
    return DiagnosticModel(nn.Sequential(nn.Flatten(), layer), task).eval()


def images():
    return 0.3 + 0.4 * torch.rand(IMAGES, 3, 3, 3, generator=torch.Generator().manual_seed(2))


def least(rows, values):
    """min over |d| <= EPS of max_i (values_i + rows_i d), by a linear programme."""
    rows, values = np.atleast_2d(rows), np.atleast_1d(values)
    a = np.hstack([rows, -np.ones((len(rows), 1))])
    c = np.r_[np.zeros(N), 1.0]
    return linprog(c, a, -values, bounds=[(-EPS, EPS)] * N + [(None, None)]).fun


def ways(task, w, z, y):
    """For each image the ways to its goal: rows and values that must all fall below 0."""
    if isinstance(task.goal, AnyFinding):
        return [(s * w[k], s * z[k]) for k, s in enumerate(2 * y - 1)]
    if isinstance(task.goal, AllFindings):
        signs = 2 * y - 1
        return [(signs[:, None] * w, signs * z)]
    if isinstance(task.goal, Finding):
        own = np.arange(len(y)) == task.classes.index(task.goal.finding)
        signs = np.where(own, 2 * y - 1, 1 - 2 * y)
        return [(signs[:, None] * w, signs * z)]
    wanted = [c for c in range(len(z)) if abs(c - y) >= task.goal.at_least]
    rest = [c for c in range(len(z)) if c not in wanted]
    return [(w[rest] - w[c], z[rest] - z[c]) for c in wanted]


@pytest.mark.parametrize("goal", [AnyFinding(), AllFindings(), Finding("mass", "turned"), Grades(2)], ids=str)
def test_pgd_reaches_the_optimum_of_a_linear_model(goal):
    """The least margin that any image inside the budget has, by linear programming over every way to the goal."""
    task = Aimed(GRADES if isinstance(goal, Grades) else FINDINGS, goal)
    model, x = linear(task), images()
    z = model(x).detach()
    y = task.decide(z)
    w = model.network[1].weight.detach().double().numpy()
    best = [min(least(*way) for way in ways(task, w, z[i].double().numpy(), y[i].double().numpy())) for i in range(IMAGES)]
    attack = PGD(steps=120, restarts=4, early_stop=False)
    found = task.margin(model(attack(model, x, y, Linf(EPS), DRAWS)), y).detach().double().numpy()
    best = np.array(best)
    moved = np.abs(task.margin(z, y).double().numpy() - best)
    assert (found >= best - 1e-4).all()
    if isinstance(goal, AnyFinding):  # of several ways, one that leads there will do
        assert ((found < 0) == (best < 0))[np.abs(best) > 0.05 * moved].all()
    else:
        assert (found - best <= 0.05 * moved).all()


def test_any_is_the_easiest_of_the_findings_and_all_no_easier_than_the_hardest():
    model, x = linear(FINDINGS), images()
    y = FINDINGS.decide(model(x))
    attack = PGD(steps=40, restarts=2)

    def beaten(goal):
        own = model.with_task(Aimed(FINDINGS, goal))
        return own.task.fooled(own(attack(own, x, y, Linf(EPS), DRAWS)), y)

    one_by_one = [beaten(Finding(name, "turned", keep_others=False)) for name in FINDINGS.classes]
    assert torch.equal(beaten(AnyFinding()), torch.stack(one_by_one).any(0))
    assert not (beaten(AllFindings()) & ~torch.stack(one_by_one).all(0)).any()
    for name, alone in zip(FINDINGS.classes, one_by_one, strict=True):
        assert not (beaten(Finding(name, "turned")) & ~alone).any()


# ---- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("goal", [case[0].goal for case in CASES.values()], ids=list(CASES))
def test_its_words_make_it_again(goal):
    assert GOALS.parse(GOALS.dump(goal)) == goal
    assert hash(goal) == hash(GOALS.parse(GOALS.dump(goal)))


@pytest.mark.parametrize(
    ("task", "goal", "words"),
    [
        (LESIONS, Grades(2), 'ordered grades, got MultiClass with the classes nevus, melanoma, keratosis: say task = "ordinal"'),
        (FINDINGS, Grades(2), "ordered grades, got MultiLabel"),
        (LESIONS, Finding("mass"), "multi-label tasks, got MultiClass"),
        (Binary(), AllFindings(), "multi-label tasks, got Binary"),
        (FINDINGS, Class("mass"), "take the goal finding"),
        (FINDINGS, Costly(COSTS), "take the goal finding"),
        (Aimed(LESIONS, Class("nevus")), Class("nevus"), "one of several classes"),
    ],
)
def test_a_goal_without_meaning_for_the_task_is_refused(task, goal, words):
    with pytest.raises(UnsupportedTask, match=words):
        Aimed(task, goal)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Aimed(FINDINGS, Finding("efusion")), "did you mean effusion"),
        (lambda: Aimed(LESIONS, Class("melanom")), "did you mean melanoma"),
        (lambda: Aimed(GRADES, Grades(5)), "at most 4 apart"),
        (lambda: Grades(0), "at least 1 grade"),
        (lambda: Costly(((0.0, 1.0),)), "square table"),
        (lambda: Costly(((0.0, -1.0), (1.0, 0.0))), "from 0 upwards"),
        (lambda: Costly(((1.0, 1.0), (1.0, 0.0))), "diagonal"),
        (lambda: Costly(((0.0, 1.0), (1.0, 0.0)), at_least=3), "no higher than the largest cost, 1"),
        (lambda: Aimed(LESIONS, Costly(((0.0, 1.0), (1.0, 0.0)))), "each of 3 classes"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, words):
    with pytest.raises(PlanError, match=words):
        make()
