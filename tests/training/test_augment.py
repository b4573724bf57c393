"""Changes that leave the diagnosis as it is."""

import pytest
import torch

from robustdx.draws import Draws
from robustdx.training.augment import Augment, brightness

NOTHING = {"mirror": False, "quarter_turns": False, "rotate": 0, "scale": 0, "shift": 0, "brightness": 0, "contrast": 0, "saturation": 0}
IDS = tuple(map(str, range(40)))


def images(height: int, width: int) -> torch.Tensor:
    return torch.rand(len(IDS), 3, height, width, generator=torch.Generator().manual_seed(0))


def test_nothing_asked_is_nothing_changed():
    x = images(15, 20)
    torch.testing.assert_close(Augment(**NOTHING)(x, Draws(0, IDS)), x)


def test_quarter_turns_are_exactly_those_and_all_occur():
    x = images(16, 16)
    turned = Augment(**{**NOTHING, "quarter_turns": True})(x, Draws(0, IDS))
    found = [[k for k in range(4) if torch.allclose(b, torch.rot90(a, k, (1, 2)), atol=1e-5)] for a, b in zip(x, turned, strict=True)]
    assert {k for (k,) in found} == {0, 1, 2, 3}


def test_mirrors_are_exactly_those_and_both_occur():
    x = images(15, 20)
    mirrored = Augment(**{**NOTHING, "mirror": True})(x, Draws(0, IDS))
    same = [torch.allclose(b, a, atol=1e-5) for a, b in zip(x, mirrored, strict=True)]
    flipped = [torch.allclose(b, a.flip(2), atol=1e-5) for a, b in zip(x, mirrored, strict=True)]
    assert all(a != b for a, b in zip(same, flipped, strict=True))
    assert any(same)
    assert any(flipped)


def test_a_circle_stays_a_circle_when_an_oblong_image_is_turned():
    rows, columns = torch.meshgrid(torch.arange(60.0) - 29.5, torch.arange(80.0) - 39.5, indexing="ij")
    disc = ((rows**2 + columns**2) < 15**2).float().expand(len(IDS), 3, 60, 80)
    turned = Augment(**{**NOTHING, "quarter_turns": True, "rotate": 45})(disc, Draws(0, IDS))
    assert float((turned - disc).abs().mean()) < 0.01


def test_colour_changes_stay_inside_the_budget_and_the_range():
    x = images(15, 20)
    lighter = Augment(**{**NOTHING, "brightness": 0.1})(x, Draws(0, IDS))
    assert float((lighter - x).abs().max()) <= 0.1 + 1e-6
    strong = Augment(**{**NOTHING, "brightness": 0.5, "contrast": 3, "saturation": 3})(x, Draws(0, IDS))
    assert float(strong.min()) >= 0
    assert float(strong.max()) <= 1


def test_saturation_moves_no_brightness_and_leaves_grey_alone():
    x = images(15, 20) * 0.2 + 0.4
    grey = brightness(x).expand_as(x)
    augment = Augment(**{**NOTHING, "saturation": 0.5})
    torch.testing.assert_close(brightness(augment(x, Draws(0, IDS))), brightness(x))
    torch.testing.assert_close(augment(grey, Draws(0, IDS)), grey)


def test_grey_images_are_changed_too():
    x = images(15, 20)[:, :1]
    assert Augment()(x, Draws(0, IDS)).shape == x.shape


@pytest.mark.parametrize("take", [[3], [7, 3, 1]])
def test_what_is_drawn_for_an_image_does_not_depend_on_its_neighbours(take):
    x, draws = images(15, 20), Draws(0, IDS)
    torch.testing.assert_close(Augment()(x[take], draws.take(take)), Augment()(x, draws)[take])


def test_each_showing_is_changed_anew():
    x = images(15, 20)[:2]
    first, second = (Augment()(x, Draws(0, (f"a@{k}", f"b@{k}"))) for k in range(2))
    assert not torch.allclose(first, second)
