"""Who wins at equal work, from what judge.py has written: python -m reproduce.hardening.claims > reproduce/hardening/results.md"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from reproduce.hardening.judge import rows
from reproduce.hardening.methods import AUTO, BEST_OF, METHODS
from reproduce.verdicts import Question, answered, line, page

Row = dict[str, Any]
PAPERS = ("mpadvt", "maadvt")
"""What the recipe has to beat."""


def method(row: Row) -> str:
    return str(row["run"]).rpartition("-")[0]


def balanced(row: Row, form: str) -> np.ndarray:
    """For each image 1 or 0 over the share of its class, so that the mean is the balanced accuracy."""
    counts, n = Counter(row["y"]), len(row["y"])
    right = np.array([int(c) for c in row[form]], dtype=float)
    return right * np.array([n / (len(counts) * counts[y]) for y in row["y"]])


def best_readings(found: Sequence[Row]) -> list[Row]:
    """Of two readings of one method the better one on validation images, in each seed."""
    kept = []
    for row in found:
        name, seed = method(row), row["run"].rpartition("-")[2]
        pair = next(((a, b) for a, b in BEST_OF.items() if name in (a, b)), (name,))
        rivals = [r for r in found if method(r) in pair and r["run"].rpartition("-")[2] == seed]
        if row is max(rivals, key=lambda r: r["val"]["robust_balanced_accuracy"]):
            kept.append(row)
    return kept


def told(found: Sequence[Row]) -> list[str]:
    """The table, the best first."""
    head = ["training", "epochs", "robust, balanced", "clean, balanced", "robust", "clean", "validation (chose the epoch)", "minutes"]
    lines = [line(head), line(["---"] * len(head))]
    for row in sorted(found, key=lambda r: -balanced(r, "robust").mean()):
        shares = [f"{100 * v:.1f}" for v in (balanced(row, "robust").mean(), balanced(row, "clean").mean())]
        plain = [f"{100 * row[form].count('1') / len(row['y']):.1f}" for form in ("robust", "clean")]
        chose = f"{100 * row['val']['robust_balanced_accuracy']:.1f} / {100 * row['val']['balanced_accuracy']:.1f}"
        lines.append(line([row["run"], " + ".join(map(str, row["epochs"])), *shares, *plain, chose, f"{row['seconds'] / 60:.0f}"]))
    return lines


def questions(found: Sequence[Row]) -> list[Question]:
    """Is the recipe above each of the others? Seeds that both have are added up, image by image."""
    by_name: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in found:
        by_name[method(row)][row["run"].rpartition("-")[2]] = row
    asked = []
    for name, runs in by_name.items():
        seeds = sorted(set(runs) & set(by_name[AUTO]))
        if name == AUTO or not seeds:
            continue
        first, second = (np.mean([balanced(by_name[n][s], "robust") for s in seeds], axis=0) for n in (AUTO, name))
        at_least = name not in (*PAPERS, *(BEST_OF[p] for p in PAPERS if p in BEST_OF))
        claim = f"`auto` is {'level with or above' if at_least else 'above'} {name} ({len(seeds)} seeds)"
        asked.append(Question(claim, list(first), list(second), runs[seeds[0]]["patients"], at_least=at_least))
    return asked


def waiting(found: Sequence[Row]) -> str:
    """What the plan has and the rows have not, in a sentence."""
    missing = [name for name in (AUTO, *METHODS) if name not in {method(row) for row in found}]
    return f"\n**Not measured yet:** {', '.join(missing)}. The answers below are over fewer rivals than planned.\n" if missing else ""


def main() -> None:
    found = rows()
    images, lesions = len(found[0]["y"]), len(set(found[0]["patients"]))
    print("# Who wins at equal work\n")
    print("Written by `python -m reproduce.hardening.claims` from `rows.jsonl`; every number is measured, none is edited.")
    print(f"[The plan](plan.md) was written first. {images} test images of {lesions} lesions. Shares in percent.\n")
    print("\n".join(told(found)))
    print(waiting(found))
    print("\nValidation: balanced accuracy under PGD of 5 steps, and clean, of the chosen epoch.\n")
    noted = [f"- {row['run']}: {event}" for row in found for event in row["events"]]
    print("## What monitors saw and did\n\n" + ("\n".join(noted) or "Nothing.") + "\n")
    if any(method(row) == AUTO for row in found):
        print("\n".join(page("Balanced accuracy in the worst case", answered(questions(best_readings(found))))))


if __name__ == "__main__":
    main()
