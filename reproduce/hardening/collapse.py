"""Does training against one step collapse here, and do the monitors save it?

    python -m reproduce.hardening.collapse ham10000:PATH,split=split_by_lesion.csv --out RUNS

Three trainings of the plain CNN at 48 x 64 pixels and 8/255: FGSM without a random start, unwatched and watched, and PGD-7.
Each is judged on the test images under PGD-20: at its last epoch, and at the epoch that validation images chose. Numbers
around the weights (the monitors' probe) are printed for each epoch, also where nobody acts on them. Stopped at any moment,
the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from robustdx.attacks import PGD
from robustdx.data import load_dataset
from robustdx.data.batches import decoded
from robustdx.models import DiagnosticModel, ModelSpec, load
from robustdx.store import Store
from robustdx.training.augment import Augment
from robustdx.training.judge import Judge
from robustdx.training.loop import Loop, Training
from robustdx.training.monitors.probe import Probe
from robustdx.training.plan import HardenPlan, Stage
from robustdx.training.prepare import prepare, words

FAST = {"name": "madry", "steps": 1, "step_size": 1.0, "random_start": False}
RUNS: dict[str, dict[str, Any]] = {
    "one step, unwatched": {"objective": FAST, "monitors": False},
    "one step, watched": {"objective": FAST},
    "seven steps": {"objective": {"name": "madry", "steps": 7}},
}


def plan_of(data: str, epochs: int, changes: dict[str, Any]) -> HardenPlan:
    """Mirrors and quarter turns only: the network must be able to learn its images by heart, or nothing collapses."""
    return HardenPlan(
        model=ModelSpec(source="cnn", size=(48, 64)),
        data=data,
        eps=8 / 255,
        stages=(Stage(epochs=epochs),),
        judge={"name": "pgd", "steps": 5, "early_stop": True},
        learning_rate=0.1,
        average=0.9,
        augment=Augment(rotate=0, scale=0, shift=0, brightness=0, contrast=0, saturation=0),
        **changes,
    )


def trained(name: str, data: str, epochs: int, folder: Path) -> tuple[Training, Loop]:
    """The run in its folder, and the loop with the weights of its last epoch where it has just come to its end."""
    training = prepare(plan_of(data, epochs, RUNS[name]))
    store = Store.open(folder, words(training))
    loop = Loop(training, store, lambda what, done, whole: None)

    def told(record: dict[str, Any]) -> None:
        plan, seen = training.plan, dict(record)
        if "one_step_accuracy" not in seen:
            seen |= Probe()(loop.learner.model, loop.val, (48, 64), plan.adversary, plan.seed, training.precision, plan.batch_size)
        print(name, json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in seen.items()}), flush=True)

    if not store.whole:
        loop.read()
        loop.run(on_epoch=told, on_event=lambda event: print(name, json.dumps(event), flush=True))
        store.write_json("test.json", judged(training, loop.learner.average, data, folder))
    return training, loop


def judged(training: Training, last: DiagnosticModel, data: str, folder: Path) -> dict[str, Any]:
    """The test images under PGD-20: the last epoch's weights, and the chosen ones."""
    test = decoded(load_dataset(data).only("test"), (48, 64), 3)
    judge = Judge(PGD(steps=20), training.plan.adversary, 0, 64, training.precision)
    chosen = load(ModelSpec(source=str(folder)), test.kind, test.classes)
    return {"last": judge(last, test, (48, 64)), "chosen": judge(chosen, test, (48, 64))}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("data")
    asked.add_argument("--out", type=Path, default=Path("runs/collapse"))
    asked.add_argument("--epochs", type=int, default=20)
    given = asked.parse_args()
    for name in RUNS:
        trained(name, given.data, given.epochs, given.out / name.replace(", ", "-").replace(" ", "-"))
    print("| training | weights | accuracy | balanced | robust accuracy | robust balanced |\n|---|---|---|---|---|---|")
    for name in RUNS:
        found = json.loads((given.out / name.replace(", ", "-").replace(" ", "-") / "test.json").read_text())
        for weights, n in found.items():
            numbers = (n[k] for k in ("accuracy", "balanced_accuracy", "robust_accuracy", "robust_balanced_accuracy"))
            print(f"| {name} | {weights} | {' | '.join(f'{100 * v:.1f}' for v in numbers)} |")


if __name__ == "__main__":
    main()
