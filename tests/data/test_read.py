"""Image files: read right, or refused by name in one sentence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustdx.data.read import files_in, read_image
from robustdx.errors import DataError, ImageError


def ramp(height: int = 8, width: int = 12) -> np.ndarray:
    """A colour image that no rotation or swap of channels leaves as it is."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_colour_png_is_read_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == ramp()).all()


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "ppm", "webp"])
def test_common_formats_are_read(tmp_path: Path, ending: str) -> None:
    Image.fromarray(ramp()).save(tmp_path / f"a.{ending}", lossless=True)
    assert (read_image(tmp_path / f"a.{ending}") == ramp()).all()


def test_grey_becomes_three_equal_channels_and_colour_becomes_luma(tmp_path: Path) -> None:
    Image.fromarray(ramp()[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(ramp()).save(tmp_path / "colour.png")
    assert (read_image(tmp_path / "grey.png", channels=3) == ramp()[..., :1]).all()
    luma = ramp() @ np.array([0.299, 0.587, 0.114])
    assert read_image(tmp_path / "colour.png", channels=1).shape == (8, 12, 1)
    assert np.abs(read_image(tmp_path / "colour.png", channels=1)[..., 0] - luma).max() <= 1


def test_a_camera_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    Image.fromarray(ramp()).save(tmp_path / "a.png", exif=exif)
    assert (read_image(tmp_path / "a.png") == np.rot90(ramp(), -1)).all()


def test_a_palette_becomes_colour(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 10, 30])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 0, 0], [200, 10, 30]]]


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bit_grey_is_scaled_from_its_full_range(tmp_path: Path, ending: str) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{ending}")
    assert read_image(tmp_path / f"a.{ending}", channels=1)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_transparency_is_laid_over_black(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 128]]], np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[200, 100, 50], [0, 0, 0], [100, 50, 25]]]


def test_resizing_averages_so_that_fine_stripes_become_grey(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    Image.fromarray(stripes).save(tmp_path / "a.png")
    small = read_image(tmp_path / "a.png", (8, 16), 1)
    assert small.shape == (8, 16, 1)
    assert np.abs(small.astype(int)[:, 2:-2] - 128).max() < 20


def test_a_jpeg_cut_short_is_refused(tmp_path: Path) -> None:
    Image.fromarray(ramp(64, 64)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-400])
    with pytest.raises(ImageError, match=r"cut\.jpg: expected a whole image file.*truncated.*copy it again"):
        read_image(tmp_path / "cut.jpg")


def test_a_png_with_broken_bytes_is_refused(tmp_path: Path) -> None:
    Image.fromarray(ramp(64, 64)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[60:90] = bytes(30)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.png: expected a whole image file"):
        read_image(tmp_path / "a.png")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(ImageError, match=r"expected at most 80 pixels.*scale it down"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("mode", "words"), [("CMYK", "a CMYK image.*convert it to RGB"), ("LAB", "Lab colours"), ("F", "floating-point numbers.*8 or 16 bits")]
)
def test_what_cannot_be_read_right_is_refused_by_name(tmp_path: Path, mode: str, words: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=words):
        read_image(tmp_path / "a.tif")


def test_a_cmyk_jpeg_is_refused_by_name(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"a\.jpg: expected grey or RGB, got a CMYK image"):
        read_image(tmp_path / "a.jpg")


def test_a_file_of_several_pictures_is_refused(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(ramp())])
    with pytest.raises(ImageError, match="expected one image, got 2 in one file"):
        read_image(tmp_path / "a.tif")


def test_grey_beyond_sixteen_bits_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-5, 70000]], np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="expected grey values from 0 to 65535, got -5 to 70000"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(("content", "words"), [(b"", "an empty file"), (b"hello", "something else")])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=rf"expected an image such as PNG, JPEG or TIFF, got {words}"):
        read_image(tmp_path / "a.png")


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png: expected an image file, which is not there"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(DataError, match="expected images in"):
        files_in(tmp_path)
