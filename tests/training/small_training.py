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
