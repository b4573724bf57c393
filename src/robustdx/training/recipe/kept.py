"""What a recipe chose, in the folder of the run: whoever goes on with it goes on with the same plan."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from robustdx.catalogue import build, dump
from robustdx.errors import RunError
from robustdx.store import Store
from robustdx.training.plan import HardenPlan
from robustdx.training.recipe.auto import Recipe
from robustdx.training.recipe.choice import Choice

FILE = "recipe.json"


def write(out: Path, asked: HardenPlan, budget: str, recipe: Recipe) -> None:
    """Keep a recipe beside what it was made for."""
    choices = [asdict(choice) for choice in recipe.choices]
    Store(out).write_json(FILE, {"asked": dump(asked), "budget": budget, "plan": dump(recipe.plan), "choices": choices})


def read(out: Path | None, asked: HardenPlan, budget: str) -> Recipe | None:
    """The recipe that was made for the same plan and budget; None where none was.

    Raises:
        RunError: the folder has the recipe for something else.
    """
    if out is None or not (out / FILE).is_file():
        return None
    told: dict[str, Any] = Store(out).read_json(FILE)
    if (told["asked"], told["budget"]) != (dump(asked), budget):
        raise RunError(f"{out} holds a training that was asked for in other words: give them again, or another --out")
    return Recipe(build(HardenPlan, told["plan"], where=FILE), tuple(Choice(**c) for c in told["choices"]))
