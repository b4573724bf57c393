"""What a box does to images: as outside libraries do it, nothing at 0, and with a gradient."""

import math

import kornia.geometry as geometry
import numpy as np
import pytest
import torch
from known import SIDE, B, images
from scipy.ndimage import gaussian_filter
from torchvision.transforms.v2 import functional as vision

from robustdx.catalogue import build, dump
from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError
from robustdx.perturbations.box import Box
from robustdx.perturbations.box.changes import GREY, hued, moved, saved

WIDE = Box(rotation=40, shift=0.3, scale=0.4, brightness=0.3, contrast=0.5, hue=60, blur=0.1)
NONE = dict.fromkeys(("rotation", "shift", "scale", "brightness", "contrast", "hue", "blur"), 0.0)


def parameters(box: Box, count: int = B, **values: float) -> torch.Tensor:
    """Parameters that are 0 but for those named."""
    p = torch.zeros(count, len(box.names))
    for name, value in values.items():
        p[:, box.names.index(name)] = value
    return p


def inner(x: torch.Tensor, border: int = 5) -> torch.Tensor:
    """Away from the edges, where no fill comes in."""
    return x[..., border:-border, border:-border]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(16, 16), (17, 23), (54, 72)])
def test_at_zero_every_image_is_itself_to_the_last_bit(channels, shape):
    x = torch.rand(4, channels, *shape, generator=torch.Generator().manual_seed(0))
    p = parameters(WIDE, 4).requires_grad_()
    assert torch.equal(WIDE.apply(x, p), x)
    assert torch.equal(WIDE.apply(x, p.detach()), x)


@pytest.mark.parametrize("degrees", [-30.0, 7.0, 40.0])
def test_it_turns_against_the_clock_as_kornia_does(degrees):
    x = images()
    ours = WIDE.apply(x, parameters(WIDE, rotation=degrees))
    theirs = geometry.rotate(x, torch.full((B,), degrees), align_corners=True)
    torch.testing.assert_close(inner(ours), inner(theirs), atol=1e-4, rtol=0)


def test_a_frame_that_is_no_square_keeps_its_right_angles():
    x = torch.rand(1, 3, 30, 50, generator=torch.Generator().manual_seed(0))
    z = torch.zeros(1)
    ours = moved(x, torch.tensor([20.0]), z, z, z, "edge")
    theirs = geometry.rotate(x, torch.tensor([20.0]), align_corners=True)
    torch.testing.assert_close(inner(ours, 12), inner(theirs, 12), atol=1e-4, rtol=0)


def test_it_moves_to_the_right_and_down_by_shares_of_the_sides():
    x = torch.rand(1, 3, 10, 20, generator=torch.Generator().manual_seed(0))
    right = WIDE.apply(x, parameters(WIDE, 1, shift_x=0.1))
    down = WIDE.apply(x, parameters(WIDE, 1, shift_y=0.3))
    torch.testing.assert_close(right[..., 2:], x[..., :-2], atol=1e-5, rtol=0)
    torch.testing.assert_close(down[..., 3:, :], x[..., :-3, :], atol=1e-5, rtol=0)


def test_it_enlarges_about_the_centre_as_kornia_does():
    x = images()
    ours = WIDE.apply(x, parameters(WIDE, scale=0.3))
    theirs = geometry.scale(x, torch.full((B, 2), 1.3), align_corners=True)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_it_is_turned_and_enlarged_first_and_shifted_then():
    x = images()
    together = WIDE.apply(x, parameters(WIDE, rotation=90 / 4, scale=0.2, shift_x=2 / SIDE))
    turned = WIDE.apply(x, parameters(WIDE, rotation=90 / 4, scale=0.2))
    torch.testing.assert_close(inner(together)[..., 2:], inner(turned)[..., :-2], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("fill", "filled"), [("edge", [5, 5]), ("reflection", [6, 5])])
