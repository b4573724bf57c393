"""Claims Q4 and Q5 of SMIA, answered from the rows of compare.py: python reproduce/smia/claims.py ROWS.jsonl ... > reproduce/smia/results.md"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from verdicts import Answer, Question, answered  # noqa: E402

Row = dict[str, Any]
Rows = dict[tuple[str, float, str], list[Row]]
"""By modality, eps and method: a row for each image that is decided rightly, in the same order for every method."""
SMIA, WITHOUT = "smia a2=1", "smia a2=0"
OTHERS = ("fgsm", "bim", "pgd", "mi")


def read(paths: Iterable[Path]) -> Rows:
    found: Rows = defaultdict(list)
    for row in (json.loads(line) for path in paths for line in path.read_text().splitlines()):
        if row["right"]:
            found[row["modality"], row["eps"], row["method"]].append(row)
    return found


def broken(row: Row) -> float:
    return 1.0 - row["stands"]


def rise(row: Row) -> float:
    """Of the loss."""
    return float(row["loss_adv"] - row["loss"])


def settled(row: Row) -> float:
    """By how much the predictions of the second half of the way differ less from each other than those of the first."""
    steps = row["between"]
    half = len(steps) // 2
    return float(np.mean(steps[:half]) - np.mean(steps[half:]))


def left(row: Row) -> float:
    """By how much the prediction is farther from the truth after the last step than after the first."""
    return float(row["from_truth"][-1] - row["from_truth"][0])


def asked(rows: Rows, claim: str, first: str | None, second: str | None, value: Callable[[Row], float], at_least: bool = False) -> list[Question]:
    """One question for each modality and eps: is the value of the first method larger than that of the second? None stands for zero."""
    found = []
    for modality, eps in sorted({key[:2] for key in rows}):
        one, two = (rows[modality, eps, name] if name else [] for name in (first, second))
        ids = [r["id"] for r in one or two]
        if any([r["id"] for r in side] != ids for side in (one, two) if side):
            raise SystemExit(f"{modality}, eps {eps * 255:g}/255: {first} and {second} were not measured on the same images")
        values = [[value(r) for r in side] if side else [0.0] * len(ids) for side in (one, two)]
        where = f"{claim}, {modality}, eps {eps * 255:g}/255"
        found.append(Question(where, *values, [r["patient"] for r in one or two], at_least))
    return found


def spread(rows: Rows, other: str) -> list[Question]:
    """Does the rise of the loss differ more between images under the other attack? By its distance from the median (Brown & Forsythe 1974)."""
    found = []
    for q in asked(rows, f"spread over images is larger under {other.upper()} than under SMIA", other, SMIA, rise):
        away = [np.abs(np.asarray(v) - np.median(v)).tolist() for v in (q.first, q.second)]
        found.append(Question(q.claim, *away, q.patients))
    return found


def q4(rows: Rows) -> list[Question]:
    drop = [q for o in OTHERS for q in asked(rows, f"SMIA breaks at least as many as {o.upper()}", SMIA, o, broken, at_least=True)]
    return drop + [q for o in OTHERS for q in spread(rows, o)]


def q5(rows: Rows) -> list[Question]:
    return [
        *asked(rows, "a2 = 1 breaks more than a2 = 0", SMIA, WITHOUT, broken),
        *asked(rows, "a2 = 1 raises the loss more than a2 = 0", SMIA, WITHOUT, rise),
        *asked(rows, "KL between successive predictions shrinks along the way of SMIA", SMIA, None, settled),
        *asked(rows, "it shrinks more than with a2 = 0", SMIA, WITHOUT, settled),
        *asked(rows, "the prediction leaves the truth along the way of SMIA", SMIA, None, left),
    ]


def table(rows: Rows) -> list[str]:
    """What each method did."""
    places = sorted({key[:2] for key in rows})
    methods = list(dict.fromkeys(key[2] for key in rows))
    head = ["method", "passes", *(f"{m} {eps * 255:g}/255" for m, eps in places), "spread over the cells"]
    lines = [cells(head), cells(["---"] * len(head))]
    for method in methods:
        found = [rows[m, eps, method] for m, eps in places]
        passes = np.mean([r["passes"] for side in found for r in side])
        rates = [np.mean([broken(r) for r in side]) for side in found]
        shown = [f"{rate:.3f}, {np.mean(v):.2f} ± {np.std(v):.2f}" for rate, v in zip(rates, ([rise(r) for r in s] for s in found), strict=True)]
        lines.append(cells([method, f"{passes:.0f}", *shown, f"{np.std(rates):.3f}"]))
    return lines


def changes(rows: Rows) -> list[str]:
    """The variance of x_adv - x in 255ths squared, over images."""
    lines = [cells(["method", "variance of x_adv - x, mean over images", "standard deviation over images"]), cells(["---"] * 3)]
    for method in dict.fromkeys(key[2] for key in rows):
        relative = [r["variance"] / r["eps"] ** 2 for key, side in rows.items() if key[2] == method for r in side]
        lines.append(cells([method, f"{np.mean(relative):.3f}", f"{np.std(relative):.3f}"]))
    return lines


def cells(values: Sequence[str]) -> str:
    return "| " + " | ".join(values) + " |"


def verdicts(title: str, answers: Sequence[Answer]) -> list[str]:
    lines = [f"## {title}", "", cells(["claim", "answer", "difference", "95 % interval", "p (Holm)", "images", "patients"]), cells(["---"] * 7)]
    for a in answers:
        q = a.question
        numbers = [f"{a.difference:+.3f}", f"{a.low:+.3f} to {a.high:+.3f}", f"{a.p:.4f}", str(len(q.first)), str(len(set(q.patients)))]
        lines.append(cells([q.claim, f"**{a.words}**", *numbers]))
    return [*lines, "", tally(answers), ""]


def tally(answers: Sequence[Answer]) -> str:
    counts = {words: sum(a.words == words for a in answers) for words in ("holds", "does not hold", "cannot be told at this n")}
    return "Of these, " + ", ".join(f"{n} {words}" for words, n in counts.items()) + "."


def main(paths: Sequence[Path]) -> None:
    rows = read(paths)
    print("# SMIA beside FGSM, BIM, PGD and MI: what was measured\n")
    print("Made by `reproduce/smia/run.sh`. Only images that are decided rightly; verdicts in float32, from 1/255 on the image as saved.")
    print("In a cell: the part of the images that broke, then the rise of the loss, its mean and standard deviation over images.\n")
    print("\n".join(table(rows)), "\n")
    print("The change itself, in units of eps squared:\n")
    print("\n".join(changes(rows)), "\n")
    print("\n".join(verdicts("Q4: SMIA does at least as much harm as the others, with less spread", answered(q4(rows)))))
    print("\n".join(verdicts("Q5: the stabilisation term helps, and the way settles", answered(q5(rows)))).rstrip())


if __name__ == "__main__":
    main([Path(p) for p in sys.argv[1:]])
