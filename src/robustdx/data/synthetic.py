"""The built-in data: invented photographs of invented skin lesions, free of licence and of patients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from robustdx.data.lesions import CLASSES, FINDINGS, Lesion, draw_lesion, stream
from robustdx.data.painting import Photo, dot_boxes, outline_mask, paint
from robustdx.data.protocol import Dataset, Example, Kind, Label, Pixels
from robustdx.data.split import with_splits
from robustdx.errors import PlanError

SIZE = (128, 128)
"""The size of a photograph where none is asked for."""
_TWO_PHOTOS = 0.25


@final
@dataclass(frozen=True)
class Synthetic:
    """A procedural dermoscopy set: class, grade, findings, mask and boxes follow from what is drawn.

    One lesion in four has two photos; lesions are the groups, and 70, 15 and 15 % of them are train, val and test. The
    same seed gives the same set everywhere, and a larger set begins with the images of a smaller one.
    """

    task: Literal["binary", "multiclass", "multilabel"] = "multiclass"
    """binary: benign or melanoma; multiclass: nevus, melanoma, keratosis, vascular; multilabel: seven findings."""
    images: int = 2000
    """How many photos."""
    seed: int = 0
    """Which world of lesions."""

    def __call__(self) -> Dataset:
        """Draw the lesions; photos are painted when they are read."""
        if self.images < 20:
            raise PlanError(f"data synthetic: expected at least 20 images, got {self.images}")
        examples: list[Example] = []
        for number in range(self.images):
            if len(examples) >= self.images:
                break
            examples += self._photos(f"lesion-{number:05d}")
        kind, classes = _meaning(self.task)
        return with_splits(Dataset("synthetic", classes, kind, examples[: self.images], read, groups="lesions", mask=mask), self.seed)

    def _photos(self, name: str) -> list[Example]:
        lesion = draw_lesion(self.seed, name)
        photos = "ab" if stream("photos", self.seed, name).random() < _TWO_PHOTOS else "a"
        one = Example(id="", label=self._label(lesion), patient=name, attributes={"seed": str(self.seed), "grade": str(lesion.grade)})
        return [replace(one, id=f"{name}-{photo}") for photo in photos]

    def _label(self, lesion: Lesion) -> Label:
        if self.task == "multilabel":
            return tuple(map(float, lesion.findings))
        return int(lesion.label == CLASSES.index("melanoma")) if self.task == "binary" else lesion.label


def read(example: Example, size: tuple[int, int] | None, channels: int) -> Pixels:
    """Paint the photo; grey is the luma of the colours, as Pillow computes it."""
    pixels = paint(_lesion(example), _photo(example), size or SIZE)
    if channels == 3:
        return pixels
    return ((pixels @ np.array([19595, 38470, 7471]) + 32768) >> 16).astype(np.uint8)[..., None]


def findings(example: Example) -> dict[str, bool]:
    """Which signs the lesion of a photo has."""
    return dict(zip(FINDINGS, _lesion(example).findings, strict=True))


def mask(example: Example, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    """Which pixels of the photo show the lesion, (H, W)."""
    return outline_mask(_lesion(example), _photo(example), size)


def boxes(example: Example, size: tuple[int, int] = SIZE) -> list[tuple[str, float, float, float, float]]:
    """What can be pointed at in the photo: its name, and left, top, right, bottom in pixels, the lesion first."""
    rows, columns = np.nonzero(mask(example, size))
    around = ("lesion", float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    lesion, photo = _lesion(example), _photo(example)
    named = {"globule": lesion.globules, "cyst": lesion.cysts, "lacuna": lesion.lacunae}
    return [around, *((name, *box) for name, dots in named.items() for box in dot_boxes(dots, photo, size).tolist())]


def _meaning(task: str) -> tuple[Kind, tuple[str, ...]]:
    return {"binary": ("binary", ("benign", "melanoma")), "multiclass": ("multiclass", CLASSES), "multilabel": ("multilabel", FINDINGS)}[
        task
    ]  # type: ignore[return-value]


def _lesion(example: Example) -> Lesion:
    return draw_lesion(int(example.attributes["seed"]), str(example.patient))


def _photo(example: Example) -> Photo:
    return Photo(int(example.attributes["seed"]), example.id)
