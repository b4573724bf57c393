"""The ISIC challenges of 2017 and 2019, in the layout in which they are published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from robustdx.data.ham10000 import ISIC2019_CLASSES
from robustdx.data.masks import mask_of, read_mask
from robustdx.data.protocol import Dataset, Example
from robustdx.data.read import file_of, files_in, read_example
from robustdx.data.split import split_by_table
from robustdx.data.tables import Row, by_image, one_hot
from robustdx.errors import DataError

_PARTS = {"train": "Training", "val": "Validation", "test": "Test_v2"}
_DIAGNOSES = ("melanoma", "seborrheic_keratosis")


@final
@dataclass(frozen=True)
class Isic2017:
    """ISIC 2017, part 3: 2,750 dermoscopic photos with the official split (Codella et al. 2017, arXiv:1710.05006).

    The set does not say which photos show one lesion, so there are no groups; parts that are not there are left out.
    Masks of the lesions are those of part 1, where its folders are there.
    """

    path: str
    """The folder that holds ISIC-2017_Training_Data, ISIC-2017_Training_Part3_GroundTruth.csv and so on."""
    labels: Literal["melanoma", "three"] = "melanoma"
    """melanoma: benign or melanoma, the first task of the challenge; three: nevus, melanoma, seborrheic_keratosis."""

    def __call__(self) -> Dataset:
        """Read the tables; no image is opened.

        Raises:
            DataError: no part, or a table, a column or an image is missing.
        """
        root = Path(self.path)
        examples = [e for split, part in _PARTS.items() if (root / _truth_2017(part)).exists() for e in self._part(root, split, part)]
        if not examples:
            raise DataError(f"expected {_truth_2017('Training')} in {root}, found none of the three parts: give the folder that holds it")
        if self.labels == "melanoma":
            return Dataset("ISIC 2017", ("benign", "melanoma"), "binary", examples, read_example, mask=read_mask)
        return Dataset("ISIC 2017", ("nevus", *_DIAGNOSES), "multiclass", examples, read_example, mask=read_mask)

    def _part(self, root: Path, split: str, part: str) -> list[Example]:
        files = files_in(root / f"ISIC-2017_{part}_Data")
        path, about = root / _truth_2017(part), root / f"ISIC-2017_{part}_Data" / f"ISIC-2017_{part}_Data_metadata.csv"
        more, drawn = _attributes(about, "image_id"), root / f"ISIC-2017_{part}_Part1_GroundTruth"
        masks = files_in(drawn) if drawn.is_dir() else {}
        return [
            Example(
                id=image,
                label=self._label(row, path),
                split=split,
                file=str(file_of(files, image)),
                mask=mask_of(masks, image),
                attributes=more.get(image, {}),
            )
            for image, row in by_image(path, "image_id", needs=_DIAGNOSES).items()
        ]

    def _label(self, row: Row, path: Path) -> int:
        try:
            label = (0, 1, 2)[int(float(row["melanoma"]) + 2 * float(row["seborrheic_keratosis"]))]
        except (ValueError, IndexError):
            raise DataError(
                f"{path}: expected 0 or 1 for {' and '.join(_DIAGNOSES)} of {row['image_id']!r}, at most one of them 1"
            ) from None
        return int(label == 1) if self.labels == "melanoma" else label


@final
@dataclass(frozen=True)
class Isic2019:
    """ISIC 2019: 25,331 dermoscopic photos of 8 diagnoses (Combalia et al. 2019, arXiv:1908.02288; CC BY-NC 4.0).

    Groups are lesions, from the metadata table; a photo whose lesion is not given stands alone. No split of its own.
    """

    path: str
    """The folder that holds ISIC_2019_Training_Input and the tables."""
    split: str | None = None
    """A CSV file with the columns image and split; a relative name is also looked for in the folder."""

    def __call__(self) -> Dataset:
        """Read the tables; no image is opened.

        Raises:
            DataError: a table, a column or an image is missing, or an image has no single class.
        """
        root = Path(self.path)
        path = root / "ISIC_2019_Training_GroundTruth.csv"
        rows = by_image(path, "image", needs=ISIC2019_CLASSES)
        files, more = files_in(root / "ISIC_2019_Training_Input"), _attributes(root / "ISIC_2019_Training_Metadata.csv", "image")
        classes = (*ISIC2019_CLASSES, "UNK") if any(float(row.get("UNK") or 0) for row in rows.values()) else ISIC2019_CLASSES
        examples = [
            Example(
                id=image,
                label=one_hot(row, classes, path),
                patient=(more.get(image, {}).get("lesion_id") or image) if more else None,
                file=str(file_of(files, image)),
                attributes=more.get(image, {}),
            )
            for image, row in rows.items()
        ]
        dataset = Dataset("ISIC 2019", classes, "multiclass", examples, read_example, groups="lesions")
        return dataset if self.split is None else split_by_table(dataset, self.split, root)


def _truth_2017(part: str) -> str:
    return f"ISIC-2017_{part}_Part3_GroundTruth.csv"


def _attributes(path: Path, column: str) -> dict[str, Row]:
    """What an optional table tells about each image, blanks left out."""
    if not path.exists():
        return {}
    return {image: {k: v for k, v in row.items() if v and k != column} for image, row in by_image(path, column).items()}
