"""A small network that tells bright from dark, images of patients, and perturbations of which the effect is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn

from robustdx import api
from robustdx.auditing import prepare
from robustdx.auditing.plan import AuditPlan
from robustdx.catalogue import build
from robustdx.data import Dataset
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass
from robustdx.tensors import Images

SIZE = 8
CLASSES = ("dark", "bright")


@final
@dataclass(frozen=True, kw_only=True)
class Dimmed:
    """Darker by a tenth of the range for each severity."""

    tenth: float = 0.1
    """How much darker one severity makes the image."""
    modalities: ClassVar[tuple[str, ...]] = ()
    random: ClassVar[bool] = False

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        return (x - self.tenth * severity).clamp(0, 1)


@final
@dataclass(frozen=True, kw_only=True)
class Grain:
    """Noise that is no multiple of a grey level, to see that images are rounded."""

    modalities: ClassVar[tuple[str, ...]] = ("x-ray",)
    random: ClassVar[bool] = True

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        return (x + 0.02 * severity * draws.normal(x)).clamp(0, 1)


@final
@dataclass(frozen=True, kw_only=True)
class Kept:
    """The image as it came."""

    modalities: ClassVar[tuple[str, ...]] = ()
    random: ClassVar[bool] = False

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        return x


class Brightness(nn.Module):
    """Says bright where the mean of an image lies above a half."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(4.0))

    def forward(self, x: Tensor) -> Tensor:
        logit = self.weight * (x.mean((1, 2, 3)) - 0.5)
        return torch.stack([-logit, logit], 1)


def pixels(n: int = 60) -> np.ndarray:
    """Images around 0.3 and around 0.6, two of each patient."""
    rng = np.random.default_rng(0)
    level = np.where(np.arange(n) // 2 % 2, 0.6, 0.3)[:, None, None, None] + rng.uniform(-0.12, 0.12, (n, 1, 1, 1))
    return (255 * (level + rng.uniform(-0.05, 0.05, (n, 3, SIZE, SIZE)))).clip(0, 255).round().astype(np.uint8)


def plan(**changes: object) -> AuditPlan:
    asked = {"model": {"source": "memory"}, "data": "memory", "attacks": [], "batch_size": 16, "bootstrap": 200, "precision": "float32"}
    return build(AuditPlan, asked | changes, where="plan")


def ready(data: Dataset, network: nn.Module | None = None, **changes: object) -> Any:
    model = DiagnosticModel(network or Brightness(), MultiClass(CLASSES), size=(SIZE, SIZE))
    return prepare.assemble(plan(**changes), model, data)


def run(data: Dataset, folder: Path, network: nn.Module | None = None, **changes: object) -> dict[str, Any]:
    """The audit as the command line does it, and its results."""
    return api.run(ready(data, network, **changes), folder, command="test")


def content(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a run but those that hold seconds."""
    timed = ("times.json", "results.json", "report.html", "metrics.csv", "natural.csv")
    return ((str(p.relative_to(folder)), p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in timed)


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


@final
@dataclass(frozen=True, kw_only=True)
class Dusk:
    """Darker by a step from frame to frame, from the image itself on."""

    step: float = 0.05
    """How much darker a frame is than the one before."""
    compared: ClassVar[str] = "previous"
    random: ClassVar[bool] = False

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        for i in range(count):
            yield (x - self.step * i).clamp(0, 1)


@final
@dataclass(frozen=True, kw_only=True)
class Snowy:
    """Noise on every frame but the first."""

    compared: ClassVar[str] = "first"
    random: ClassVar[bool] = True

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        yield x
        for i in range(1, count):
            yield (x + 0.3 * draws.fork(i).normal(x[:, :1, :1, :1])).clamp(0, 1)
