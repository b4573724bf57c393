"""AutoAttack where its reference is not defined: equal verdicts whatever form answers come in, and on findings those of brute force."""

import pytest
import torch
from scipy.optimize import linprog
from test_apgd import DRAWS, TwoOutputs, X, model_of, net
from test_closed_form import DRAWS as SIX
from test_closed_form import images, linear
from test_nearest import together
from torch import nn

from robustdx.attacks import ATTACKS, FMN, Square
from robustdx.attacks.autoattack import AUTOATTACK
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import Binary, MultiClass, MultiLabel
from robustdx.tasks.goals import Aimed, AllFindings, AnyFinding, Finding
from robustdx.threats import L2, Linf

SHORTER = {"apgd": {"steps": 40}, "apgd-targeted": {"steps": 40}, "fab": {"steps": 20}, "square": {"queries": 300}}
BRIEF = ATTACKS.parse({"name": "cascade", "members": [{**m, **SHORTER[m["name"]]} for m in AUTOATTACK["autoattack"]["members"]]})
"""The four members of `autoattack` with fewer steps, so that a test takes seconds."""
KINDS = pytest.mark.parametrize("kind", [Linf, L2])
SEARCHES = pytest.mark.parametrize("rough", [False, True], ids=["float32", "bfloat16"])


class Ending(nn.Module):
    """A network whose logits go through something more."""

    def __init__(self, network, then):
        super().__init__()
        self.network, self.then = network, then

    def forward(self, x):
        return self.then(self.network(x))


def halving(model, y, kind):
    """The threat under which half of the images stand, and so a weaker attack shows."""
    far = kind(1.0 if kind is Linf else 50.0)
    return kind(float(far.distance(FMN()(model, X, y, far, DRAWS), X).median()))


def beaten(model, y, threat, rough=False, draws=DRAWS):
    """(N,): which images AutoAttack beats."""
    subject = Subject(model, model.in_precision(torch.bfloat16).eval().requires_grad_(False)) if rough else Subject(model)
    return model.task.fooled(model(BRIEF(subject, X, y, threat, draws)), y)


def standing(model, y, threat, rough):
    """Share of the images that AutoAttack leaves standing; bfloat16, where an image on the brink falls by chance, is given four tries."""
    tries = [Draws(seed, DRAWS.ids) for seed in range(4 if rough else 1)]
    return 1 - torch.stack([beaten(model, y, threat, rough, draws).float() for draws in tries]).mean()


@KINDS
@SEARCHES
def test_one_logit_two_outputs_and_probabilities_get_the_same_verdicts(kind, rough):
    network = net(1)
    one, two = model_of(network, Binary()), model_of(TwoOutputs(network), Binary())
    likely = DiagnosticModel(TwoOutputs(network, nn.Softmax(1)), Binary(), size=(8, 8), outputs="probabilities").eval()
    y = (one(X)[:, 0] > 0).long()
    threat = halving(one, y, kind)
    said = [beaten(m, y, threat, rough) for m in (one, two, likely.requires_grad_(False))]
    assert 0.1 < said[0].float().mean() < 0.9
    assert torch.equal(said[0], said[1])
    assert torch.equal(said[0], said[2])


@KINDS
@SEARCHES
@pytest.mark.parametrize("outputs", [1, 5])
def test_saturated_and_cold_logits_hide_no_more_than_a_point(kind, rough, outputs):
    """Logits times 1,000, and a temperature of 0.01."""
    task = Binary() if outputs == 1 else MultiClass(tuple("abcde"[:outputs]))
    network = net(outputs)
    plain = model_of(network, task)
    y = task.decide(plain(X))
    threat = halving(plain, y, kind)
    stand = standing(plain, y, threat, rough)
    assert 0.1 < stand < 0.9
    for scale in (1000.0, 100.0):
        scaled = model_of(Ending(network, lambda z, scale=scale: z * scale), task)
        assert standing(scaled, y, threat, rough) <= stand + 0.01


def test_logits_rounded_to_a_grid_are_searched_by_asking():
    """They have no gradient at all. Square, the last member, still finds most of what it finds without the rounding."""
    task, network = MultiClass(tuple("abcde")), net(5)
    plain = model_of(network, task)
    y = task.decide(plain(X))
    threat, grid = halving(plain, y, Linf), float(task.margin(plain(X), y).median()) / 100
    rounded = model_of(Ending(network, lambda z: (z.detach() / grid).round() * grid + 0 * z), task)
    by_asking = task.fooled(plain(Square(queries=300)(plain, X, y, threat, DRAWS)), y).float().mean()
    assert beaten(rounded, y, threat).float().mean() >= 0.7 * by_asking > 0


def least(model, x, y, ways):
    """The smallest Linf change that turns all findings of one of the ways, by linear programmes; findings not named may do as they like."""
    w, z = model.network[1].weight.detach().double(), model(x[None])[0].detach().double()
    found = []
    for way in ways:
        sign = (2 * y[way] - 1).double()
        rows = torch.cat((sign[:, None] * w[way], torch.zeros(len(way), 1)), 1)
        box = torch.cat((torch.cat((torch.eye(x.numel()), -torch.eye(x.numel()))), -torch.ones(2 * x.numel(), 1)), 1)
        limits = [(-float(p), 1 - float(p)) for p in x.flatten()] + [(0, 1)]
        sides = torch.cat((-sign * z[way], torch.zeros(2 * x.numel())))
        answer = linprog([0.0] * x.numel() + [1.0], torch.cat((rows, box)).numpy(), sides.numpy(), bounds=limits)
        found.append(answer.fun if answer.success else float("inf"))
    return min(found)


GOALS = pytest.mark.parametrize(
    ("goal", "ways"),
    [(AnyFinding(), [[0], [1], [2]]), (AllFindings(), [[0, 1, 2]]), (Finding("b", "turned", keep_others=False), [[1]])],
    ids=["any", "all", "named"],
)


def nearest(model, x, y, ways):
    """The smallest Euclidean change that does the same, by all sets of findings that it may bring to their boundaries."""
    w, z, sign = model.network[1].weight.detach().double(), model(x[None])[0].detach().double(), (2 * y - 1).double()
    return min(together(sign[way, None] * w[way], sign[way] * z[way]) for way in map(torch.tensor, ways))


@KINDS
@GOALS
def test_goals_among_findings_are_reached_where_brute_force_reaches_them(goal, ways, kind):
    """Each image at a budget of its own, 2 % above the smallest change that does it, and 1 % below: there nothing may."""
    inner = MultiLabel(tuple("abc"))
    model, x = linear(inner, 3), images()[:3]
    y = (model(x) > 0).float()
    aimed = model.with_task(Aimed(inner, goal))
    for i in range(len(x)):
        one, best = slice(i, i + 1), least(model, x[i], y[i], ways) if kind is Linf else nearest(model, x[i], y[i], ways)
        for share, falls in ((1.02, True), (0.99, False)):
            x_adv = BRIEF(aimed, x[one], y[one], kind(best * share), SIX.take([i]))
            assert bool(aimed.task.fooled(model(x_adv), y[one])) is falls