def test_what_comes_in_is_the_edge_or_the_mirrored_image(fill, filled):
    x = torch.arange(5, 15).div(255).expand(1, 1, 10, 10)
    moved_in = Box(shift=0.2, fill=fill).apply(x, parameters(WIDE, 1, shift_x=0.2))[0, 0, 4, :2]
    torch.testing.assert_close(moved_in, torch.tensor(filled) / 255, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 1.6])
def test_it_blurs_as_scipy_does(sigma):
    x, radius = images(), math.ceil(3 * 0.1 * SIDE)
    theirs = gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, radius, radius))
    np.testing.assert_allclose(WIDE.apply(x, parameters(WIDE, blur=sigma / SIDE)).numpy(), theirs, atol=1e-5)


@pytest.mark.parametrize("contrast", [-0.5, 0.2])
def test_contrast_is_that_of_torchvision(contrast):
    x = images()
    ours = WIDE.apply(x, parameters(WIDE, contrast=contrast))
    torch.testing.assert_close(ours, vision.adjust_contrast(x, 1 + contrast), atol=2e-3, rtol=0)


def test_brightness_is_added_and_stays_in_range():
    x = images()
    assert torch.equal(WIDE.apply(x, parameters(WIDE, brightness=0.3)), (x + 0.3).clamp(0, 1))


