"""Every threat: projections are nearest members, steps are steepest, and what is saved stays inside the budget."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.threats import L2, Linf, Masked

DRAWS = Draws(0, tuple("abcd"))
REGION = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(1)) < torch.tensor([0.5, 0.1, 0.9, 0.02]).view(4, 1, 1, 1)
CHANNELS = Linf.per_channel((8 / 255, 4 / 255, 6 / 255))
THREATS = [
    *(Linf(8 / 255), Linf(1 / 255), Linf(0.5 / 255), L2(1.0), L2(0.25), L2(6.0), CHANNELS),
    *(Masked(Linf(8 / 255), REGION), Masked(L2(1.0), REGION.float(), "outside"), Masked(CHANNELS, REGION[:1])),
]


@pytest.fixture
def x():
    return (torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 255).round() / 255


def inside(threat, x_adv, x):
    return bool((threat.distance(x_adv, x) <= threat.eps + 1e-5).all()) and bool((x_adv >= 0).all()) and bool((x_adv <= 1).all())


def without_budget(threat):
    return replace(threat, threat=without_budget(threat.threat)) if isinstance(threat, Masked) else replace(threat, eps=0.0)


@pytest.mark.parametrize("threat", THREATS, ids=lambda t: f"{type(t).__name__}-{t.eps:.3f}")
class TestEvery:
    def test_project_and_sample_give_members(self, threat, x):
        far = x + DRAWS.normal(x)
        assert inside(threat, threat.project(far, x), x)
        assert inside(threat, threat.sample(x, DRAWS), x)

    def test_a_member_projects_to_itself(self, threat, x):
        member = threat.sample(x, DRAWS)
        assert torch.allclose(threat.project(member, x), member, atol=1e-6)

    def test_no_member_is_nearer_than_the_projection(self, threat, x):
        far = x + 0.3 * DRAWS.normal(x)
        best = (threat.project(far, x) - far).flatten(1).norm(dim=1)
        for i in range(20):
            other = threat.sample(x, DRAWS.fork(i))
            assert bool(((other - far).flatten(1).norm(dim=1) >= best - 1e-5).all())

    def test_steepest_climbs_most_of_all_directions(self, threat, x):
        grad = DRAWS.normal(x)
        step = threat.steepest(grad)
        assert torch.allclose(threat.distance(step, torch.zeros_like(x)), torch.ones(4), atol=1e-4)
        for i in range(20):
            other = threat.steepest(DRAWS.fork(i).normal(x))
            assert bool(((step - other) * grad).flatten(1).sum(1).ge(-1e-4).all())

    def test_some_of_the_images_are_threatened_as_they_were_in_the_batch(self, threat, x):
        some = torch.tensor([True, False, True, True])
        far = x + DRAWS.normal(x)
        for index in (some, some.nonzero().flatten()):
            own = threat.take(index)
            assert torch.equal(own.project(far[some], x[some]), threat.project(far, x)[some])
            assert torch.equal(own.sample(x[some], DRAWS.take(some)), threat.sample(x, DRAWS)[some])
            assert torch.equal(own.steepest(far[some]), threat.steepest(far)[some])

    def test_what_is_saved_lies_on_the_grid_and_inside(self, threat, x):
        saved = threat.snap(threat.sample(x, DRAWS), x)
        assert torch.allclose(saved * 255, (saved * 255).round(), atol=1e-4)
        assert inside(threat, saved, x)

    def test_saved_twice_is_saved_once(self, threat, x):
        saved = threat.snap(threat.sample(x, DRAWS), x)
        assert torch.allclose(threat.snap(saved, x), saved, atol=1e-6)

    def test_eps_zero_leaves_nothing_but_the_image(self, threat, x):
        none = without_budget(threat)
        assert torch.equal(none.project(x + 1, x), x)
        assert torch.equal(none.sample(x, DRAWS), x)
        assert torch.equal(none.snap(x, x), x)


def test_below_one_step_of_the_grid_only_the_clean_image_can_be_saved(x):
    threat = Linf(0.5 / 255)
    assert not threat.savable
    assert torch.equal(threat.snap(threat.sample(x, DRAWS), x), x)
    assert Linf(1 / 255).savable
    assert Linf(0.5 / 255, levels=65535).savable


def test_saving_spends_an_l2_budget_instead_of_rounding_it_away(x):
    """Spread over an image, every change is below half a step: rounding to the nearest would leave nothing."""
    third_of_a_step = 0.3 / 255
    threat = L2(third_of_a_step * x[0].numel() ** 0.5)
    spread = x.clamp(0.1, 0.9).mul(255).round().div(255)
    saved = threat.snap(spread + third_of_a_step * DRAWS.normal(x).sign(), spread)
    assert bool((threat.distance(saved, spread) > 0.9 * threat.eps).all())
    assert inside(threat, saved, spread)


@settings(deadline=None, max_examples=40)
@given(eps=st.floats(0, 1), seed=st.integers(0, 2**20))
def test_snap_never_leaves_the_budget(eps, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (2, 1, 5, 5), generator=g) / 255
    for threat in (Linf(eps), L2(eps)):
        x_adv = threat.project(x + torch.randn(x.shape, generator=g), x)
        assert inside(threat, threat.snap(x_adv, x), x)


@pytest.mark.parametrize("eps", [-0.1, 1.5, 8.0, float("nan")])
def test_a_budget_that_means_nothing_is_refused(eps):
    with pytest.raises(PlanError, match="fraction like 8/255"):
        Linf(eps)
