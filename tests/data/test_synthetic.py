"""The built-in set: the same everywhere, and labels that follow from what is drawn."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from robustdx.data import load_dataset
from robustdx.data.batches import decoded
from robustdx.data.lesions import draw_lesion
from robustdx.data.split import cut_groups
from robustdx.data.synthetic import boxes, findings, mask
from robustdx.errors import PlanError


@pytest.fixture(scope="module")
def small():
    return load_dataset("synthetic,images=300")


def test_the_set_in_numbers() -> None:
    data = load_dataset("synthetic")
    assert (len(data), data.kind, data.classes) == (2000, "multiclass", ("nevus", "melanoma", "keratosis", "vascular"))
    assert 0.69 < len(data.only("train")) / 2000 < 0.71
    assert data.grouped
    assert cut_groups(data) == {}
    shares = np.bincount([e.label for e in data.examples]) / 2000
    assert shares.min() > 0.08
    assert shares.max() < 0.5


def test_some_lesions_have_two_photos_that_differ(small) -> None:
    by_lesion = {}
    for e in small.examples:
        by_lesion.setdefault(e.patient, []).append(e)
    a, b = next(photos for photos in by_lesion.values() if len(photos) == 2)
    assert a.label == b.label
    assert (small.read(a, (32, 32), 3) != small.read(b, (32, 32), 3)).mean() > 0.5


def test_a_photo_depends_on_its_id_and_the_seed_alone(small) -> None:
    larger, other = load_dataset("synthetic,images=400"), load_dataset("synthetic,images=300,seed=1")
    e = small.examples[7]
    assert (larger.examples[7].id, larger.examples[7].label) == (e.id, e.label)
    assert (larger.read(larger.examples[7], (40, 40), 3) == small.read(e, (40, 40), 3)).all()
    assert (other.read(other.examples[7], (40, 40), 3) != small.read(e, (40, 40), 3)).any()


def test_pixels_known_by_heart(small) -> None:
    """Fails when a change of the painting would silently change the built-in set."""
    pixels = small.read(small.examples[0], (64, 64), 3)
    assert np.abs(pixels[0, 0].astype(int) - [183, 154, 130]).max() <= 1
    assert float(pixels.mean()) == pytest.approx(149.23, abs=0.05)


@pytest.mark.parametrize(("size", "channels"), [((64, 64), 3), ((48, 64), 1), (None, 3)])
def test_any_size_and_both_channels(small, size, channels) -> None:
    pixels = small.read(small.examples[0], size, channels)
    assert pixels.shape == (*(size or (128, 128)), channels)
    assert pixels.dtype == np.uint8


def test_grey_is_the_luma_of_the_colours(small) -> None:
    colour, grey = (small.read(small.examples[3], (32, 32), c).astype(float) for c in (3, 1))
    assert np.abs(colour @ [0.299, 0.587, 0.114] - grey[..., 0]).max() <= 1


def test_a_small_photo_looks_like_a_large_one(small) -> None:
    large, tiny = (small.read(small.examples[5], (s, s), 3).astype(float) for s in (128, 32))
    assert np.abs(large.reshape(32, 4, 32, 4, 3).mean((1, 3)) - tiny).mean() < 12


def test_the_mask_covers_what_differs_from_the_skin(small) -> None:
    for e in small.examples[:20]:
        pixels, inside = small.read(e, (64, 64), 1)[..., 0].astype(float), mask(e, (64, 64))
        assert 0.02 < inside.mean() < 0.7
        assert pixels[inside].mean() < pixels[~inside].mean() - 5


def test_boxes_hold_the_lesion_and_its_dots(small) -> None:
    e = next(e for e in small.examples if e.label == 3)
    (name, left, top, right, bottom), *dots = boxes(e, (128, 128))
    rows, columns = np.nonzero(mask(e, (128, 128)))
    assert (name, left, top, right, bottom) == ("lesion", columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    lakes = [b for b in dots if b[0] == "lacuna"]
    pixels = small.read(e, (128, 128), 3).astype(float)
    reds = [pixels[int((t + b) / 2) % 128, int((l + r) / 2) % 128] for _, l, t, r, b in lakes]
    assert np.median([red[0] - red[1] for red in reds]) > 40  # red lakes are red where their boxes say


def test_findings_follow_from_the_signs() -> None:
    data = load_dataset("synthetic,task=multilabel,images=100")
    assert data.kind == "multilabel"
    for e in data.examples[:30]:
        lesion = draw_lesion(0, e.patient)
        assert dict(zip(data.classes, map(bool, e.label), strict=True)) == findings(e)
        assert findings(e)["asymmetry"] == (lesion.asymmetry > 0.45)


def test_the_grade_is_the_abcd_rule() -> None:
    for number in range(200):
        lesion = draw_lesion(0, f"lesion-{number:05d}")
        score = 2.6 * lesion.asymmetry + 0.8 * lesion.border + 0.5 * lesion.colours + 0.5 * (1 + sum(lesion.structures))
        assert lesion.grade == (score >= 4.75) + (score >= 5.45)


def test_the_binary_task_is_melanoma_or_not(small) -> None:
    binary = load_dataset("synthetic,task=binary,images=300")
    assert (binary.kind, binary.classes) == ("binary", ("benign", "melanoma"))
    assert [e.label for e in binary.examples] == [int(e.label == 1) for e in small.examples]


def test_labels_follow_from_the_signs_well_but_not_perfectly() -> None:
    data = load_dataset("synthetic")
    lesions = [draw_lesion(0, e.patient) for e in data.examples]
    signs = np.array([[s.dermoscopy_score, len(s.cysts), len(s.lacunae)] for s in lesions])
    y, train = np.array([e.label for e in data.examples]), np.array([e.split == "train" for e in data.examples])
    accuracy = LogisticRegression(max_iter=2000).fit(signs[train], y[train]).score(signs[~train], y[~train])
    assert 0.86 < accuracy < 0.97


def test_coarse_pixels_alone_do_not_give_the_class_away() -> None:
    data = load_dataset("synthetic,images=1000")
    x = decoded(data, (8, 8), 3).read.pixels.reshape(1000, -1) / 255
    y, train = np.array([e.label for e in data.examples]), np.array([e.split == "train" for e in data.examples])
    accuracy = LogisticRegression(max_iter=500, C=0.1).fit(x[train], y[train]).score(x[~train], y[~train])
    assert 0.45 < accuracy < 0.75


def test_painting_is_fast(small) -> None:
    start = time.process_time()
    for e in small.examples[:100]:
        small.read(e, (64, 64), 3)
    assert (time.process_time() - start) / 100 < 0.004  # 1.1 ms measured; the bound allows for a slow machine


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(PlanError, match="at least 20 images, got 3"):
        load_dataset("synthetic,images=3")
    with pytest.raises(PlanError, match="task: expected one of binary, multiclass, multilabel, got 'ordinal'"):
        load_dataset("synthetic,task=ordinal")
    with pytest.raises(PlanError, match="images: expected a whole number, got 'many'"):
        load_dataset("synthetic,images=many")
