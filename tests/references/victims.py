"""Small networks, one trained plainly and one against an adversary, that both sides attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from robustdx.data import load_dataset
from robustdx.models import CNN, DiagnosticModel, ModelSpec
from robustdx.store import Store
from robustdx.tasks import MultiClass
from robustdx.training.loop import Loop, Training
from robustdx.training.plan import HardenPlan, Stage
from robustdx.training.prepare import words

SIZE = (48, 48)
DATA = "synthetic,images=1200"
OBJECTIVES: Mapping[str, Mapping[str, object]] = {
    "undefended": {"name": "standard"},
    "robust": {"name": "madry", "steps": 1, "step_size": 1.0},
}


@dataclass(frozen=True, eq=False)
class Victim:
    """A trained network and the images that it is attacked on."""

    name: str
    model: DiagnosticModel
    x: Tensor
    y: Tensor
    ids: tuple[str, ...]


def trained(name: str, folder: Path) -> DiagnosticModel:
    """One training run from nothing, on the built-in data."""
    data, network = load_dataset(DATA), CNN(4, width=16)
    spec = ModelSpec(source="cnn", size=SIZE)
    stages = (Stage(epochs=5, objective={"name": "standard"}), Stage(epochs=5))
    plan = HardenPlan(model=spec, data=DATA, objective=OBJECTIVES[name], eps=4 / 255, stages=stages)
    model = DiagnosticModel(network, MultiClass(data.classes), size=SIZE)
    training = Training(plan, model, data.only("train"), data.only("val"), "float32", torch.device("cpu"))
    Loop(training, Store.open(folder, words(training)), lambda what, done, total: None).run()
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval().requires_grad_(False)
