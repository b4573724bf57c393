"""From an image file to 8-bit pixels: one reader for PNG, JPEG, TIFF, BMP and whatever else Pillow opens.

What happens to the unusual ones, so that two readers never disagree:

- rotation noted by the camera (EXIF) is applied;
- palette images become colour; transparency is laid over black;
- 16-bit grey is scaled from its full range, 65535 being white (v / 257, rounded), never stretched to what occurs;
- CMYK, Lab, floating point and files of several pictures are refused by name: they cannot be read right without
  knowing more than the file says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from robustdx.data.protocol import Example, Pixels
from robustdx.errors import DataError, ImageError

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm"})
"""What a file must end in to count as an image when a folder is searched."""

_TRANSPARENT = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_WIDE_GREY = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_REFUSED = {
    "CMYK": "a CMYK image, whose colours depend on a printing profile: convert it to RGB",
    "LAB": "an image in Lab colours: convert it to RGB",
    "HSV": "an image in HSV colours: convert it to RGB",
    "F": "an image of floating-point numbers, whose range is not known: save it with 8 or 16 bits",
}


def read_example(example: Example, size: tuple[int, int] | None, channels: int) -> Pixels:
    """The pixels of an example that lies in a file: `Dataset.read` of every set of files."""
    return read_image(example.file, size, channels)


def read_image(path: str | os.PathLike, size: tuple[int, int] | None = None, channels: int = 3) -> Pixels:
    """The image as (H, W, channels) 8-bit pixels, resized to `size` = (height, width) by antialiased bilinear.

    Raises:
        ImageError: one sentence that names the file, what is wrong with it and what to do.
    """
    return _fit(_open(Path(path)), size, channels)


def metadata(path: Path) -> dict[str, Any]:
    """What a file says beside its pixels, in the words of Pillow's PNG writer: icc_profile, dpi, exif, and text by key.

    The rotation that a camera notes is left out: `read_image` has applied it. Names of patients may be among it.
    """
    with Image.open(path) as image:
        image.load()
        info, exif = image.info, image.getexif()
    exif.pop(ExifTags.Base.Orientation, None)
    text = {k: v for k, v in info.items() if isinstance(k, str) and isinstance(v, str)} if image.format == "PNG" else {}
    kept = {k: info[k] for k in ("icc_profile", "dpi") if info.get(k)}
    return {**kept, **({"exif": exif} if len(exif) else {}), "text": text}


def resized(pixels: Pixels, size: tuple[int, int] | None, channels: int) -> Pixels:
    """(H, W) or (H, W, C) 8-bit pixels as `read_image` would give them, had they come from a file."""
    return _fit(Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels), size, channels)


def _fit(image: Image.Image, size: tuple[int, int] | None, channels: int) -> Pixels:
    if channels not in (1, 3):
        raise ImageError(f"expected 1 or 3 channels, got {channels}: images are read as grey or colour")
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).reshape(image.height, image.width, channels)


def files_in(folder: Path) -> dict[str, Path]:
    """The image files that lie directly in a folder, by name without ending, in the order of their names.

    Raises:
        DataError: the folder is not there, or holds no image.
    """
    if not folder.is_dir():
        raise DataError(f"expected the folder {folder}, which is not there: check the path")
    found = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in ENDINGS}
    if not found:
        raise DataError(f"expected images in {folder}, found none that end in {', '.join(sorted(ENDINGS))}: check the path")
    return found


def file_of(files: dict[str, Path], image: str) -> Path:
    """The file of an image that a table names, among those of `files_in`."""
    if image not in files:
        folder = next(iter(files.values())).parent
        raise DataError(
            f"{folder}: expected an image {image}, which a table names, but there is no such file: copy it there or drop the row"
        )
    return files[image]


def _open(path: Path) -> Image.Image:
    """The decoded image in a mode that converts to grey or colour without loss of meaning."""
    try:
        with Image.open(path) as image:
            _refuse_odd(image, path)
            image.load()
            return _plain(ImageOps.exif_transpose(image), path)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: expected an image file, which is not there: check the path") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: expected at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, got more: scale it down first") from None
    except UnidentifiedImageError:
        was = "an empty file" if not path.stat().st_size else "something else"
        raise ImageError(f"{path}: expected an image such as PNG, JPEG or TIFF, got {was}: replace it or leave it out") from None
    except Exception as error:  # the decoders raise almost anything on broken bytes
        raise ImageError(
            f"{path}: expected a whole image file, got one that cannot be decoded ({error}): copy it again or leave it out"
        ) from None


def _refuse_odd(image: Image.Image, path: Path) -> None:
    if image.mode in _REFUSED:
        raise ImageError(f"{path}: expected grey or RGB, got {_REFUSED[image.mode]}")
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # a camera's MPO holds the photo first, then its preview
        raise ImageError(f"{path}: expected one image, got {image.n_frames} in one file: save the slices as single files")  # type: ignore[attr-defined]


def _plain(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in _WIDE_GREY:
        return _narrow(np.asarray(image), path)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image)
    return image.convert("RGB") if image.mode == "P" else image


def _narrow(values: np.ndarray, path: Path) -> Image.Image:
    """16-bit grey as 8-bit grey: 0 to 65535 becomes 0 to 255."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(f"{path}: expected grey values from 0 to 65535, got {low} to {high}: save it with 8 or 16 bits")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
