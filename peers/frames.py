"""The 14 sequences as they are usually written: one picture at a time, with OpenCV, scikit-image, scipy and numpy.

A picture is (H, W, 3) on 8 bits; a frame leaves as a network takes it, float32 (3, H, W) in [0, 1]. Parameters are those of ImageNet-P.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from skimage.color import hsv2rgb, rgb2hsv
from skimage.filters import gaussian

Picture = NDArray[np.uint8]
Frame = NDArray[np.float32]
WATER = np.array([175, 238, 238]) / 255
FLOW = np.array([0.05, 0.1, 0.15, 0.7])


def for_network(picture: NDArray) -> Frame:
    values = picture.astype(np.float32) / 255 if picture.dtype == np.uint8 else picture.astype(np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def gaussian_noise(picture: Picture, count: int) -> Iterator[NDArray]:
    x = picture / 255.0
    yield picture
    for _ in range(1, count):
        yield np.clip(x + 0.03 * np.random.normal(size=x.shape), 0, 1)  # noqa: NPY002 as usual


def shot_noise(picture: Picture, count: int) -> Iterator[NDArray]:
    x = picture / 255.0
    yield picture
    for _ in range(1, count):
        yield np.clip(np.random.poisson(x * 300) / 300, 0, 1)  # noqa: NPY002 as usual


def speckle_noise(picture: Picture, count: int) -> Iterator[NDArray]:
    x = picture / 255.0
    yield picture
    for _ in range(1, count):
        yield np.clip(x + x * np.random.normal(size=x.shape, scale=0.05), 0, 1)  # noqa: NPY002 as usual


def line(radius: int, sigma: float, angle: float) -> NDArray:
    """A motion-blur kernel for `filter2D`."""
    side, steps = 4 * radius + 1, np.arange(2 * radius + 1)
    kernel, weights = np.zeros((side, side), np.float32), np.exp(-(steps**2) / (2 * sigma**2))
    for i, weight in zip(steps, weights, strict=True):
        down, right = (int(np.ceil(round(i * f(np.radians(angle)), 9) - 0.5)) for f in (np.sin, np.cos))
        kernel[side // 2 + down, side // 2 + right] += weight
    return kernel / kernel.sum()


def motion_blur(picture: Picture, count: int) -> Iterator[NDArray]:
    for i in range(count):
        yield cv2.filter2D(picture, -1, line(10, 3, (i - 30) * 4), borderType=cv2.BORDER_REPLICATE)


def zoom_blur(picture: Picture, count: int) -> Iterator[NDArray]:
    total = picture.astype(np.float32) / 255
    yield picture
    for i in range(1, count):
        total = total + affine(picture, scale=1 + 0.004 * i).astype(np.float32) / 255
        yield total / (i + 1)


def snow(picture: Picture, count: int) -> Iterator[NDArray]:
    x, (h, w) = picture.astype(np.float32) / 255, picture.shape[:2]
    layer = np.random.normal(size=(h, w), loc=0.05, scale=0.3)  # noqa: NPY002 as usual
    crop, at = -(-h // 3), (h + h // -3) // 2
    layer = zoom(layer[at : at + crop, at : at + crop], 3, order=1)[:h, :w]
    layer[layer < 0.5] = 0
    layer = (np.clip(layer, 0, 1) * 255).astype(np.uint8)
    for i in range(count):
        fallen = cv2.filter2D(layer, -1, line(14, 4, i * 4 - 150), borderType=cv2.BORDER_REPLICATE)[..., None] / 255.0
        grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None] * 1.5 + 0.5
        yield np.clip(0.85 * x + 0.15 * np.maximum(x, grey) + fallen + np.rot90(fallen, k=2), 0, 1)


def brightness(picture: Picture, count: int) -> Iterator[NDArray]:
    for i in range(count):
        hsv = rgb2hsv(picture / 255.0)
        hsv[..., 2] = np.clip(hsv[..., 2] + (i - 15) * 0.02, 0, 1)
        yield hsv2rgb(hsv)


def affine(picture: Picture, angle: float = 0.0, scale: float = 1.0, shift: float = 0.0, shear: float = 0.0) -> Picture:
    h, w = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), -angle, scale)
    matrix[0, 1] -= np.tan(np.radians(shear))
    matrix[0, 2] += shift + np.tan(np.radians(shear)) * (h - 1) / 2
    return cv2.warpAffine(picture, matrix, (w, h), flags=cv2.INTER_LINEAR)


def translate(picture: Picture, count: int) -> Iterator[NDArray]:
    yield from (affine(picture, shift=i - 20) for i in range(count))


def rotate(picture: Picture, count: int) -> Iterator[NDArray]:
    yield from (affine(picture, angle=i - 15) for i in range(count))


def scale(picture: Picture, count: int) -> Iterator[NDArray]:
    yield from (affine(picture, scale=(40 + 2.5 * i) / 100) for i in range(count))


def shear(picture: Picture, count: int) -> Iterator[NDArray]:
    yield from (affine(picture, shear=i - 15) for i in range(count))


def tilt(picture: Picture, count: int) -> Iterator[NDArray]:
    h, w = picture.shape[:2]
    f = np.hypot(h, w)
    for i in range(count):
        c, s = np.cos(np.radians(i - 15)), np.sin(np.radians(i - 15))
        turned = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        plane = turned @ np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 0]]) + np.array([[0, 0, 0], [0, 0, 0], [0, 0, f]])
        yield cv2.warpPerspective(picture, np.array([[f, 0, w / 2], [0, f, h / 2], [0, 0, 1]]) @ plane, (w, h))


def gaussian_blur(picture: Picture, count: int) -> Iterator[NDArray]:
    for i in range(count):
        yield gaussian(picture / 255.0, sigma=0.25 + 0.035 * i, channel_axis=-1, truncate=6.0)


def spatter(picture: Picture, count: int) -> Iterator[NDArray]:
    x = picture.astype(np.float32) / 255
    liquid = gaussian(np.random.normal(size=x.shape[:2], loc=0.65, scale=0.27), sigma=3.7)  # noqa: NPY002 as usual
    liquid[liquid < 0.69] = 0
    emboss = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    for _ in range(count):
        grey = (liquid * 255).astype(np.uint8)
        far = cv2.distanceTransform(255 - cv2.Canny(grey, 50, 150), cv2.DIST_L2, 5)
        far = cv2.equalizeHist(cv2.blur(np.minimum(far, 20), (3, 3)).astype(np.uint8))
        lit = cv2.blur(cv2.filter2D(far, cv2.CV_8U, emboss), (3, 3)).astype(np.float32)
        drops = grey * lit
        yield np.clip(x + (0.6 * drops / max(drops.max(), 1))[..., None] * WATER, 0, 1)
        liquid = np.apply_along_axis(lambda column: np.convolve(column, FLOW, mode="same"), axis=0, arr=liquid)


USUAL: dict[str, Callable[[Picture, int], Iterator[NDArray]]] = {
    f.__name__: f
    for f in (
        *(gaussian_noise, shot_noise, motion_blur, zoom_blur, snow, brightness, translate, rotate, tilt, scale),
        *(speckle_noise, gaussian_blur, spatter, shear),
    )
}
"""Under the names of `SEQUENCES`."""
