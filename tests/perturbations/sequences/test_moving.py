"""Cameras that move: beside torchvision, scikit-image and plain slices."""

import numpy as np
import pytest
import torch
from skimage.transform import ProjectiveTransform, warp
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import affine

from robustdx.errors import PlanError
from robustdx.perturbations.sequences import Rotate, Scale, Shear, Tilt, Translate, ZoomBlur
from robustdx.perturbations.sequences.tilt import projection


def only(sequence, x, draws):
    return next(iter(sequence.frames(x, 2, draws)))


def theirs(x, **how):
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0]}
    return affine(x, **{**still, **how}, interpolation=InterpolationMode.BILINEAR, fill=0)


def agree(sequence, x, draws, **how):
    """Ours is theirs wherever the whole of a pixel comes from the image; at its border theirs fill otherwise."""
    inside = only(sequence, torch.ones_like(x), draws) > 0.9999
    assert inside.float().mean() > 0.1
    ours, others = only(sequence, x, draws), theirs(x, **how)
    torch.testing.assert_close(ours[inside], others[inside], atol=2e-4, rtol=0)
    away = only(sequence, torch.ones_like(x), draws) == 0
    assert not ours[away].any()


def inner(x, by=8):
    return x[..., by:-by, by:-by]


@pytest.mark.parametrize("angle", [-15.0, -6.0, 3.0])
def test_rotate_is_torchvisions(x, draws, angle):
    agree(Rotate(first=angle, fill="black"), x, draws, angle=angle)


@pytest.mark.parametrize("size", [0.4, 0.625, 1.1])
def test_scale_is_torchvisions(x, draws, size):
    agree(Scale(first=size, fill="black"), x, draws, scale=size)


@pytest.mark.parametrize("angle", [-15.0, 7.0])
def test_shear_is_torchvisions(x, draws, angle):
    agree(Shear(first=angle, fill="black"), x, draws, shear=[angle, 0.0])


@pytest.mark.parametrize("angle", [-15.0, -6.0, 10.0])
def test_tilt_is_a_plane_seen_by_a_pinhole_camera(x, draws, angle):
    h, w = x.shape[2:]
    turned = ProjectiveTransform(_by_hand(np.radians(angle), h, w))
    found = only(Tilt(first=angle, fill="black"), x, draws)
    for i in range(len(x)):
        wanted = warp(x[i].permute(1, 2, 0).double().numpy(), turned.inverse, order=1)
        torch.testing.assert_close(inner(found[i]), inner(torch.from_numpy(wanted).permute(2, 0, 1).float()), atol=0.02, rtol=0)


def test_a_point_of_a_tilted_plane_by_hand():
    h, w, angle = 100, 160, 20.0
    found = projection(angle, h, w).numpy()
    np.testing.assert_allclose(found / found[2, 2], _by_hand(np.radians(angle), h, w), atol=1e-9)
    np.testing.assert_allclose(projection(0.0, h, w).numpy() / np.hypot(h, w), np.eye(3), atol=1e-9)


def _by_hand(a, h, w):
    """Four corners, each turned in space and projected; the map of the plane through them."""
    f, corners, seen = np.hypot(h, w), [], []
    for u, v in ((0, 0), (w, 0), (0, h), (w, h)):
        p = np.array([u - w / 2, v - h / 2, 0])
        p = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]]) @ p
        p = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]) @ p
        corners.append((u, v))
        seen.append((f * p[0] / (p[2] + f) + w / 2, f * p[1] / (p[2] + f) + h / 2))
    found = ProjectiveTransform.from_estimate(np.array(corners, float), np.array(seen))
    return found.params / found.params[2, 2]


@pytest.mark.parametrize("shift", [-20, -11, 7])
def test_translate_moves_whole_pixels_at_the_released_size(draws, shift):
    x = torch.rand(2, 1, 224, 230)
    found = only(Translate(first=shift, fill="black"), x, draws)
    wanted = torch.zeros_like(x)
    if shift < 0:
        wanted[..., :shift] = x[..., -shift:]
    else:
        wanted[..., shift:] = x[..., :-shift]
    assert torch.equal(found, wanted)


def test_images_of_another_size_move_by_the_same_share(draws):
    small, large = torch.rand(2, 1, 112, 112), torch.rand(2, 1, 448, 448)
    assert torch.equal(only(Translate(first=-20), small, draws)[..., :-10], small[..., 10:])
    assert torch.equal(only(Translate(first=-20), large, draws)[..., :-40], large[..., 40:])
    half = only(Translate(first=-11), small, draws)[..., :-6]
    torch.testing.assert_close(half, (small[..., 5:-1] + small[..., 6:])[..., : half.shape[-1]] / 2)
    assert torch.equal(only(Translate(first=-20, side=112), small, draws)[..., :-20], small[..., 20:])


def test_beyond_the_image_is_what_was_asked_for(draws):
    x = torch.rand(2, 1, 224, 224)
    for fill, beyond in (
        ("black", torch.zeros(2, 1, 224, 4)),
        ("edge", x[..., -1:].expand(-1, -1, -1, 4)),
        ("mirror", x[..., -4:].flip(3)),
    ):
        assert torch.equal(only(Translate(first=-4, fill=fill), x, draws)[..., -4:], beyond)
        slid = only(Scale(first=0.5, fill=fill), torch.ones(2, 3, 40, 40), draws)
        assert slid.min() == (0 if fill == "black" else 1)


def test_zoom_blur_is_the_mean_of_the_image_at_growing_sizes(x, draws):
    frames = list(ZoomBlur(step=0.05).frames(x, 4, draws))
    for i, frame in enumerate(frames):
        wanted = torch.stack([theirs(x, scale=1 + 0.05 * k) for k in range(i + 1)]).mean(0)
        torch.testing.assert_close(inner(frame), inner(wanted), atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        (Scale(step=0.5), "scale must stay above 0"),
        (Shear(step=40.0), "below 90 degrees"),
        (Tilt(step=20.0), "within 45 degrees"),
    ],
)
def test_what_cannot_be_seen_any_more_is_refused_in_words(sequence, words, draws):
    with pytest.raises(PlanError, match=words):
        sequence.frames(torch.rand(2, 3, 16, 16), 11, draws)
