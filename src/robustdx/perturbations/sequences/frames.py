"""What all sequences share: which images they take, and where each frame stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from robustdx.errors import ImageError
from robustdx.perturbations.protocol import require_count
from robustdx.tensors import Images, require_pixels

LEAST = 8
"""Images with fewer rows or columns have nothing that could move."""
STILL = 1e-9
"""So near to where nothing is changed, nothing is: sums of decimal steps end a little beside it."""


def require(x: Images, count: int) -> None:
    """Refuse what no sequence can be made of, at once and not at the first frame.

    Raises:
        PlanError: fewer than two frames.
        ImageError: pixels outside [0, 1], an image under 8 pixels, or neither grey nor in colour.
    """
    require_count(count)
    if x.shape[1] not in (1, 3):
        raise ImageError(f"a sequence is made of images with 1 or 3 channels, got {x.shape[1]}: hand over grey or RGB images")
    if min(x.shape[2:]) < LEAST:
        raise ImageError(f"a sequence needs images of at least {LEAST}x{LEAST} pixels, got {x.shape[2]}x{x.shape[3]}: resize them first")
    if x.numel():
        require_pixels(x)


def places(first: float | None, step: float, count: int, clean: float = 0.0) -> list[float]:
    """The parameter of each frame: `first + i step`; without `first`, so that frame `count // 2` is the clean image.

    >>> places(None, 2.0, 5)
    [-4.0, -2.0, 0.0, 2.0, 4.0]
    """
    start = clean - step * (count // 2) if first is None else first
    return [start + step * i for i in range(count)]


def along(x: Images, parameters: Iterable[float], make: Callable[[float], Images], clean: float = 0.0) -> Iterator[Images]:
    """A frame for each parameter, made when it is asked for; where the parameter changes nothing, the image itself.

    What is made must be new: it is clipped in place.
    """
    for value in parameters:
        yield x.clone() if abs(value - clean) < STILL else make(value).clamp_(0, 1)


def after_clean(x: Images, count: int, make: Callable[[int], Images]) -> Iterator[Images]:
    """The image itself, and then `count - 1` frames, each made by its number when it is asked for."""
    yield x.clone()
    for i in range(1, count):
        yield make(i).clamp_(0, 1)


def relative(x: Images, side: int) -> float:
    """How many pixels of these images one pixel of an image is whose shorter side has `side`; 1 at that size."""
    return min(x.shape[2:]) / side


def layer_size(x: Images, side: int) -> tuple[int, int]:
    """Rows and columns of these images when their shorter side has `side` pixels: the size at which layers are made."""
    rows, columns = (max(side, round(n / relative(x, side))) for n in x.shape[2:])
    return rows, columns
