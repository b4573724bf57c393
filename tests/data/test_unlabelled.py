"""A folder of images that nobody has sorted."""

from pathlib import Path

import pytest
from PIL import Image

from robustdx.data.unlabelled import unlabelled
from robustdx.errors import DataError


def test_all_images_at_any_depth_are_named_by_their_paths(tmp_path: Path) -> None:
    for name in ("b.png", "deep/er/a.JPG", "deep/c.bmp", ".hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), (9, 90, 200)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    found = unlabelled(tmp_path)
    assert [e.id for e in found.examples] == ["b.png", "deep/c.bmp", "deep/er/a.JPG"]
    assert found.read(found.examples[0], None, 3).shape == (4, 5, 3)
    assert found.name == tmp_path.name


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected images, found none that end in .*\.png"):
        unlabelled(tmp_path)
