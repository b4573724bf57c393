"""What the selftest defends: three small networks with weights, and the built-in images that they are asked about."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple, final

from safetensors.torch import load_file
from torch import nn

from robustdx.data import load_dataset
from robustdx.data.batches import batch
from robustdx.models import DiagnosticModel
from robustdx.selftest.networks import Lipschitz, small
from robustdx.tasks import MultiClass
from robustdx.tensors import Classes, Images

HOME = Path(__file__).parent / "weights"
"""Made by the plans in reproduce/selftest."""
DATA = "synthetic"
SIZE = (48, 48)
EPS = 8 / 255
"""Under Linf. PGD leaves the undefended network nothing here, and the robust one a good part."""
MEAN, STD = (0.5,) * 3, (0.25,) * 3


@final
class Photos(NamedTuple):
    """Labelled images; pixels lie on the 8-bit grid in [0, 1]."""

    x: Images
    y: Classes
    ids: tuple[str, ...]


def undefended() -> DiagnosticModel:
    """The small CNN, trained without an adversary."""
    return _loaded(small(4), "plain")


def robust() -> DiagnosticModel:
    """The small CNN, trained against PGD at `EPS`."""
    return _loaded(small(4), "robust")


def lipschitz() -> DiagnosticModel:
    """The network that never moves far, trained against PGD at `EPS`."""
    return _loaded(Lipschitz(4), "lipschitz")


@cache
def photos(count: int, split: str = "test") -> Photos:
    """The first so many photos of a split; do not write into them."""
    data = load_dataset(DATA).only(split)
    x, y = batch(data, range(count), SIZE, 3)
    return Photos(x.float() / 255, y, tuple(e.id for e in data.examples[:count]))


def _loaded(network: nn.Module, name: str) -> DiagnosticModel:
    network.load_state_dict(load_file(HOME / f"{name}.safetensors"))
    model = DiagnosticModel(network, MultiClass(_classes()), size=SIZE, mean=MEAN, std=STD)
    return model.eval().requires_grad_(False)


@cache
def _classes() -> tuple[str, ...]:
    return load_dataset(DATA).classes
