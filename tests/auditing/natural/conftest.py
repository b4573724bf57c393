"""Images of patients, and perturbations of which the effect is known in place of the real ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from dark_or_bright import CLASSES, Dimmed, Dusk, Grain, Kept, Snowy, pixels

from robustdx.auditing.natural import clips, words
from robustdx.catalogue import Catalogue
from robustdx.data import Dataset
from robustdx.data.in_memory import from_torch


@pytest.fixture(autouse=True)
def methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Perturbations whose effect is known, in place of the real ones."""
    known = {"dimmed": Dimmed, "kept": Kept}, {"grain": Grain}
    monkeypatch.setattr(words, "PERTURBATIONS", Catalogue("perturbation", {**known[0], **known[1]}))
    monkeypatch.setattr(clips, "SEQUENCES", Catalogue("sequence", {"dusk": Dusk, "snowy": Snowy}))
    monkeypatch.setattr(words, "GROUPS", dict(zip(("corruptions", "artefacts"), known, strict=True)))


@pytest.fixture(scope="session")
def data() -> Dataset:
    n = 60
    labels = (np.arange(n) // 2 % 2).tolist()
    items = list(zip(torch.from_numpy(pixels(n)), labels, strict=True))
    found = from_torch(items, CLASSES, "multiclass", patients=list(np.arange(n) // 2))
    told = [{"sex": ("female", "male")[i // 2 % 2], "age": str(20 + i)} for i in range(n)]
    return replace(found, examples=[replace(e, attributes=a) for e, a in zip(found.examples, told, strict=True)])
