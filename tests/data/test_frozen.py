"""Pictures of frames: without loss, whatever their number and size."""

from pathlib import Path

import numpy as np
import pytest

from robustdx.data import load_dataset
from robustdx.data.frozen import pictures
from robustdx.errors import DataError, ImageError


@pytest.mark.parametrize("shape", [(1, 9, 7, 3), (10, 16, 24, 3), (5, 11, 8, 1), (7, 3000, 4, 3), (31, 1400, 2, 1)])
def test_frames_come_back_as_they_were(tmp_path: Path, shape: tuple[int, int, int, int]) -> None:
    """Those that are too many for one column too: a side of a picture has 16383 pixels at most."""
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "a.webp").write_bytes(pictures.encoded(frames))
    assert np.array_equal(pictures.decoded(tmp_path / "a.webp", shape), frames)


def test_a_picture_of_another_shape_or_none_is_refused(tmp_path: Path) -> None:
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    path = tmp_path / "a.webp"
    path.write_bytes(pictures.encoded(frames))
    with pytest.raises(ImageError, match="expected 4 frames of 8x8, got a picture of 24x8"):
        pictures.decoded(path, (4, 8, 8, 3))
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ImageError, match="expected a whole picture"):
        pictures.decoded(path, (3, 8, 8, 3))
    with pytest.raises(ImageError, match="expected a whole picture"):
        pictures.decoded(tmp_path / "none.webp", (3, 8, 8, 3))


def test_a_fingerprint_tells_pixels_and_shapes_apart() -> None:
    frames = np.arange(48, dtype=np.uint8).reshape(2, 4, 2, 3)
    other = frames.copy()
    other[1, 2, 0, 1] ^= 1
    same = np.asfortranarray(frames)
    assert pictures.fingerprint(frames) == pictures.fingerprint(same)
    assert len({pictures.fingerprint(f) for f in (frames, other, frames.reshape(2, 2, 4, 3), frames.reshape(4, 2, 2, 3))}) == 4


def test_what_is_no_frozen_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a frozen set in .*, got none: make one with `robustdx perturb --preset`"):
        load_dataset(f"frozen:{tmp_path}")
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(DataError, match="got one that is not whole: run the command that began it once more"):
        load_dataset(f"frozen:{tmp_path}")