def test_hue_turns_colours_and_leaves_brightness_and_grey():
    x = images()
    new = hued(x, torch.full((B,), 40.0)).double()
    luma = torch.tensor(GREY, dtype=torch.float64)

    def chroma(x):
        y = torch.einsum("c,bchw->bhw", luma, x.double())
        return torch.complex(0.492 * (x[:, 2].double() - y), 0.877 * (x[:, 0].double() - y)), y

    (before, bright), (after, same) = chroma(x), chroma(new)
    torch.testing.assert_close(same, bright, atol=1e-6, rtol=0)
    turned = before * torch.polar(torch.tensor(1.0, dtype=torch.float64), torch.tensor(math.radians(40.0), dtype=torch.float64))
    torch.testing.assert_close(after, turned, atol=1e-6, rtol=0)
    grey = images(1)
    assert torch.equal(WIDE.apply(grey, parameters(WIDE, hue=30.0)), grey)
    torch.testing.assert_close(hued(grey.expand(-1, 3, -1, -1), torch.full((B,), 40.0)), grey.expand(-1, 3, -1, -1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", Box.names)
def test_its_gradient_is_that_of_finite_differences(name):
    x = images().double()
    weight = torch.rand(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    at = WIDE.random(Draws(5, ("a",)), torch.zeros(1, B, 8))[0].double() * 0.4 + 0.05
    p = WIDE.scaled(at).requires_grad_()
    (grad,) = torch.autograd.grad((WIDE.apply(x, p) * weight).sum(), p)
    k, step = Box.names.index(name), 1e-6 * WIDE.widths[Box.names.index(name)]
    nudge = torch.zeros_like(p)
    nudge[:, k] = step
    with torch.no_grad():
        slope = (((WIDE.apply(x, p + nudge) - WIDE.apply(x, p - nudge)) * weight).sum((1, 2, 3))) / (2 * step)
    assert slope.abs().max() > 0
    torch.testing.assert_close(grad[:, k], slope, rtol=1e-3, atol=1e-3 * float(slope.abs().max()))


def test_at_zero_all_but_the_blur_have_a_slope():
    x, p = images(), parameters(WIDE).requires_grad_()
    (grad,) = torch.autograd.grad((WIDE.apply(x, p) * torch.linspace(0, 1, SIDE) * x).sum(), p)
    assert (grad[:, :-1] != 0).all()
    assert (grad[:, -1] == 0).all()


def test_a_batch_is_its_images_one_by_one():
    x, p = images(), WIDE.scaled(WIDE.random(Draws(1, ("a",)), torch.zeros(1, B, 8))[0])
    alone = torch.cat([WIDE.apply(x[i : i + 1], p[i : i + 1]) for i in range(B)])
    torch.testing.assert_close(WIDE.apply(x, p), alone, atol=1e-6, rtol=0)


def test_images_that_are_laid_out_channels_last_stay_so():
    x = images().contiguous(memory_format=torch.channels_last)
    shown = saved(WIDE.apply(x, WIDE.scaled(torch.full((B, 8), 0.5))))
    assert shown.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(shown, saved(WIDE.apply(x.contiguous(), WIDE.scaled(torch.full((B, 8), 0.5)))), atol=1.01 / 255, rtol=0)


def test_saved_is_on_the_grid_and_lets_the_gradient_through():
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    shown = saved(x)
    assert torch.equal(shown, x.detach().mul(255).round().div(255))
    assert torch.equal(torch.autograd.grad((shown * 3).sum(), x)[0], torch.full_like(x, 3))


def test_the_grid_holds_the_image_as_it_is_first_and_every_corner():
    grid = Box().grid(5, 3, 3)
    assert grid.shape == (135, 8)
    assert (grid[0] == 0).all()
    assert len(grid.unique(dim=0)) == 135
    assert (grid[1:, :4].square().sum(1).diff() <= 0).all(), "from far to near"
    assert sorted(set(grid[:, 0].tolist())) == [-1, -0.5, 0, 0.5, 1]
    assert (grid.abs() == torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0])).all(1).sum() == 16


def test_a_parameter_without_width_has_one_value_in_the_grid():
    assert Box(**NONE | {"rotation": 10.0}).grid(5, 3, 3).shape == (5, 8)
    assert Box(**NONE).grid(21, 5, 5).shape == (1, 8)


def test_random_points_fill_the_box_and_belong_to_their_images():
    draws = Draws(0, ("a", "b"))
    points = WIDE.random(draws, torch.zeros(2, 4000, 8))
    low, high = points.amin((0, 1)), points.amax((0, 1))
    assert (high > 0.99).all()
    assert (low[:-1] < -0.99).all()
    assert 0 <= low[-1] < 0.01, "blur goes one way"
    assert points.mean((0, 1))[:-1].abs().max() < 0.03
    assert torch.equal(points[1:], WIDE.random(draws.take([1]), torch.zeros(1, 4000, 8)))
    assert torch.equal(WIDE.inside(points), points)
    WIDE.apply(images()[:2], WIDE.scaled(points[:, 0]))


def test_parameters_have_names():
    box = Box(**NONE | {"rotation": 10.0, "shift": 0.1})
    (named,) = box.named(parameters(box, 1, rotation=-7.5, shift_y=0.05))
    assert named == pytest.approx({"rotation": -7.5, "shift_x": 0.0, "shift_y": 0.05})


def test_it_is_made_from_the_words_of_a_plan():
    words = {"rotation": 30, "hue": 0, "fill": "edge"}
    box = build(Box, words, where="box")
    assert box == Box(rotation=30.0, hue=0.0, fill="edge")
    assert build(Box, dump(box), where="box") == box
    with pytest.raises(PlanError, match="did you mean rotation"):
        build(Box, {"rotations": 3}, where="box")


@pytest.mark.parametrize(
    "settings",
    [{"rotation": -1}, {"rotation": 181}, {"shift": 0.6}, {"scale": 1.0}, {"hue": float("nan")}, {"blur": 1.0}, {"fill": "black"}],
)
def test_widths_without_meaning_are_refused(settings):
    with pytest.raises(PlanError, match=next(iter(settings))):
        Box(**settings)


def test_what_it_cannot_be_applied_to_is_refused_in_words():
    x, box = images(), Box(blur=0.25)
    with pytest.raises(PlanError, match=r"shape \(6, 8\)"):
        box.apply(x, torch.zeros(B, 7))
    with pytest.raises(PlanError, match=r"shift_y goes to 0\.1 in this box"):
        box.apply(x, parameters(box, shift_y=-0.2))
    with pytest.raises(PlanError, match=r"blur goes to 0\.25"):
        box.apply(x, parameters(box, blur=-0.01))
    with pytest.raises(ImageError, match="1 or 3 channels, got 2"):
        box.apply(x[:, :2], parameters(box))
    with pytest.raises(ImageError, match="more than 3 pixels a side, got 3x3"):
        Box(blur=0.25).apply(x[..., :3, :3], parameters(box))
