"""Objectives by hand, at their limits, and with the numbers that their papers state."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.stats import chisquare, kstest
from small_networks import DRAWS, MEAN, STD, B, gradients, images, labels, model
from torch import nn

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.tasks import Binary, MultiClass, MultiLabel
from robustdx.threats import Linf
from robustdx.training import OBJECTIVES
from robustdx.training.objectives import AWP, Focal, MAAdvT, Madry, Mart, MPAdvT, Standard, Trades
from robustdx.training.objectives.decisions import strayed
from robustdx.training.objectives.mpadvt import drawn

THREAT = Linf(8 / 255)
NOTHING = Linf(0.0)


class Spoken(nn.Module):
    """The three channels of a pixel are the probabilities of the three classes: numbers can be read off."""

    def forward(self, x):
        return x[:, :, 0, 0].log()


LN = math.log
CLEAN = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])[..., None, None]
SHOWN = torch.tensor([[0.5, 0.4, 0.1], [0.2, 0.7, 0.1]])[..., None, None]
LABELS = torch.tensor([0, 0])
APART = [0.7 * LN(0.7 / 0.5) + 0.2 * LN(0.2 / 0.4), 0.3 * LN(0.3 / 0.2) + 0.6 * LN(0.6 / 0.7)]


@pytest.mark.parametrize(
    ("objective", "by_hand"),
    [
        (Trades(beta=6), [-LN(0.7) + 6 * APART[0], -LN(0.3) + 6 * APART[1]]),
        (Mart(beta=5), [-LN(0.5) - LN(1 - 0.4) + 5 * 0.3 * APART[0], -LN(0.2) - LN(1 - 0.7) + 5 * 0.7 * APART[1]]),
        (Mart(beta=0), [-LN(0.5) - LN(0.6), -LN(0.2) - LN(0.3)]),
        (Focal(gamma=2), [-(0.5**2) * LN(0.5), -(0.8**2) * LN(0.2)]),
    ],
    ids=["trades", "mart", "boosted cross-entropy", "focal"],
)
def test_two_images_by_hand(objective, by_hand):
    one = DiagnosticModel(Spoken(), MultiClass(tuple("abc")))
    loss = objective.loss(one, CLEAN, SHOWN, LABELS, THREAT, DRAWS.take([0, 1]))
    assert loss.tolist() == pytest.approx(by_hand, rel=1e-5)


def test_two_images_in_figures():
    """The same as above, to be checked with a pocket calculator."""
    one = DiagnosticModel(Spoken(), MultiClass(tuple("abc")))
    two = DRAWS.take([0, 1])
    assert Trades().loss(one, CLEAN, SHOWN, LABELS, THREAT, two).tolist() == pytest.approx([0.938083, 1.378868], abs=2e-6)
    assert Mart().loss(one, CLEAN, SHOWN, LABELS, THREAT, two).tolist() == pytest.approx([1.349325, 2.915432], abs=2e-6)


@pytest.mark.parametrize("task", ["one logit", "two outputs", "multi-class", "ordinal", "cumulative"])
def test_one_decision_strays_by_the_divergence_of_its_task(task):
    one, x, y = model(task).eval(), images(), labels(task)
    with torch.no_grad():
        a, b = one(x), one(1 - x)
    torch.testing.assert_close(strayed(one.task, a, b, y), one.task.divergence(a, b), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("objective", [Mart(steps=3), MAAdvT(), Trades(steps=3)], ids=["mart", "maadvt", "trades"])
def test_one_finding_is_the_binary_task(objective):
    one = model("one logit", norm=False)
    finding = one.with_task(MultiLabel(("melanoma",)))
    x, y = images(), torch.tensor([0, 1, 1])
    ours, theirs = objective(finding, x, y[:, None].float(), THREAT, DRAWS), objective(one, x, y, THREAT, DRAWS)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["mart", "maadvt", "trades", "focal", "mpadvt", "madry"])
def test_one_logit_is_two_outputs(name):
    one = model("one logit", norm=False)
    two = nn.Sequential(one.network, Doubled())
    pair = DiagnosticModel(two, Binary(), mean=MEAN, std=STD).train()
    x, y, objective = images(), labels("one logit"), OBJECTIVES.parse(name)
    torch.testing.assert_close(objective(one, x, y, THREAT, DRAWS), objective(pair, x, y, THREAT, DRAWS), rtol=1e-4, atol=1e-5)


class Doubled(nn.Module):
    """Two outputs whose difference is the logit."""

    def forward(self, z):
        return torch.cat([-z / 2, z / 2], 1)


PLAIN, FGSM = {"name": "standard"}, {"name": "at-fgsm"}
LIMITS = [
    ({"name": "trades", "beta": 0}, PLAIN, THREAT),
    ({"name": "focal", "gamma": 0}, PLAIN, THREAT),
    ({"name": "mpadvt", "gamma": 0}, PLAIN, NOTHING),
    ({"name": "madry"}, PLAIN, NOTHING),
    ({"name": "at-mixed"}, PLAIN, NOTHING),
    ({"name": "advt"}, PLAIN, NOTHING),
    ({"name": "trades"}, PLAIN, NOTHING),
    ({"name": "n-fgsm"}, PLAIN, NOTHING),
    ({"name": "grad-align"}, PLAIN, NOTHING),
    ({"name": "free"}, PLAIN, NOTHING),
    ({"name": "universal"}, PLAIN, NOTHING),
    ({"name": "mart"}, {"name": "mart", "beta": 0}, NOTHING),
    ({"name": "maadvt", "steps": 3, "beta": 2}, {"name": "mart", "steps": 3, "beta": 2}, THREAT),
    ({"name": "n-fgsm", "k": 0}, FGSM, THREAT),
    ({"name": "grad-align", "weight": 0}, FGSM, THREAT),
    ({"name": "awp", "gamma": 0, "objective": "trades"}, {"name": "trades"}, THREAT),
    ({"name": "awp", "objective": "madry"}, {"name": "awp", "objective": "standard"}, NOTHING),
    ({"name": "advt"}, {"name": "madry", "steps": 4, "step_size": 0.25}, THREAT),
]


@pytest.mark.parametrize("task", ["one logit", "multi-class", "multi-label", "cumulative"])
@pytest.mark.parametrize(("words", "simpler", "threat"), LIMITS, ids=[f"{a['name']}-{b['name']}-{t.eps:.2f}" for a, b, t in LIMITS])
def test_at_its_limit_it_is_a_simpler_objective(words, simpler, threat, task):
    x, y = images(), labels(task)
    losses, slopes = [], []
    for each in (words, simpler):
        one = model(task, norm=False)
        losses.append(OBJECTIVES.parse(each)(one, x, y, threat, DRAWS))
        losses[-1].mean().backward()
        slopes.append(gradients(one))
    torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-6)
    for a, b in zip(*slopes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_universal_perturbation_of_one_image_is_its_own():
    x, y, one = images()[:1] * 0.5 + 0.2, labels("multi-class")[:1], model("multi-class", norm=False)
    words = {"steps": 3, "step_size": 0.5}
    alone = OBJECTIVES.parse({"name": "universal", **words})(one, x, y, THREAT, DRAWS.take([0]))
    torch.testing.assert_close(alone, OBJECTIVES.parse({"name": "madry", **words})(one, x, y, THREAT, DRAWS.take([0])))


def test_a_universal_perturbation_is_shared():
    one, x = model("multi-class"), images() * 0.5 + 0.2
    with still(one):
        change = OBJECTIVES.parse("universal").craft(one, x, labels("multi-class"), THREAT, DRAWS) - x
    torch.testing.assert_close(change, change[:1].expand_as(change), rtol=0, atol=1e-6)
    assert float(change.abs().max()) == pytest.approx(THREAT.eps, rel=1e-4)


def test_free_shows_every_image_of_the_climb():
    one, seen = model("multi-class"), []
    one.network.register_forward_pre_hook(lambda network, args: seen.append(args[0].detach()))
    OBJECTIVES.parse({"name": "free", "replays": 4})(one, images(), labels("multi-class"), THREAT, DRAWS)
    assert len(seen) == 4
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_awp_learns_at_weights_where_the_loss_is_higher_and_returns_its_own():
    one, x, y = model("multi-class", norm=False), images(), labels("multi-class")
    before = [p.detach().clone() for p in one.parameters()]
    objective = AWP(objective=Standard(), gamma=0.02)
    assert bool(objective(one, x, y, THREAT, DRAWS).mean() > Standard()(one, x, y, THREAT, DRAWS).mean())
    assert all(torch.equal(p, w) for p, w in zip(one.parameters(), before, strict=True))


def test_awp_leaves_frozen_weights_alone():
    one = model("multi-class")
    one.network[0].requires_grad_(False)
    AWP(objective=Madry(steps=1))(one, images(), labels("multi-class"), THREAT, DRAWS).mean().backward()
    assert one.network[0].weight.grad is None
    assert one.network[-1].weight.grad is not None


COUNT = 3000


@pytest.fixture(scope="module")
def lots():
    steps, portions = drawn(torch.zeros(COUNT, 1, 1, 1), Draws(0, tuple(map(str, range(COUNT)))))
    return steps.numpy(), portions.numpy()


def test_mpadvt_draws_what_the_code_draws(lots):
    """Half stay clean; of the others eps is U(0.01, 0.04), steps are 1 to 9 with equal chance, and neither tells of the other."""
    steps, portions = lots
    perturbed = steps > 0
    assert abs(perturbed.mean() - 0.5) < 3 * 0.5 / COUNT**0.5
    assert set(steps[perturbed]) == set(range(1, 10))
    assert chisquare([(steps == n).sum() for n in range(1, 10)]).pvalue > 0.01
    assert kstest(0.04 * portions[perturbed], "uniform", (0.01, 0.03)).pvalue > 0.01
    assert kstest(0.04 * portions[perturbed & (steps > 5)], "uniform", (0.01, 0.03)).pvalue > 0.01


def test_mpadvt_grants_each_image_its_own_budget_and_steps():
    count, ids = 60, tuple(map(str, range(60)))
    one, x, draws = model("multi-class"), images(60) * 0.5 + 0.25, Draws(1, ids)
    with still(one):
        change = (MPAdvT().craft(one, x, labels("multi-class", count), THREAT, draws) - x).abs().amax((1, 2, 3))
    steps, portions = drawn(x, draws)
    assert torch.equal(change > 0, steps > 0)
    assert bool((change <= portions * THREAT.eps * (1 + 1e-4)).all())
    many = steps > 5  # far enough to reach the edge from a random start
    torch.testing.assert_close(change[many], portions[many] * THREAT.eps, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("name", "eps"), [("advt", 4 / 255), ("mpadvt", 0.04), ("maadvt", 0.031)])
def test_as_published_reads_eps_in_pixels_whatever_the_plan_says(name, eps):
    """eps of the normalised image is eps * std of the pixels, channel by channel."""
    count, one, x = 40, model("multi-class"), images(40) * 0.5 + 0.25
    objective = OBJECTIVES.parse({"name": name, "version": "as_published"})
    with still(one):
        x_adv = objective.craft(one, x, labels("multi-class", count), NOTHING, Draws(0, tuple(map(str, range(count)))))
    largest = (x_adv - x).abs().amax((0, 2, 3))
    assert not objective.needs_eps
    expected = torch.tensor([eps * s for s in STD])
    assert bool((largest <= expected * (1 + 1e-4)).all())
    torch.testing.assert_close(largest, expected, rtol=0.06, atol=0)


def test_the_published_budget_on_melanoma():
    """0.2 to 1.6/255: what eps 0.01 to 0.04 of their normalised images is in pixels."""
    objective = MPAdvT(version="as_published", std=(0.0942, 0.1331, 0.1521))
    one, count = model("multi-class"), 300
    x, draws = images(count) * 0.5 + 0.25, Draws(0, tuple(map(str, range(count))))
    with still(one):
        change = 255 * (objective.craft(one, x, labels("multi-class", count), NOTHING, draws) - x).abs().amax((2, 3))
    assert float(change.max()) == pytest.approx(255 * 0.04 * 0.1521, rel=0.03)
    assert 0 < float(change[change > 0].min()) < 0.4


@pytest.mark.parametrize("std", [(0.1, 0.1), (0.1, 0.1, 1.5), (0.1, 0.0, 0.1)])
def test_a_std_that_does_not_fit_is_refused(std):
    with pytest.raises(PlanError, match=r"expected a std in \(0, 1\] for each of 3 channels"):
        MAAdvT(version="as_published", std=std)(model("multi-class"), images(), labels("multi-class"), THREAT, DRAWS)


def test_released_maadvt_shows_posterised_images_far_outside_of_eps():
    with pytest.warns(UserWarning, match=r'maadvt, version "released": runs the faults .* take version = "matched"'):
        objective = OBJECTIVES.parse("maadvt-released")
    one, x = model("multi-class"), images()
    with still(one):
        x_adv = objective.craft(one, x, labels("multi-class"), THREAT, DRAWS)
    low, high = one.mean, one.mean + one.std
    assert bool(((x_adv >= low - 1e-6) & (x_adv <= high + 1e-6)).all())  # the normalised image lies in [0, 1]
    assert float((x_adv - x).abs().max()) > 10 * 0.031 * max(STD)
    inside = (x > low + 0.01) & (x < high - 0.01)
    assert float((x_adv - x)[inside].abs().max()) <= 0.031 * max(STD) + 1e-6


def test_released_mpadvt_learns_in_eval_mode():
    with pytest.warns(UserWarning, match="learns in eval mode"):
        objective = OBJECTIVES.parse("mpadvt-released")
    one = model("multi-class")
    before = [b.clone() for b in one.network.buffers()]
    objective(one, images(), labels("multi-class"), THREAT, DRAWS).mean().backward()
    assert all(torch.equal(a, b) for a, b in zip(one.network.buffers(), before, strict=True))
    assert all(m.training for m in one.modules())
    assert any(float(g.abs().max()) > 0 for g in gradients(one))
    matched = MPAdvT()
    matched(one, images(), labels("multi-class"), THREAT, DRAWS)
    assert not all(torch.equal(a, b) for a, b in zip(one.network.buffers(), before, strict=True))


def test_grad_align_leaves_out_what_has_no_direction():
    one = model("multi-class", norm=False)
    nn.init.zeros_(one.network[-1].weight)
    loss = OBJECTIVES.parse("grad-align")(one, images(), labels("multi-class"), THREAT, DRAWS)
    loss.mean().backward()
    torch.testing.assert_close(loss, Standard()(one, images(), labels("multi-class"), THREAT, DRAWS))
    assert all(bool(g.isfinite().all()) for g in gradients(one))
    assert len(loss) == B
