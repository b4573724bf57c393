"""Artefacts of dermoscopy, said as what they do to skin and to a lesion."""

from itertools import pairwise

import pytest
import torch

from robustdx.errors import ImageError, PlanError
from robustdx.perturbations import SEVERITIES
from robustdx.perturbations.artefacts.dermoscopy import DERMOSCOPY, DarkCorner, GelBubble, Glare, Hair, Ink, Ruler, WhiteBalance
from robustdx.perturbations.artefacts.dermoscopy.ink import lesion
from robustdx.perturbations.artefacts.fields import luma
from tests.perturbations.artefacts.pictures import DRAWS, assert_severities_mean_it, changed, distances, read, rising, skin


def test_hair_covers_a_small_share_of_the_skin_and_darkens_it():
    x = skin()
    after = Hair()(x, 3, DRAWS)
    hidden = changed(after, x, by=0.1)
    assert 0.005 < hidden.float().mean() < 0.2
    over_skin = hidden & (x[:, 0] > 0.8)
    assert (luma(after)[:, 0] < luma(x)[:, 0])[over_skin].all()


def test_the_hairs_of_a_severity_are_those_of_the_one_below_and_more():
    x = torch.ones(6, 3, 120, 160)
    hidden = [changed(Hair(shadow=0)(x, severity, DRAWS), x, by=0.02) for severity in SEVERITIES]
    for few, more in pairwise(hidden):
        assert not (few & ~more).any()
        assert more.sum() > few.sum()


def test_people_have_hair_of_different_colours():
    x = torch.ones(6, 3, 96, 96)
    darkest = Hair(shadow=0)(x, 5, DRAWS).flatten(2).amin(2)
    assert len({tuple((colour * 20).round().tolist()) for colour in darkest}) > 2


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_ruler_lies_along_one_edge(severity):
    x = skin()
    marked = changed(Ruler()(x, severity, DRAWS), x)
    edges = []
    for mark in marked:
        rows, columns = mark.nonzero(as_tuple=True)
        height, width = mark.shape
        depths = (columns, width - 1 - columns, rows, height - 1 - rows)
        deepest = [float(depth.max()) / min(height, width) for depth in depths]
        assert min(deepest) < 0.3, "all ticks lie near one edge"
        edges.append(deepest.index(min(deepest)))
    assert len(set(edges)) > 1, "and images have it at different edges"


def test_the_ticks_of_a_ruler_are_evenly_spaced():
    x = torch.ones(1, 1, 640, 640)
    for i in range(6):
        marked = 1 - Ruler()(x, 4, DRAWS.take([i]))[0, 0]
        along = marked.sum(0) if marked.sum(0).ne(0).sum() > marked.sum(1).ne(0).sum() else marked.sum(1)
        spectrum = torch.fft.rfft(along - along.mean()).abs()[5:]
        peak = int(spectrum.argmax()) + 5
        assert 1 / 0.08 < peak < 3 / 0.042, "a period of a tick, or its overtone, stands out"
        assert spectrum.max() > 5 * spectrum.mean()


def test_ink_takes_light_away_and_lets_the_skin_through():
    x = skin()
    for severity in SEVERITIES:
        after = Ink()(x, severity, DRAWS)
        assert (after <= x).all()
        assert after.min() > 0


def test_ink_is_blue_or_violet_where_it_is_not_black():
    x = torch.full((6, 3, 96, 96), 0.9)
    after = Ink()(x, 5, DRAWS)
    marked = changed(after, x, by=0.2)
    for picture, mark in zip(after, marked, strict=True):
        red, green, blue = picture[:, mark].mean(1).tolist()
        assert blue > max(red, green)


def test_ink_surrounds_the_lesion_wherever_it_lies():
    across, down = distances(120, 160)
    for place in (-0.2, 0.0, 0.2):
        x = torch.where(torch.hypot(across - place, down) < 0.12, 0.3, 0.8).expand(6, 3, -1, -1)
        centre, spread = lesion(x)
        assert (centre[:, 0] - place).abs().max() < 0.06
        assert centre[:, 1].abs().max() < 0.02
        assert spread.min() > 0.08
        assert spread.max() < 0.16
        marked = changed(Ink()(x, 3, DRAWS), x, by=0.05)
        assert marked[:, torch.hypot(across - place, down) < 0.12].float().mean() < 0.5 * marked.float().mean() + 1e-9


def test_bubbles_are_dark_rings_with_bright_lights_and_leave_most_of_the_skin():
    x = skin()
    after = GelBubble()(x, 3, DRAWS)
    difference = luma(after) - luma(x)
    assert difference.amin((1, 2, 3)).max() < -0.03
    assert difference.amax((1, 2, 3)).min() > 0.1
    assert changed(after, x).float().mean() < 0.25


