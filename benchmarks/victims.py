"""The networks that are attacked, and the images: run folders of `robustdx harden`, or small trainings made for the purpose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from robustdx.auditing.cell import Batch
from robustdx.data import Dataset, load_dataset
from robustdx.data.batches import batch
from robustdx.models import DiagnosticModel, ModelSpec, load
from robustdx.models.precision import resolve
from robustdx.store import Store
from robustdx.training.loop import Loop
from robustdx.training.plan import HardenPlan, Stage
from robustdx.training.prepare import prepare, words

CHANNELS_LAST = "channels-last"
SYNTHETIC = "synthetic,images=1200"
OBJECTIVES = {"undefended": {"name": "standard"}, "robust": {"name": "madry", "steps": 1, "step_size": 1.0}}


@dataclass(frozen=True)
class Victim:
    """One network, ready for us and for the peers, and the images it is attacked on."""

    name: str
    exact: DiagnosticModel
    """float32, channels last: it judges."""
    fast: DiagnosticModel
    """Channels last, in bfloat16 where the processor computes in it: it searches."""
    shipped: nn.Module
    """What users hand to the peers: float32, weights as they were loaded."""
    batches: list[Batch]

    @property
    def handed(self) -> nn.Module:
        """The same network, for the peers."""
        return Plain(self.fast.network, self.exact, self.fast.dtype).eval()

    @property
    def form(self) -> str:
        """What sets it apart from the network as shipped."""
        return "bfloat16" if self.fast.dtype == torch.bfloat16 else CHANNELS_LAST


class Plain(nn.Module):
    """Normalisation and network, nothing else: the usual wrapper, which reads pixels in [0, 1] and gives float32 logits."""

    def __init__(self, network: nn.Module, like: DiagnosticModel, dtype: torch.dtype, *, channels_last: bool = True) -> None:
        super().__init__()
        self.network, self.dtype, self.channels_last = network, dtype, channels_last
        self.register_buffer("mean", like.mean.clone())
        self.register_buffer("std", like.std.clone())

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        if self.channels_last:
            x = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        return self.network(x).float()


def victim(
    name: str, folder: Path, data: str | None, split: str, size: tuple[int, int], images: int, batch_size: int, *, right: bool = False
) -> Victim:
    """A finished run folder, seen at another size, and its validation images (`right`: that it decides rightly); the test images
    stay unread."""
    dataset = load_dataset(data or json.loads((folder / "plan.json").read_text())["data"]).only(split)
    model = load(ModelSpec(source=str(folder), size=size), dataset.kind, dataset.classes).eval()
    step = max(1, len(dataset) // images)
    chosen = list(range(0, step * images, step))[: len(dataset)]
    if right:
        chosen = _rightly_decided(dataset, model, size, images)
    batches = []
    for start in range(0, len(chosen), batch_size):
        some = chosen[start : start + batch_size]
        pixels, y = batch(dataset, some, size, model.channels)
        x = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        batches.append(Batch(x, y, tuple(dataset.examples[i].id for i in some), (None,) * len(some)))
    exact = model.in_precision(torch.float32).eval().requires_grad_(False)
    rough = resolve("auto", torch.device("cpu")) == "bfloat16"
    fast = exact.in_precision(torch.bfloat16).eval().requires_grad_(False) if rough else exact
    return Victim(name, exact, fast, Plain(model.network, model, torch.float32, channels_last=False).eval(), batches)


@torch.no_grad()
def _rightly_decided(dataset: Dataset, model: DiagnosticModel, size: tuple[int, int], images: int) -> list[int]:
    """The first images of a random order, always the same, that the network decides rightly."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).tolist()[: 8 * images]
    pixels, y = batch(dataset, order, size, model.channels)
    parts = zip((pixels.float() / 255).split(64), y.split(64), strict=True)
    fooled = torch.cat([model.task.fooled(model(x), labels) for x, labels in parts])
    return [i for i, wrong in zip(order, fooled.tolist(), strict=True) if not wrong][:images]


def trained(name: str, folder: Path, source: str, size: int) -> Path:
    """A network trained on the built-in data, plainly or against an adversary of 8/255; kept, so that it is made once."""
    stages = (Stage(epochs=6, size=(size // 2,), objective={"name": "standard"}), Stage(epochs=2, size=(size // 2,)), Stage(epochs=2))
    model = ModelSpec(source=source, size=(size, size))
    training = prepare(HardenPlan(model=model, data=SYNTHETIC, objective=OBJECTIVES[name], eps=8 / 255, stages=stages))
    store = Store.open(folder, words(training))
    if not (folder / "manifest.json").is_file():
        print(f"training {source} ({name}) on the built-in data, once: it is kept in {folder}", flush=True)
        Loop(training, store, lambda what, done, total: None).run(lambda epoch: print(f"  {epoch}", flush=True))
    return folder
