"""Train every method with the same floating-point work; what is trained is not trained again.

python -m reproduce.hardening.train --data DATA --runs RUNS [--work 200TFLOP] [--seeds 0] [--only NAME ...]

A run is a folder of `robustdx harden`, RUNS/NAME-SEED; stopped at any moment, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from reproduce.hardening.methods import AUTO, METHODS, plan
from robustdx.catalogue import build, dump
from robustdx.store import Store
from robustdx.training.loop import Loop
from robustdx.training.plan import HardenPlan
from robustdx.training.prepare import prepare, words
from robustdx.training.recipe import Auto, Recipe, read_budget
from robustdx.training.recipe.price import flop


def planned(name: str, data: str, work: str, seed: int) -> Recipe:
    """The plan of one training, and what was chosen in it."""
    objective = METHODS.get(name, METHODS["standard"])
    training = prepare(build(HardenPlan, plan(data, objective, 1, seed), where=name))
    if name == AUTO:
        return Auto(training, read_budget(work))()
    assert training.model.size is not None
    each = flop(training, objective, training.model.size, training.plan.adversary) * len(training.train)
    allowed = read_budget(work).flop
    assert allowed is not None
    return Recipe(build(HardenPlan, plan(data, objective, round(allowed / each, 2), seed), where=name), ())


def train(name: str, data: str, work: str, seed: int, out: Path) -> None:
    """One training, from where its folder stands."""
    asked = out.with_suffix(".json")
    if not asked.is_file():
        recipe = planned(name, data, work, seed)
        told: dict[str, Any] = {"plan": dump(recipe.plan), "choices": [vars(c) | {"evidence": dict(c.evidence)} for c in recipe.choices]}
        asked.parent.mkdir(parents=True, exist_ok=True)
        asked.write_text(json.dumps(told, indent=1))
    training = prepare(build(HardenPlan, json.loads(asked.read_text())["plan"], where=name))
    store = Store(out)
    if store.whole:
        return
    loop = Loop(training, store, lambda what, done, total: None)
    loop.read()
    Store.open(out, words(training))
    loop.run(on_epoch=lambda record: print(out.name, json.dumps(record), flush=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--work", default="200TFLOP")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=[*METHODS, AUTO])
    args = parser.parse_args()
    torch.set_num_threads(1)
    for seed in args.seeds:
        for name in args.only or [AUTO, *METHODS]:
            train(name, args.data, args.work, seed, args.runs / f"{name}-{seed}")


if __name__ == "__main__":
    main()