def test_a_bubble_is_a_lens_only_inside():
    x = torch.rand(6, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.5
    lens, none = GelBubble()(x, 4, DRAWS), GelBubble(refraction=0)(x, 4, DRAWS)
    moved = changed(lens, none)
    assert moved.flatten(1).any(1).all()
    assert moved.float().mean() < 0.2


def test_dark_corners_leave_the_middle_untouched():
    x = skin()
    across, down = distances(120, 160)
    middle = torch.hypot(across, down) < 0.3
    for severity in SEVERITIES:
        after = DarkCorner()(x, severity, DRAWS)
        assert torch.equal(after[:, :, middle], x[:, :, middle])
        assert (after <= x + 0.1).all()
    corner = after[:, :, :6, :6]
    assert corner.max() < 0.15


def test_dark_corners_close_with_severity():
    x = skin()
    dark = torch.stack([(luma(DarkCorner()(x, severity, DRAWS)) < 0.2).float().mean((1, 2, 3)) for severity in SEVERITIES])
    assert (dark.diff(dim=0) >= 0).all()
    assert rising(dark.mean(1).tolist())


def test_glare_only_adds_light_and_spots_are_white():
    x = skin() * 0.8
    for severity in SEVERITIES:
        after = Glare()(x, severity, DRAWS)
        assert (after >= x - 1e-6).all()
    assert after.amin(1).amax((1, 2)).min() > 0.85


def test_white_balance_moves_red_and_blue_apart_and_keeps_brightness():
    x = skin() * 0.7
    warm = set()
    for severity in SEVERITIES:
        after = WhiteBalance()(x, severity, DRAWS)
        torch.testing.assert_close(luma(after).mean((1, 2, 3)), luma(x).mean((1, 2, 3)), atol=0.01, rtol=0)
        gain = after.mean((2, 3)) / x.mean((2, 3))
        warm |= set((gain[:, 0] > gain[:, 2]).tolist())
        assert ((gain[:, 0] - 1) * (gain[:, 2] - 1) < 0).all(), "red up and blue down, or the other way"
    assert warm == {True, False}


def test_white_balance_follows_wiens_law():
    """The ratio of two black bodies at 6500 K and 4000 K, in red against blue, computed here from Planck's law."""
    mireds = 1e6 / 4000 - 1e6 / 6500

    def planck(micrometres, kelvin):
        return micrometres**-5 / (torch.exp(torch.tensor(14388 / (micrometres * kelvin))) - 1)

    ratio = (planck(0.60, 4000) / planck(0.60, 6500)) / (planck(0.45, 4000) / planck(0.45, 6500))
    x = torch.full((6, 3, 16, 16), 0.3)
    after = WhiteBalance(mireds=(mireds,) * 5)(x, 1, DRAWS)
    ours = (after[:, 0] / after[:, 2]).mean((1, 2)) ** 2.2
    torch.testing.assert_close(torch.maximum(ours, 1 / ours), ratio.expand(6), rtol=0.03, atol=0)


def test_white_balance_has_nothing_to_say_about_grey_images():
    with pytest.raises(ImageError, match="1 channel"):
        WhiteBalance()(skin()[:, :1], 1, DRAWS)


def test_a_table_of_another_length_is_refused_in_words():
    with pytest.raises(PlanError, match="strands needs 5 values"):
        Hair(strands=(1, 2, 3))


@pytest.mark.parametrize("name", DERMOSCOPY)
def test_a_picture_shows_the_same_at_every_size(name):
    """An artefact on a large picture, averaged down, is nearly the artefact on a small one."""
    small, large = skin(height=54, width=72), skin(height=216, width=288)
    perturb = DERMOSCOPY[name]()
    shrunk = torch.nn.functional.avg_pool2d(perturb(large, 4, DRAWS) - large, 4)
    there = perturb(small, 4, DRAWS) - small
    clear = slice(None), slice(None), slice(1, -1), slice(1, -1)
    likeness = torch.corrcoef(torch.stack([shrunk[clear].flatten(), there[clear].flatten()]))[0, 1]
    assert likeness > 0.8


@pytest.mark.parametrize("name", DERMOSCOPY)
def test_severities_mean_it_on_real_skin(name, real_data):
    folder = real_data / "derm_ham10000_200x150" / "ISIC2018_Task3_Training_Input"
    assert_severities_mean_it(DERMOSCOPY[name](), read(folder, "*.jpg", "RGB", 6))
