"""Ours beside the package `imagecorruptions`, the corruptions of Hendrycks and Dietterich as a library, at 224 pixels.

Where it draws at random it is given our draws, in the order in which it asks for them, so that images can be compared one by one. Not so:

- shot and impulse noise: Poisson counts, and pixels that scikit-image chooses by itself, come from other draws; compared in distribution;
- frost: theirs is a photograph, ours is drawn;
- elastic_transform: the package has a table of its own, without the affine map; compared under that table.
"""

from __future__ import annotations

import itertools
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut
from skimage.metrics import structural_similarity

from robustdx.draws import Draws
from robustdx.perturbations import PERTURBATIONS, SEVERITIES
from robustdx.perturbations.corruptions import STANDARD

DRAWS = Draws(0, ("a",))
LEAST = 0.98
"""Structural similarity with the reference."""
PLAIN = ("defocus_blur", "gaussian_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "saturate")
"""What draws nothing."""


@pytest.fixture(scope="module")
def package():
    """The package, written for numpy 1, scikit-image 0.18 and pkg_resources, beside today's."""
    pytest.importorskip("cv2", reason="imagecorruptions needs OpenCV: make test-references")
    import scipy.ndimage
    import skimage.filters

    def file_of(module, file):
        return str(Path(sys.modules[module].__file__).parent / file)

    here = {
        "pkg_resources": types.SimpleNamespace(resource_filename=file_of),
        "scipy.ndimage.interpolation": types.SimpleNamespace(map_coordinates=scipy.ndimage.map_coordinates),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, module in here.items():
            patch.setitem(sys.modules, name, module)
        pytest.importorskip("imagecorruptions", reason="imagecorruptions is not installed here: make test-references")
        from imagecorruptions import corruptions

        def gaussian(image, sigma, multichannel=False, **more):
            return skimage.filters.gaussian(image, sigma, channel_axis=-1 if multichannel else None, **more)

        patch.setattr(corruptions, "gaussian", gaussian)
        patch.setattr(np, "float_", np.float64, raising=False)
        yield corruptions


@pytest.fixture(scope="module")
def picture():
    return astronaut()[20:244, 110:334]


@pytest.fixture(scope="module")
def x(picture):
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def ours(name, x, severity, **settings):
    """Our image under the released table, as 8 bits hold it."""
    standard = f"{name}_standard"
    method = PERTURBATIONS.parse({"name": standard if standard in STANDARD else name, **settings})
    return (method(x, severity, DRAWS)[0] * 255).round().byte().permute(1, 2, 0).numpy()


def theirs(package, name, picture, severity):
    return np.uint8(np.clip(getattr(package, name)(Image.fromarray(picture), severity), 0, 255))


def similarity(a, b):
    return structural_similarity(a, b, channel_axis=-1)


def replayed(monkeypatch, **answers):
    """numpy's global generator answers with ours: one after the other of `answers[name]`."""
    for name, each in answers.items():
        left = iter(each)
        monkeypatch.setattr(np.random, name, lambda *args, _left=left, **kwargs: next(_left)(*args, **kwargs))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", PLAIN)
def test_what_draws_nothing_is_the_same_picture(package, picture, x, name, severity):
    assert similarity(ours(name, x, severity), theirs(package, name, picture, severity)) >= LEAST


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise"])
def test_normal_noise_is_the_same_picture_under_the_same_draws(package, picture, x, name, severity, monkeypatch):
    drawn = DRAWS.normal(like=x)[0].permute(1, 2, 0).double().numpy()
    expected = ours(name, x, severity)
    replayed(monkeypatch, normal=[lambda size, scale: scale * drawn])
    assert similarity(expected, theirs(package, name, picture, severity)) >= LEAST


@pytest.mark.parametrize("severity", SEVERITIES)
def test_motion_blur_is_the_same_picture_at_the_same_angle(package, picture, x, severity, monkeypatch):
    angle = float(DRAWS.uniform(-45, 45, like=x[:, 0, 0, 0]))
    expected = ours("motion_blur", x, severity)
    replayed(monkeypatch, uniform=[lambda low, high: angle])
    assert similarity(expected, theirs(package, "motion_blur", picture, severity)) >= LEAST


@pytest.mark.parametrize("severity", SEVERITIES)
def test_snow_is_the_same_picture_under_the_same_draws(package, picture, x, severity, monkeypatch):
    noise = DRAWS.normal(like=x[:, :1])[0, 0].double().numpy()
    angle = float(DRAWS.fork("way").uniform(-135, -45, like=x[:, 0, 0, 0]))
    expected = ours("snow", x, severity)
    replayed(monkeypatch, normal=[lambda size, loc, scale: loc + scale * noise], uniform=[lambda low, high: angle])
    assert similarity(expected, theirs(package, "snow", picture, severity)) >= LEAST


@pytest.mark.parametrize("severity", SEVERITIES)
def test_fog_is_the_same_picture_under_the_same_draws(package, picture, x, severity, monkeypatch):
    chance = DRAWS.uniform(-1, 1, like=torch.empty(1, 256, 256))[0].double().numpy()
    expected = ours("fog", x, severity)
    asked = []
    for step in (2**k for k in range(8, 0, -1)):
        half = step // 2
        asked += [chance[half::step, half::step], chance[0::step, half::step], chance[half::step, 0::step]]
    replayed(monkeypatch, uniform=[lambda low, high, shape, part=part: high * part.reshape(shape) for part in asked])
    assert similarity(expected, theirs(package, "fog", picture, severity)) >= LEAST


@pytest.mark.parametrize("severity", SEVERITIES)
def test_glass_is_the_same_picture_under_the_same_draws(package, picture, x, severity, monkeypatch):
    reach, rounds = ((1, 2), (2, 1), (2, 3), (3, 2), (4, 2))[severity - 1]
    expected = ours("glass_blur", x, severity)
    moves = [DRAWS.fork("round", i).uniform(0, 1, like=torch.empty(1, 224, 224, 2))[0].numpy() for i in range(rounds)]
    whole = [(move * np.float32(2 * reach)).astype(int) - reach for move in moves]
    places = range(224 - reach, reach, -1)
    asked = (move[i, j, ::-1] for move in whole for i, j in itertools.product(places, places))  # right first, then down
    monkeypatch.setattr(np.random, "randint", lambda low, high, size: next(asked))
    assert similarity(expected, theirs(package, "glass_blur", picture, severity)) >= LEAST


@pytest.mark.parametrize("severity", SEVERITIES)
def test_elastic_transform_is_the_same_picture_under_the_packages_table(package, picture, x, severity, monkeypatch):
    """The package: sigma 1 % of the side, noise up to 0.5 % of it, times 12.5, 16.25, 21.25, 25 and 30; no affine map."""
    strength = [0.005 * 250 * share for share in (0.05, 0.065, 0.085, 0.1, 0.12)]
    noise = DRAWS.uniform(-1, 1, like=torch.empty(1, 2, 224, 224))[0].double().numpy()
    expected = ours("elastic_transform", x, severity, strength=strength, smoothness=[0.01] * 5, affine=[0] * 5)
    replayed(monkeypatch, uniform=[lambda low, high, size, part=part: high * part for part in noise])
    assert similarity(expected, theirs(package, "elastic_transform", picture, severity)) >= LEAST


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["shot_noise", "impulse_noise"])
def test_noise_of_other_draws_is_the_same_in_distribution(package, picture, x, name, severity):
    """Mean and deviation of what was added, and how similar the image is to the clean one."""
    np.random.seed(0)  # noqa: NPY002  what the package reads
    a, b = ours(name, x, severity), theirs(package, name, picture, severity)
    ours_added, theirs_added = (image.astype(float) - picture for image in (a, b))
    assert ours_added.mean() == pytest.approx(theirs_added.mean(), abs=1.0)
    assert ours_added.std() == pytest.approx(theirs_added.std(), rel=0.02)
    assert similarity(a, picture) == pytest.approx(similarity(b, picture), abs=0.01)


def test_other_pictures_are_told_apart(package, picture, x):
    """The measure can fail: one severity is not another."""
    assert similarity(ours("defocus_blur", x, 1), theirs(package, "defocus_blur", picture, 2)) < LEAST
    assert similarity(ours("saturate", x, 2), theirs(package, "saturate", picture, 3)) < LEAST
