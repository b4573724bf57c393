"""What is made of a found image is one that could be saved, and reaches where no gradient leads."""

from hashlib import blake2b

import pytest
import torch
from planted import COUNT, EPS, SIDE, behind, examined, images, left, linear, truly_standing

from robustdx.auditing.escalation.variants import NUDGES, looked_up, maps_pixels, nudged
from robustdx.draws import Draws
from robustdx.models import Defended
from robustdx.purifiers import BitDepth, Gaussian
from robustdx.threats import L2, Linf, Masked

BATCH = images(linear())
DRAWS = Draws(0, BATCH.ids)
REGION = (torch.arange(SIDE) < 3).float().expand(COUNT, 1, SIDE, SIDE)
THREATS = {"linf": Linf(EPS), "channels": Linf((EPS, EPS / 2, EPS)), "masked": Masked(Linf(EPS), REGION)}


def found(threat):
    return threat.snap(threat.sample(BATCH.x, DRAWS), BATCH.x)


@pytest.mark.parametrize("threat", [*THREATS.values(), L2(0.5)], ids=[*THREATS, "l2"])
@pytest.mark.parametrize("variants", [nudged, looked_up(BitDepth(levels=8))], ids=["nudged", "looked up"])
def test_each_could_be_saved_within_the_budget(variants, threat):
    for shown in variants(found(threat), BATCH.x, threat, DRAWS):
        assert (threat.distance(shown, BATCH.x) <= threat.eps * (1 + 1e-4)).all()
        assert torch.allclose(shown * 255, (shown * 255).round(), atol=1e-4)
        assert ((shown >= 0) & (shown <= 1)).all()


def test_nudges_are_all_different_and_the_same_for_an_image_alone():
    threat = Linf(EPS)
    together = list(nudged(found(threat), BATCH.x, threat, DRAWS))
    alone = list(nudged(found(threat)[3:4], BATCH.x[3:4], threat, DRAWS.take(torch.tensor([3]))))
    assert len({image[0].numpy().tobytes() for image in together}) == NUDGES
    assert all(torch.equal(one[3:4], other) for one, other in zip(together, alone, strict=True))


def test_a_value_looked_up_is_carried_as_far_as_any_in_reach():
    threat, purifier = Linf(EPS), BitDepth(levels=8)
    shown = found(threat)
    [best] = looked_up(purifier)(shown, BATCH.x, threat, DRAWS)
    up = (shown - BATCH.x).sign()
    values = [threat.snap(BATCH.x + k / 255, BATCH.x) for k in range(-8, 9)]
    furthest = torch.stack([up * purifier(v, DRAWS) for v in values]).amax(0)
    assert torch.equal(up * purifier(best, DRAWS), furthest)


@pytest.mark.parametrize(("purifier", "does"), [(BitDepth(levels=8), True), (Gaussian(), False)], ids=["bit depth", "blur"])
def test_it_is_told_whether_a_purifier_maps_each_pixel_by_itself(purifier, does):
    model = Defended(linear(), purifier)
    assert maps_pixels(model, BATCH.x, Linf(EPS), DRAWS) is does
    assert maps_pixels(model, BATCH.x, THREATS["masked"], DRAWS) is does


def test_only_under_linf_has_each_pixel_a_budget_of_its_own():
    assert not maps_pixels(Defended(linear(), BitDepth(levels=8)), BATCH.x, L2(0.5), DRAWS)
    assert not maps_pixels(linear(), BATCH.x, Linf(EPS), DRAWS)


def steep(x, draws):
    """A staircase of 12 levels: between two steps it is flat."""
    return torch.floor(x * 12) / 12


def test_a_staircase_is_met_as_a_table():
    bare = linear()
    batch = images(bare)
    model = Defended(bare, steep)
    done = examined(model, batch)
    assert "each pixel looked up" in [step["name"] for step in done.judgement["steps"]]
    highest, lowest = (steep((batch.x + s * EPS).clamp(0, 1), None) for s in (1, -1))
    weight = bare.network[1].weight.view(3, SIDE, SIDE)
    with torch.no_grad():
        to_no, to_yes = (bare.task.margin(bare(torch.where(weight * s > 0, highest, lowest)), batch.y) for s in (-1, 1))
    truly = int((torch.where(batch.y == 1, to_no, to_yes) > 0).sum())
    assert left(done) == truly


def hashed(z):
    """Half of all images, chosen by a hash of the answer, get the answer of their margin enlarged."""
    heads = torch.tensor([blake2b(row.numpy().tobytes()).digest()[0] % 8 for row in z.detach()])
    return z.detach() + (heads > 0).float()[:, None] * 0.05 * torch.sign(z.detach())


def test_what_jumps_from_image_to_image_meets_many_throws():
    bare, model = behind(None, hashed)
    batch = images(bare)
    done = examined(model, batch)
    assert "a few pixels beside" in [step["name"] for step in done.judgement["steps"]]
    assert left(done) <= truly_standing(bare, batch) + 1
