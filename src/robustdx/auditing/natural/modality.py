"""How the images of a data source were made: what artefacts may happen to them."""

from __future__ import annotations

from robustdx.perturbations.protocol import Modality

OF_SOURCE: dict[str, Modality] = {"ham10000": "dermoscopy", "isic2017": "dermoscopy", "isic2019": "dermoscopy"}
"""Sources whose images are all of one kind."""
OF_FILE: dict[str, Modality] = {
    "dermamnist": "dermoscopy",
    "retinamnist": "fundus",
    "chestmnist": "x-ray",
    "pneumoniamnist": "x-ray",
    "organamnist": "ct",
    "organcmnist": "ct",
    "organsmnist": "ct",
}
"""Of MedMNIST, by a part of the file's name."""


def modality_of(source: str) -> Modality | None:
    """The modality of a data source; None where the source may hold anything (a folder, a table).

    >>> modality_of("ham10000:PATH"), modality_of("medmnist:pneumoniamnist_64.npz"), modality_of("folder:scans")
    ('dermoscopy', 'x-ray', None)
    """
    name, _, rest = source.partition(":")
    if name == "medmnist":
        return next((found for part, found in OF_FILE.items() if part in rest), None)
    return OF_SOURCE.get(name)
