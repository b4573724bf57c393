"""A training that takes seconds."""

from pathlib import Path

from robustdx.catalogue import build
from robustdx.store import Store
from robustdx.training.loop import Loop
from robustdx.training.plan import HardenPlan
from robustdx.training.prepare import prepare, words

SMALL = {
    "data": "synthetic,task=binary,images=100",
    "model": {"source": "cnn", "size": 20},
    "objective": {"name": "madry", "steps": 1},
    "eps": "2/255",
    "stages": [{"epochs": 1, "size": 16, "objective": {"name": "standard"}}, {"epochs": 2}],
    "batch_size": 16,
    "judge": {"name": "fgsm"},
}


def small(**changes) -> HardenPlan:
    """The small plan with some keys changed."""
    return build(HardenPlan, {**SMALL, **changes}, where="plan")


def quiet(what: str, done: int, whole: int) -> None:
    """Watch without a word."""


def trained(plan: HardenPlan, folder: Path, **settings) -> Path:
    """A folder with the finished run of a plan."""
    training = prepare(plan)
    Loop(training, Store.open(folder, words(training)), quiet, **settings).run()
    return folder


SAME = ("plan.json", "curve.json", "model.json", "model.safetensors", "manifest.json")
"""What a run leaves that does not depend on when it was interrupted."""


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in SAME}


class Stopped(Exception):
    pass


def stopping_after(steps: int):
    """A watch that interrupts training from inside."""
    left = iter(range(steps - 1, -1, -1))

    def watch(what: str, done: int, whole: int) -> None:
        if what.startswith("epoch") and next(left) == 0:
            raise Stopped

    return watch
