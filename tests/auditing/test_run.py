"""The audit gives the same records however it is batched, ordered, cut into parts or interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from robustdx import api, store
from robustdx.auditing import prepare
from robustdx.auditing.plan import AuditPlan
from robustdx.catalogue import build
from robustdx.data import Dataset
from robustdx.data.in_memory import from_torch
from robustdx.models import DiagnosticModel
from robustdx.store import Store
from robustdx.tasks import MultiClass
from robustdx.threats import Linf

SIZE = 16
CLASSES = ("red", "green", "blue")


def quiet(what: str, done: int, total: int) -> None:
    """Progress, without a word."""


@pytest.fixture(scope="module")
def data() -> Dataset:
    """400 images of three colours under noise, two of each patient."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) // 2 % 3
    pixels = 110 + 12 * np.eye(3)[labels][:, :, None, None] + rng.normal(0, 50, (400, 3, SIZE, SIZE))
    images = torch.from_numpy(pixels.clip(0, 255).round().astype(np.uint8))
    return from_torch(list(zip(images, labels.tolist(), strict=True)), CLASSES, patients=list(np.arange(400) // 2))


@pytest.fixture(scope="module")
def network(data: Dataset) -> nn.Module:
    """A small convolutional network after a minute's worth of learning at this size: 60 steps."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip
    x = torch.stack([torch.tensor(data.read(e, None, 3)).permute(2, 0, 1) for e in data.examples]).float() / 255
    y = torch.tensor([e.label for e in data.examples])
    optimiser = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(made(x), y).backward()
        optimiser.step()
    return made.eval()


def plan(**changes: object) -> AuditPlan:
    words = {
        "model": {"source": "memory"},
        "data": "memory",
        "eps": ["4/255", "16/255"],
        "attacks": [{"name": "fgsm"}, {"name": "pgd", "steps": 5}],
        "batch_size": 100,
        "bootstrap": 100,
        "precision": "float32",
    }
    return build(AuditPlan, words | changes, where="plan")


def run(data: Dataset, network: nn.Module, folder: Path, **changes: object) -> Path:
    """The audit as the command line does it."""
    model = DiagnosticModel(network, MultiClass(CLASSES), size=(SIZE, SIZE))
    api.run(prepare.assemble(plan(**changes), model, data), folder, command="test")
    return folder


def content(folder: Path) -> dict[str, object]:
    """Everything that a run leaves but for what took how long: bytes, and results.json without its seconds."""
    timed = ("times.json", "results.json", "report.html", "metrics.csv")
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in timed}
    results = json.loads((folder / "results.json").read_text())
    for cell in results["cells"]:
        cell.pop("seconds")
    return files | {"results.json": results}


def records(folder: Path) -> dict[str, dict[str, dict]]:
    """Records by cell and image."""
    return {cell.key: {row["id"]: row for row in rows.to_pylist()} for cell, rows in Store(folder).cells()}


@pytest.fixture(scope="module")
def finished(data: Dataset, network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(data, network, tmp_path_factory.mktemp("finished") / "run")


def test_the_network_is_worth_auditing(finished):
    """Otherwise all that follows would be easy."""
    accuracy = {c["key"]: c["metrics"]["accuracy"]["value"] for c in json.loads((finished / "results.json").read_text())["cells"]}
    assert accuracy["clean-all"] > 0.8
    assert 0.1 < accuracy["pgd-linf-4-all"] < accuracy["clean-all"] - 0.1
    assert accuracy["pgd-linf-16-all"] < 0.1


def test_the_same_batches_give_the_same_bytes(finished, data, network, tmp_path):
    again = content(run(data, network, tmp_path / "run"))
    assert again == content(finished)
    assert any(name.startswith("pictures/") for name in again)
    assert sum(name.endswith("records.parquet") for name in again) == 7


def shuffled(data: Dataset) -> list[Dataset]:
    order = np.random.default_rng(1).permutation(len(data))
    return [replace(data, examples=[data.examples[i] for i in order])]


def sharded(data: Dataset) -> list[Dataset]:
    return [replace(data, examples=data.examples[i::3]) for i in range(3)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("parts", "changes"),
    [(shuffled, {}), (lambda data: [data], {"batch_size": 17}), (sharded, {"batch_size": 64})],
    ids=["shuffled", "batched otherwise", "sharded"],
)
def test_neighbours_change_nothing(parts, changes, precision, finished, data, network, tmp_path):
    """The same outcome for at least 99.5 % of the images: float32 differs in the last bit with the batch."""
    escalation = precision == "float32"  # it searches in float32 either way
    changes = {**changes, "escalation": escalation}
    whole = records(finished if escalation else run(data, network, tmp_path / "whole", precision=precision, escalation=False))
    pieces = [records(run(part, network, tmp_path / f"part {i}", precision=precision, **changes)) for i, part in enumerate(parts(data))]
    for key, rows in whole.items():
        found = {image: row for piece in pieces for image, row in piece[key].items()}
        assert set(found) == set(rows)
        same = [found[i]["saved_decision"] == rows[i]["saved_decision"] for i in rows]
        assert np.mean(same) >= 0.995, key


def test_what_is_drawn_for_an_image_depends_on_nothing_else(data, network, tmp_path, monkeypatch):
    """The random starts of PGD, to the last bit."""
    starts: dict[tuple[str, float], torch.Tensor] = {}
    original = Linf.sample

    def recorded(self, x, draws):
        start = original(self, x, draws)
        for image, s in zip(draws.ids, start, strict=True):
            torch.testing.assert_close(s, starts.setdefault((image, self.eps), s), rtol=0, atol=0)
        return start

    monkeypatch.setattr(Linf, "sample", recorded)
    few = replace(data, examples=data.examples[:40])
    for i, (dataset, batch_size) in enumerate([(few, 40), (shuffled(few)[0], 7), *((part, 5) for part in sharded(few))]):
        run(dataset, network, tmp_path / str(i), batch_size=batch_size, attacks=[{"name": "pgd", "steps": 1}], escalation=False)
    assert len(starts) > 40


def test_a_quick_look_draws_whole_patients_whatever_the_order(data, network, tmp_path):
    looks = [records(run(d, network, tmp_path / str(i), images=31)) for i, d in enumerate([data, shuffled(data)[0]])]
    seen = [sorted(look["clean-all"]) for look in looks]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 32
    patients = {e.id: e.patient for e in data.examples}
    assert len({patients[i] for i in seen[0]}) == 16


class PowerCut(BaseException):
    """The end of a process, wherever it stands."""


@pytest.fixture
def cut_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sequence[int]]:
    """A list of one number: how many more files may be written before the power is cut."""
    left, original = [10**9], store.replace_with

    def write(path: Path, fill: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            path.with_name(path.name + ".part").write_bytes(b"half of wh")
            raise PowerCut
        original(path, fill)

    monkeypatch.setattr(store, "replace_with", write)
    return left


def test_cut_off_at_every_single_write_it_ends_with_the_same_bytes(cut_at, data, network, tmp_path):
    """Once for each file of the run: that file is half written when the power goes, and the same call goes on."""
    few = replace(data, examples=data.examples[:12])
    words = {"batch_size": 8, "attacks": [{"name": "fgsm"}], "eps": ["16/255"], "pictures": 1}
    whole = content(run(few, network, tmp_path / "whole", **words))
    writes = 10**9 - cut_at[0]
    assert writes > 20
    for n in range(writes):
        cut_at[0] = n
        with pytest.raises(PowerCut):
            run(few, network, tmp_path / str(n), **words)
        assert not (tmp_path / str(n) / "manifest.json").exists()
        cut_at[0] = 10**9
        assert content(run(few, network, tmp_path / str(n), **words)) == whole
        assert not list((tmp_path / str(n)).rglob("*.part"))


def test_a_finished_run_is_left_alone(finished, data, network, monkeypatch):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    model = DiagnosticModel(network, MultiClass(CLASSES), size=(SIZE, SIZE))
    ready = prepare.assemble(plan(), model, data)
    assert api.finished(ready, finished)
    monkeypatch.setattr(network, "forward", None)
    api.run(ready, finished, command="test")
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


@pytest.mark.parametrize("change", ["weights", "pixels", "labels"])
def test_a_run_belongs_to_its_weights_and_images(change, finished, data, network):
    """What was changed under the same names must not be taken for what was audited."""
    other = DiagnosticModel(network, MultiClass(CLASSES), size=(SIZE, SIZE))
    if change == "weights":
        other = DiagnosticModel(nn.Sequential(*network[:-1], nn.Linear(16, 3)), other.task, size=other.size)
    if change == "pixels":
        data = from_torch(
            [(255 - data.read(e, None, 3), e.label) for e in data.examples], CLASSES, patients=[e.patient for e in data.examples]
        )
    if change == "labels":
        data = replace(data, examples=[replace(e, label=2 - e.label) for e in data.examples])
    assert not api.finished(prepare.assemble(plan(), other, data), finished)
