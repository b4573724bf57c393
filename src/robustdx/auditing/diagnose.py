"""An evaluation distrusts itself: flags, each with what raised it, what it means and what to do. No torch.

Few on purpose. Each is about numbers that a sound evaluation of a working model would hardly give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CellResult = Mapping[str, Any]
Found = Iterator[tuple[CellResult, str]]
"""Suspicious cells, each with what was seen there."""

RISE = 0.02
"""How much accuracy may come back with a larger eps, or differ between searched and saved."""
WEAKER = 0.01
"""How much more an attack of many steps may leave standing than FGSM."""
LARGE = 8 / 255
FEW_PATIENTS = 20
ITERATIVE = ("bim", "pgd")


@dataclass(frozen=True)
class Check:
    """One reason for distrust."""

    find: Callable[[Sequence[CellResult], str], Found]
    """Given the cells of results.json and the kind of the data."""
    raised_if: str
    means: str
    do: str


def diagnose(cells: Sequence[CellResult], kind: str) -> list[dict[str, str]]:
    """All flags of a run, the gravest first."""
    return [
        {"cell": cell["key"], "title": title, "raised_if": check.raised_if, "means": check.means, "do": check.do}
        for check in CHECKS
        for cell, title in check.find(cells, kind)
    ]


def learnt_nothing(cells: Sequence[CellResult], kind: str) -> Found:
    """By balanced accuracy: a model that weighs rare classes may rightly score below the share of the largest class."""
    for cell in cells:
        found, chance = cell["metrics"].get("balanced_accuracy"), _chance(cell, kind)
        if cell["attack"] == "clean" and found and found["low"] <= chance:
            yield cell, f"Clean balanced accuracy on {cell['split']}, {found['value']:.3f}, is not above chance ({chance:.3f})"


def comes_back(cells: Sequence[CellResult], kind: str) -> Found:
    """The largest rise of each attack."""
    for own in _attacked(cells, "attack", "threat", "split"):
        budgets = sorted(own, key=lambda c: c["eps"])
        rises = [(_accuracy(large) - _accuracy(small), small, large) for i, small in enumerate(budgets) for large in budgets[i + 1 :]]
        rise, small, large = max(rises, key=lambda r: r[0], default=(0.0, {}, {}))
        if rise > RISE:
            yield large, f"Under {large['attack']} accuracy is {100 * rise:.1f} points higher at eps {_eps(large)} than at {_eps(small)}"


def weaker_than_one_step(cells: Sequence[CellResult], kind: str) -> Found:
    """The largest excess of each iterative attack over FGSM at the same budget."""
    single = {_budget(c): _accuracy(c) for own in _attacked(cells) for c in own if _method(c) == "fgsm"}
    for own in _attacked(cells, "attack", "threat", "split"):
        compared = [c for c in own if _method(c) in ITERATIVE and _budget(c) in single]
        cell = max(compared, key=lambda c: _accuracy(c) - single[_budget(c)], default=None)
        if cell and (more := _accuracy(cell) - single[_budget(cell)]) > WEAKER:
            yield cell, f"{cell['attack']} leaves {100 * more:.1f} points more standing than fgsm at eps {_eps(cell)}"


def rounding_matters(cells: Sequence[CellResult], kind: str) -> Found:
    """The largest difference of each attack, where the grid allows a saved image at all."""
    for own in _attacked(cells, "attack", "threat", "split"):
        judged = [(_accuracy(c) - c["searched"]["accuracy"]["value"], c) for c in own if c.get("searched", {}).get("accuracy")]
        gap, cell = max(judged, key=lambda j: abs(j[0]), default=(0.0, {}))
        if abs(gap) > RISE:
            yield cell, f"Rounding to 8 bits changes accuracy under {cell['attack']} by {100 * gap:+.1f} points at eps {_eps(cell)}"


def stands(cells: Sequence[CellResult], kind: str) -> Found:
    """In the worst case over attacks, at the largest Linf budget."""
    clean = {c["split"]: _accuracy(c) for c in cells if c["attack"] == "clean" and "accuracy" in c["metrics"]}
    worst = [c for c in cells if c["attack"] == "worst" and c["threat"] == "linf" and "accuracy" in c["metrics"]]
    for split in clean:
        cell = max((c for c in worst if c["split"] == split), key=lambda c: c["eps"], default=None)
        if cell and cell["eps"] > LARGE - 1e-9 and _accuracy(cell) > clean[split] / 2:
            yield cell, f"At eps {_eps(cell)} the model keeps {100 * _accuracy(cell):.1f} % accuracy against every attack"


def few_patients(cells: Sequence[CellResult], kind: str) -> Found:
    """Images, where no patients are named."""
    for cell in cells:
        n = cell["patients"] or cell["images"]
        if cell["attack"] == "clean" and n < FEW_PATIENTS:
            yield cell, f"All intervals on {cell['split']} rest on {n} {'patients' if cell['patients'] else 'images'}"


CHECKS = (
    Check(
        learnt_nothing,
        "the interval of the clean balanced accuracy reaches what guessing gives",
        "The model has learnt nothing that shows on these images, or its classes stand in another order than the data's, "
        "or its mean and std are wrong. What an attack does to it then says nothing.",
        "Check class order, mean, std and input size of the model.",
    ),
    Check(
        comes_back,
        "accuracy under a larger eps exceeds that under a smaller one by more than 2 points",
        "Whoever may change more may also change less, so the attack failed at the larger eps: "
        "its search did not converge, or the gradient is hidden.",
        "Use more steps and restarts, or smaller steps; read the larger eps as no better than the smaller.",
    ),
    Check(
        weaker_than_one_step,
        "an attack of many steps leaves more standing than one step of the same eps, by more than 1 point",
        "Where the gradient tells the truth many steps are stronger than one: the gradient is hidden, or the step size does not fit.",
        "Try other step sizes, restarts, and an attack without gradients; do not call the model robust on these numbers.",
    ),
    Check(
        rounding_matters,
        "accuracy on the saved images differs from that on the searched ones by more than 2 points",
        "Part of what the attack found does not survive being written to a file. An attack that searches on the grid may find more.",
        "Read the searched numbers as what a program could feed the model, the saved ones as what a file could.",
    ),
    Check(
        stands,
        "accuracy in the worst case at 8/255 or more is above half of the clean one",
        "A network that was not trained for it hardly ever stands so much: either it was made robust, or the attacks were misled.",
        "If it was not made robust, look for a step that hides the gradient; repeat with more steps and with attacks without gradients.",
    ),
    Check(
        few_patients,
        f"fewer than {FEW_PATIENTS} patients (images, where no patients are named)",
        "A bootstrap over so few makes intervals that are too narrow.",
        "Use more patients before comparing anything.",
    ),
)


def _attacked(cells: Iterable[CellResult], *keys: str) -> list[list[CellResult]]:
    """The cells of attacks, those together that agree in these keys."""
    groups: dict[tuple, list[CellResult]] = {}
    for cell in cells:
        if cell["attack"] not in ("clean", "worst") and "accuracy" in cell["metrics"]:
            groups.setdefault(tuple(cell[k] for k in keys), []).append(cell)
    return list(groups.values())


def _accuracy(cell: CellResult) -> float:
    return float(cell["metrics"]["accuracy"]["value"])


def _chance(cell: CellResult, kind: str) -> float:
    """Balanced accuracy of guessing: over the classes that occur."""
    return 0.5 if kind == "multilabel" else 1 / max(1, sum(name.startswith("accuracy:") for name in cell["metrics"]))


def _budget(cell: CellResult) -> tuple:
    return cell["threat"], cell["eps"], cell["split"]


def _method(cell: CellResult) -> str:
    return str(cell["settings"].get("name", cell["attack"]))


def _eps(cell: CellResult) -> str:
    return f"{cell['eps'] * 255:.4g}/255" if cell["threat"] == "linf" else f"{cell['eps']:.4g}"
