"""Severities in order: the measure itself on made images, and all perturbations on real ones."""

import numpy as np
import pytest
import torch

from robustdx.data import load_dataset
from robustdx.draws import Draws
from robustdx.perturbations import PERTURBATIONS, SEVERITIES
from robustdx.perturbations.calibration import SLACK, Scale, believable, calibrate, main, spread, table

REAL = {
    "dermoscopy": ("ham10000:{}/derm_ham10000_200x150", 3),
    "fundus": ("csv:{}/fundus_dr_grading_480/train.csv,image=id_code,label=diagnosis,images=train_images", 3),
    "x-ray": ("folder:{}/cxr_pneumonia_224/chest_xray", 1),
    "ct": ("folder:{}/ct_sarscov2_256", 1),
}
"""Where real images of a modality lie, and their channels."""
IMAGES = 3
"""Of each kind; docs/perturbations-calibration.md has 200."""


class Fading:
    """A perturbation whose severities are known: x + amount, with one severity out of order where that is asked."""

    modalities = ()
    random = False

    def __init__(self, *amounts):
        self.amounts = amounts

    def __call__(self, x, severity, draws):
        return (x + self.amounts[severity - 1]).clamp(0, 1)


@pytest.fixture
def images():
    return torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.4


def scale_of(images, *amounts):
    (scale,) = calibrate(images, {"fading": Fading(*amounts)}, Draws(0, ("a", "b", "c")))
    return scale


def test_similarity_is_that_of_the_formula(images):
    """Against x + c there is only the luminance term, (2 m (m + c) + C1) / (m^2 + (m + c)^2 + C1), in every window."""
    scale = scale_of(images, 0.1, 0.2, 0.3, 0.4, 0.5)
    flat = torch.full((1, 1, 32, 32), 0.2)
    for c, seen in zip((0.1, 0.2, 0.3, 0.4, 0.5), scale_of(flat, 0.1, 0.2, 0.3, 0.4, 0.5).means, strict=True):
        assert seen == pytest.approx((2 * 0.2 * (0.2 + c) + 1e-4) / (0.04 + (0.2 + c) ** 2 + 1e-4), abs=0.005)
    assert scale.falls
    assert scale.worst < 0
    assert scale.in_order


def test_severities_out_of_order_are_seen(images):
    scale = scale_of(images, 0.1, 0.3, 0.2, 0.4, 0.5)
    assert not scale.falls
    assert scale.worst == pytest.approx(float((scale.similarity[:, 2] - scale.similarity[:, 1]).max()))
    assert not scale.in_order


def test_one_image_out_of_order_among_many_is_seen_though_the_mean_falls():
    similarity = np.tile([0.9, 0.8, 0.7, 0.6, 0.5], (50, 1))
    similarity[7] = [0.9, 0.5, 0.55, 0.4, 0.3]
    scale = Scale("one", similarity)
    assert scale.falls
    assert scale.worst == pytest.approx(0.05)
    assert not scale.in_order


def test_a_perturbation_that_does_nothing_is_not_in_order(images):
    assert not scale_of(images, 0, 0, 0, 0, 0).falls


def test_the_table_marks_what_is_out_of_order():
    lines = table([Scale("good", np.array([[0.9, 0.8, 0.7, 0.6, 0.5]])), Scale("bad", np.array([[0.9, 0.8, 0.85, 0.6, 0.5]]))])
    assert "| `good` | 0.900 | 0.800 | 0.700 | 0.600 | 0.500 | yes | none |" in lines
    assert "| `bad` | 0.900 | 0.800 | 0.850 | 0.600 | 0.500 | **no** | **0.050** |" in lines


def test_what_is_believable_depends_on_the_modality():
    anywhere = believable(None)
    assert "gaussian_noise" in anywhere
    assert "saturate" not in anywhere
    assert "saturate" in believable("fundus")
    assert set(anywhere) <= set(believable("x-ray")) <= set(PERTURBATIONS.methods)


def test_grey_images_pass_over_what_needs_colour(images):
    scales = calibrate(
        images, {"saturate": PERTURBATIONS.parse("saturate"), "fading": Fading(0.1, 0.2, 0.3, 0.4, 0.5)}, Draws(0, tuple("abc"))
    )
    assert [scale.name for scale in scales] == ["fading"]


def test_the_command_writes_the_table_of_a_data_set(tmp_path):
    out = tmp_path / "table.md"
    main(["--data", "synthetic", "--images", "2", "--size", "64", "--only", "contrast", "quantisation", "--out", str(out)])
    assert out.read_text().count("\n") == 4
    assert "| `contrast` |" in out.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("modality", REAL)
def test_every_believable_perturbation_stands_in_order_on_real_images(modality, real_data):
    source, channels = REAL[modality]
    x, ids = spread(load_dataset(source.format(real_data)), IMAGES, 224, channels)
    assert len(ids) == IMAGES
    scales = list(calibrate(x, believable(modality), Draws(0, ids)))
    assert len(scales) >= 17 + (channels == 3)
    broken = {scale.name: (scale.means.round(3).tolist(), round(scale.worst, 3)) for scale in scales if not scale.in_order}
    assert not broken, f"largest break allowed {SLACK}, severities {SEVERITIES}"
