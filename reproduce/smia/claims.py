"""Two claims of SMIA answered from the rows of compare.py: python -m reproduce.smia.claims ROWS.jsonl ... > reproduce/smia/results.md

Q4: SMIA does at least as much harm as FGSM, BIM, PGD and MI, with less spread over images and modalities.
Q5: it does more harm with its stabilisation term than without, and the predictions along its way settle.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.verdicts import Question, answered, line, page

Row = dict[str, Any]
Rows = dict[tuple[str, float, str], list[Row]]
"""By modality, eps and method: a row for each image that is decided rightly, in the same order for every method."""
SMIA, WITHOUT = "smia a2=1", "smia a2=0"
OTHERS = ("fgsm", "bim", "pgd", "mi")


def read(paths: Iterable[Path]) -> Rows:
    found: Rows = defaultdict(list)
    for row in (json.loads(text) for path in paths for text in path.read_text().splitlines()):
        if row["right"]:
            found[row["modality"], row["eps"], row["method"]].append(row)
    return found


def places(rows: Rows) -> list[tuple[str, float]]:
    return sorted({key[:2] for key in rows})


def together(rows: Rows) -> Rows:
    """The images of all modalities that were measured at an eps, as one."""
    found: Rows = defaultdict(list)
    for (modality, eps, method), side in sorted(rows.items()):
        found["together", eps, method] += [{**r, **{k: f"{modality} {r[k]}" for k in ("id", "patient")}} for r in side]
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


def asked(rows: Rows, claim: str, first: str, second: str | None, value: Callable[[Row], float], at_least: bool = False) -> list[Question]:
    """For each modality and eps: is the value of the first method larger than that of the second, or than 0 where there is none?"""
    found = []
    for modality, eps in places(rows):
        one, two = (rows.get((modality, eps, name), []) for name in (first, second or first))
        if not one or [r["id"] for r in one] != [r["id"] for r in two]:
            raise SystemExit(
                f"{modality}, eps {eps * 255:g}/255: {first} and {second} were not measured on the same images: run compare.py"
            )
        ours, theirs = [value(r) for r in one], [value(r) if second else 0.0 for r in two]
        found.append(Question(f"{claim}, {modality}, eps {eps * 255:g}/255", ours, theirs, [r["patient"] for r in one], at_least))
    return found


def spread(rows: Rows, other: str) -> list[Question]:
    """Does the rise of the loss differ more between images under the other attack? By its distance from the median, after
    Brown & Forsythe 1974."""
    found = []
    for q in asked(rows, f"spread over images is larger under {other.upper()}", other, SMIA, rise):
        first, second = (np.abs(np.asarray(v) - np.median(v)).tolist() for v in (q.first, q.second))
        found.append(Question(q.claim, first, second, q.patients))
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


def table(rows: Rows, eps: float) -> list[str]:
    """What each method did at one budget."""
    modalities = [m for m, e in places(rows) if e == eps]
    methods = [key[2] for key in rows if key[:2] == (modalities[0], eps)]
    head = ["method", "passes", *modalities, "variance of the change / eps²", "spread over modalities"]
    lines = [line(head), line(["---"] * len(head))]
    for method in methods:
        found = [rows[m, eps, method] for m in modalities]
        every = [r for side in found for r in side]
        rates = [float(np.mean([broken(r) for r in side])) for side in found]
        rises = [[rise(r) for r in side] for side in found]
        variance = [r["variance"] / eps**2 for r in every]
        passes = f"{np.mean([r['passes'] for r in every]):.0f}"
        shown = [f"{rate:.3f}; {np.mean(v):.2f} ± {np.std(v):.2f}" for rate, v in zip(rates, rises, strict=True)]
        between = f"{np.std(rates, ddof=1):.3f}" if len(rates) > 1 else "-"
        lines.append(line([method, passes, *shown, f"{np.mean(variance):.2f} ± {np.std(variance):.2f}", between]))
    return lines


HEAD = """# SMIA beside FGSM, BIM, PGD and MI: what was measured

Made by `reproduce/smia/run.sh`. Only images that are decided rightly; verdicts in float32, from 1/255 on with the image as saved.
Each modality was attacked at budgets that leave it neither whole nor in ruins. In a cell: the part of the images that broke; the rise
of the loss, mean ± standard deviation over images."""
CLAIMS = {
    "Q4: SMIA does at least as much harm as the others, with less spread": q4,
    "Q5: the stabilisation term helps, and the way settles": q5,
}


def main(paths: Sequence[Path]) -> None:
    rows = read(paths)
    print(HEAD)
    for eps in sorted({e for _, e in places(rows)}):
        print(f"\n## eps {eps * 255:g}/255\n\n" + "\n".join(table(rows, eps)))
    for claim, questions in CLAIMS.items():
        print(f"\n## {claim}\n")
        print("\n".join(page("Modalities together", answered(questions(together(rows))))))
        print("\n".join(page("Each modality", answered(questions(rows)))).rstrip())


if __name__ == "__main__":
    main([Path(p) for p in sys.argv[1:]])
