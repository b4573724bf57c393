"""Masks of lesions, from each source that has them, and refused where they do not lie over their image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from robustdx.data import load_dataset
from robustdx.data.in_memory import from_torch
from robustdx.data.masks import masks, read_mask
from robustdx.data.protocol import Example
from robustdx.errors import DataError, ImageError

HALF = np.zeros((12, 16), np.uint8)
HALF[:, :8] = 255


def drawn(file, values) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)
    return str(file)


@pytest.fixture
def example(tmp_path, picture) -> Example:
    """A 6x8 image with a mask twice as large, white on its left half."""
    return Example(id="a", label=0, file=str(picture("a.png")), mask=drawn(tmp_path / "a_mask.png", HALF))


def test_a_mask_at_another_scale_is_laid_over_its_image(example):
    for size in ((6, 8), (12, 16), (3, 4), (5, 10)):
        mask = read_mask(example, size)
        assert mask.shape == size
        assert mask.dtype == bool
        assert mask[:, : size[1] // 2].all()
        assert not mask[:, size[1] // 2 :].any()


def test_black_and_white_may_be_0_and_1_or_a_photo_of_them(example, tmp_path):
    drawn(tmp_path / "a_mask.png", HALF // 255)
    assert read_mask(example, (6, 8)).mean() == 0.5
    drawn(tmp_path / "a_mask.png", np.where(HALF == 255, 251, 3).astype(np.uint8))
    assert read_mask(example, (6, 8)).mean() == 0.5
    drawn(tmp_path / "a_mask.png", HALF * 0)
    assert not read_mask(example, (6, 8)).any()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (HALF.T.copy(), "the mask does not fit: it is 16x12, its image 6x8"),
        (HALF // 51, "expected a mask of 0 and 255, or of 0 and 1, got values up to 5"),
    ],
)
def test_what_is_no_mask_of_this_image_is_refused(example, tmp_path, values, words):
    drawn(tmp_path / "a_mask.png", values)
    with pytest.raises(ImageError, match=words):
        read_mask(example, (6, 8))


def test_a_table_names_masks(tmp_path, picture):
    picture("a.png"), picture("b.png"), drawn(tmp_path / "masks" / "a.png", HALF)
    (tmp_path / "t.csv").write_text("image,label,mask\na.png,0,masks/a.png\nb.png,1,\n")
    data = load_dataset(f"csv:{tmp_path / 't.csv'}")
    assert masks(data, data.examples[:1], (6, 8)).shape == (1, 6, 8)
    with pytest.raises(DataError, match=r"expected a mask for every image.*got none for 'b.png'"):
        masks(data, data.examples, (6, 8))
    (tmp_path / "t.csv").write_text("image,label,mask\na.png,0,worn\nb.png,1,no\n")
    assert load_dataset(f"csv:{tmp_path / 't.csv'}").examples[0].attributes == {"mask": "worn"}, "another meaning of the word"
    (tmp_path / "t.csv").write_text("image,label,mask\na.png,0,a.png\nb.png,1,gone.png\n")
    with pytest.raises(DataError, match=r"expected the mask 'gone.png' beside the table"):
        load_dataset(f"csv:{tmp_path / 't.csv'}")


def test_a_set_in_memory_brings_arrays():
    items = [(torch.rand(3, 6, 8), i) for i in range(2)]
    data = from_torch(items, masks=[HALF // 255, torch.from_numpy(HALF == 255)[None]])
    assert masks(data, data.examples, (6, 8)).mean() == 0.5
    for wrong, words in ((HALF.T, "does not fit"), (HALF / 3, "of 0 and 1"), (HALF[0], "of 0 and 1")):
        with pytest.raises((DataError, ImageError), match=words):
            from_torch(items, masks=[wrong, None])
    with pytest.raises(DataError, match="one mask for each of 2 images"):
        from_torch(items, masks=[HALF])


def test_the_built_in_lesions_are_drawn_with_their_masks():
    data = load_dataset("synthetic,images=20")
    share = masks(data, data.examples, (64, 64)).mean((1, 2))
    assert ((share > 0.05) & (share < 0.8)).all()


def test_real_masks_lie_over_their_lesions(real_data):
    """HAM10000's are three times as large as the images here, a few of them palette images; lesions are darker than skin."""
    data = load_dataset(f"ham10000:{real_data / 'derm_ham10000_200x150'}")
    some = data.examples[:: len(data) // 60]
    inside, shades = masks(data, some, (75, 100)), np.stack([data.read(e, (75, 100), 1)[..., 0] for e in some]).astype(float)
    darker = [s[m].mean() < s[~m].mean() for s, m in zip(shades, inside, strict=True) if m.any() and not m.all()]
    assert np.mean(darker) > 0.9
    isic = load_dataset(f"isic2017:{real_data / 'derm_isic2017_256'}")
    have = [e.split for e in isic.examples if e.mask]
    assert len(have) == 1511
    assert set(have) == {"train", "val"}
