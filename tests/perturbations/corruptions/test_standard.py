"""The standard tables are those of ImageNet-C's generator (Hendrycks and Dietterich 2019), at 224 pixels."""

import pytest

from robustdx.perturbations import PERTURBATIONS
from robustdx.perturbations.corruptions import CORRUPTIONS, STANDARD

IMAGENET_C = {
    "gaussian_noise": {"sigma": (0.08, 0.12, 0.18, 0.26, 0.38)},
    "shot_noise": {"photons": (60, 25, 12, 5, 3)},
    "impulse_noise": {"amount": (0.03, 0.06, 0.09, 0.17, 0.27)},
    "speckle_noise": {"sigma": (0.15, 0.2, 0.35, 0.45, 0.6)},
    "gaussian_blur": {"sigma": (1, 2, 3, 4, 6)},
    "glass_blur": {"sigma": (0.7, 0.9, 1, 1.1, 1.5), "reach": (1, 2, 2, 3, 4), "rounds": (2, 1, 3, 2, 2)},
    "defocus_blur": {"radius": (3, 4, 6, 8, 10), "softness": (0.1, 0.5, 0.5, 0.5, 0.5)},
    "motion_blur": {"radius": (10, 15, 15, 15, 20), "sigma": (3, 5, 8, 12, 15), "angle": 45},
    "zoom_blur": {"largest": (1.11, 1.16, 1.21, 1.26, 1.31), "step": (0.01, 0.01, 0.02, 0.02, 0.03)},
    "fog": {"thickness": (1.5, 2, 2.5, 2.5, 3), "decay": (2, 2, 1.7, 1.5, 1.4)},
    "frost": {"kept": (1, 0.8, 0.7, 0.65, 0.6), "ice": (0.4, 0.6, 0.7, 0.7, 0.75)},
    "snow": {
        "mean": (0.1, 0.2, 0.55, 0.55, 0.55),
        "deviation": (0.3,) * 5,
        "size": (3, 2, 4, 4.5, 2.5),
        "threshold": (0.5, 0.5, 0.9, 0.85, 0.85),
        "radius": (10, 12, 12, 12, 12),
        "sigma": (4, 4, 8, 8, 12),
        "kept": (0.8, 0.7, 0.7, 0.65, 0.55),
    },
    "brightness": {"amount": (0.1, 0.2, 0.3, 0.4, 0.5)},
    "contrast": {"kept": (0.4, 0.3, 0.2, 0.1, 0.05)},
    "saturate": {"factor": (0.3, 0.1, 2, 5, 20), "offset": (0, 0, 0, 0.1, 0.2)},
    "jpeg_compression": {"quality": (25, 18, 15, 10, 7)},
    "pixelate": {"kept": (0.6, 0.5, 0.4, 0.3, 0.25)},
    "elastic_transform": {
        "strength": (2, 2, 0.05, 0.07, 0.12),
        "smoothness": (0.7, 0.08, 0.01, 0.01, 0.01),
        "affine": (0.1, 0.2, 0.02, 0.02, 0.02),
    },
}
"""As fractions of 244 for elastic_transform."""


def test_the_18_of_imagenet_c_are_here_under_their_names():
    assert list(CORRUPTIONS) != sorted(CORRUPTIONS), "in the paper's order"
    assert set(CORRUPTIONS) == set(IMAGENET_C)


@pytest.mark.parametrize("name", IMAGENET_C)
def test_its_table_is_the_default_or_the_preset(name):
    standard = f"{name}_standard"
    method = PERTURBATIONS.parse(standard if standard in STANDARD else name)
    assert {key: getattr(method, key) for key in IMAGENET_C[name]} == IMAGENET_C[name]
    assert set(IMAGENET_C[name]) == set(PERTURBATIONS.dump(method)) - {"name"}
