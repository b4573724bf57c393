"""Where the peers are installed (`make test-references`), the networks that both sides attack; elsewhere a reason to skip."""

from __future__ import annotations

import pytest
from victims import DATA, OBJECTIVES, SIZE, Victim, trained

from robustdx.data import Dataset, load_dataset
from robustdx.data.batches import batch, decoded


@pytest.fixture(scope="session", autouse=True)
def peers() -> None:
    """Skip what needs a peer that is not installed: the peers live in an environment of their own."""
    for name in ("torchattacks", "foolbox", "art"):
        pytest.importorskip(name, reason=f"{name} is not installed here: make test-references")


@pytest.fixture(scope="session")
def images(peers: None) -> Dataset:
    """The test lesions of the built-in data."""
    return decoded(load_dataset(DATA).only("test"), SIZE, 3)


@pytest.fixture(scope="session", params=list(OBJECTIVES))
def victim(request: pytest.FixtureRequest, images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """A small network, trained plainly or against an adversary of 4/255."""
    model = trained(request.param, tmp_path_factory.mktemp(request.param))
    pixels, y = batch(images, range(len(images)), SIZE, 3)
    return Victim(request.param, model, pixels.float() / 255, y, tuple(e.id for e in images.examples))
