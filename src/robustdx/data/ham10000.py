"""HAM10000: 10,015 dermoscopic photos of 7,470 lesions (Tschandl et al. 2018, doi:10.7910/DVN/DBW86T; CC BY-NC 4.0)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from robustdx.data.masks import mask_of, read_mask
from robustdx.data.protocol import Dataset, Example
from robustdx.data.read import file_of, files_in, read_example
from robustdx.data.split import split_by_table
from robustdx.data.tables import Row, by_image, one_hot
from robustdx.errors import DataError

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
ISIC2019_CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
_FOLDERS = ("ISIC2018_Task3_Training_Input", "HAM10000_images_part_1", "HAM10000_images_part_2")
_TRUTH, _TRUTH_2019 = "ISIC2018_Task3_Training_GroundTruth.csv", "ISIC_2019_Training_GroundTruth.csv"
_MASKS = "HAM10000_segmentations_lesion_tschandl"
_LESIONS, _METADATA = "ISIC2018_Task3_Training_LesionGroupings.csv", "HAM10000_metadata.csv"
_ATTRIBUTES = ("age", "sex", "localization", "dx_type")


@final
@dataclass(frozen=True)
class Ham10000:
    """HAM10000 as published: by the ISIC 2018 challenge, or by Harvard Dataverse with its metadata table.

    Groups are lesions. The set has no split of its own. Masks of the lesions are taken from HAM10000_segmentations_lesion_tschandl
    where that folder is there (Tschandl et al. 2020, doi:10.1038/s41591-020-0942-0).
    """

    path: str
    """The folder that holds ISIC2018_Task3_Training_Input (or HAM10000_images_part_1 and _2) and the tables."""
    labels: Literal["isic2018", "isic2019"] = "isic2018"
    """isic2018: 7 classes; isic2019: 8, with AKIEC told apart as AK and SCC, from ISIC_2019_Training_GroundTruth.csv."""
    split: str | None = None
    """A CSV file with the columns image and split; a relative name is also looked for in the folder."""

    def __call__(self) -> Dataset:
        """Read the tables; no image is opened.

        Raises:
            DataError: a table, a column or an image is missing, or an image has no single class.
        """
        root = Path(self.path)
        files = {stem: file for name in _FOLDERS if (root / name).is_dir() for stem, file in files_in(root / name).items()}
        if not files:
            raise DataError(f"expected the folder {_FOLDERS[0]} in {root}, which is not there: give the folder that holds it")
        lesions, about = _lesions(root), _about(root)
        masks = files_in(root / _MASKS) if (root / _MASKS).is_dir() else {}
        examples = [
            Example(
                id=image,
                label=label,
                patient=_lesion(lesions, image, root),
                file=str(file_of(files, image)),
                mask=mask_of(masks, image),
                attributes=about.get(image, {}),
            )
            for image, label in self._labels(root).items()
        ]
        classes = CLASSES if self.labels == "isic2018" else ISIC2019_CLASSES
        dataset = Dataset("HAM10000", classes, "multiclass", examples, read_example, groups="lesions", mask=read_mask)
        return dataset if self.split is None else split_by_table(dataset, self.split, root)

    def _labels(self, root: Path) -> dict[str, int]:
        labels = _labels_2018(root)
        if self.labels == "isic2018":
            return labels
        path = root / _TRUTH_2019
        rows = by_image(path, "image", needs=ISIC2019_CLASSES)
        missing = [image for image in labels if image not in rows]
        if missing:
            raise DataError(f"{path}: expected a row for every image, got none for {len(missing)} such as {missing[0]!r}")
        return {image: one_hot(rows[image], ISIC2019_CLASSES, path) for image in labels}


def _labels_2018(root: Path) -> dict[str, int]:
    if (root / _TRUTH).exists():
        rows = by_image(root / _TRUTH, "image", needs=CLASSES)
        return {image: one_hot(row, CLASSES, root / _TRUTH) for image, row in rows.items()}
    path = root / _METADATA
    if not path.exists():
        raise DataError(f"expected {_TRUTH} or {_METADATA} in {root}, found neither: give the folder that holds the tables")
    return {image: _class(row, path) for image, row in by_image(path, "image_id", needs=("dx",)).items()}


def _class(row: Row, path: Path) -> int:
    if row["dx"].upper() not in CLASSES:
        raise DataError(f"{path}: expected one of {', '.join(CLASSES).lower()} as dx of {row['image_id']!r}, got {row['dx']!r}")
    return CLASSES.index(row["dx"].upper())


def _lesions(root: Path) -> dict[str, str]:
    for name, column in ((_LESIONS, "image"), (_METADATA, "image_id")):
        if (root / name).exists():
            return {image: row["lesion_id"] for image, row in by_image(root / name, column, needs=("lesion_id",)).items()}
    raise DataError(f"expected {_LESIONS} or {_METADATA} in {root}, which say which photos show one lesion: found neither")


def _lesion(lesions: dict[str, str], image: str, root: Path) -> str:
    if image not in lesions:
        raise DataError(f"{root}: expected the lesion of every image, got none for {image!r}: complete {_LESIONS} or {_METADATA}")
    return lesions[image]


def _about(root: Path) -> dict[str, Row]:
    path = root / _METADATA
    if not path.exists():
        return {}
    return {image: {a: row[a] for a in _ATTRIBUTES if row.get(a)} for image, row in by_image(path, "image_id").items()}
