"""Claims of Xu et al. on PGD and GAP, answered from the audits of sweep.py: python -m reproduce.xu.claims NAME=FOLDER ... > results.md

Q6: PGD and GAP both collapse the accuracy and the AUC of all three models; the fooling rate is high.
Q9: a larger eps or lambda and more iterations lower the accuracy.
A6: GAP at lambda 5, 7, 10, 13 leaves AttnMel less than 40 % accuracy, and never more for a larger lambda.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.verdicts import Question, answered, line, page
from reproduce.xu.sweep import EPS, LAMBDA, STEPS, UNIVERSAL
from robustdx.store import Store

COLLAPSE = 0.4
"""What A6 calls it; of a network with 14 findings, where saying no to all is right 19 times of 20, a constant answer is the measure."""


@dataclass(frozen=True)
class Measured:
    """What one attack left of one network."""

    label: str
    metrics: Mapping[str, Any]
    right: Mapping[str, float]
    """By image, as the verdict has it; of several findings the share that is right."""
    constant: Mapping[str, float]
    """By image: the same of an answer that never looks."""
    patients: Mapping[str, str]


def read(folder: Path) -> dict[str, Measured]:
    """By label: clean, pgd eps 1, pgd x 4, gap 5, ..."""
    found: dict[str, Measured] = {}
    names = {"eps": [f"pgd eps {e}" for e in EPS], "steps": [f"pgd x {n}" for n in STEPS]}
    for n in LAMBDA:
        names[f"lambda-{n}"] = [f"gap {n}", *([f"gap universal {n}"] if n in UNIVERSAL else []), f"pgd {n}"]
    for run, labels in names.items():
        store = Store(folder / run)
        if not store.whole:
            continue  # not measured yet: what is asked of it is left out
        cells = [c for c in store.read_json("results.json")["cells"] if c["split"] == "test" and c["attack"] != "worst"]
        records = {cell.key: table.to_pylist() for cell, table in store.cells()}
        attacked = sorted((c for c in cells if c["attack"] != "clean"), key=lambda c: (_turn(c, run), c["eps"]))
        for cell, label in zip(attacked, labels, strict=True):
            found[label] = measured(label, cell, records[cell["key"]])
        clean = next(c for c in cells if c["attack"] == "clean")
        found["clean"] = measured("clean", clean, records[clean["key"]])
    return found


def _turn(cell: Mapping[str, Any], run: str) -> int:
    """Where a cell's attack stands among those of its run."""
    order = [f"pgd {n}" for n in STEPS] if run == "steps" else ["gap", "gap universal", "pgd"]
    return order.index(cell["attack"])


def measured(label: str, cell: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Measured:
    form = "clean" if label == "clean" else cell["verdict"]
    labels = np.array([r["label"] for r in rows], dtype=float)
    decided = np.array([r[f"{form}_decision"] for r in rows], dtype=float)
    usual = np.array([np.bincount(column[~np.isnan(column)].astype(int)).argmax() for column in labels.T])
    ids = [r["id"] for r in rows]
    right, constant = (dict(zip(ids, share(labels, said), strict=True)) for said in (decided, np.broadcast_to(usual, labels.shape)))
    return Measured(label, cell["metrics"], right, constant, {r["id"]: r["patient"] or r["id"] for r in rows})


def share(labels: np.ndarray, said: np.ndarray) -> list[float]:
    """Of the annotated labels of each image, those that were met."""
    known = ~np.isnan(labels)
    return [float((s == t)[k].mean()) if k.any() else 1.0 for s, t, k in zip(said, labels, known, strict=True)]


def ask(
    claim: str, first: Mapping[str, float], second: Mapping[str, float], patients: Mapping[str, str], at_least: bool = False
) -> Question:
    if first.keys() != second.keys():
        raise SystemExit(f"{claim}: not measured on the same images: run sweep.py with the same --images")
    return Question(claim, [first[i] for i in first], [second[i] for i in first], [patients[i] for i in first], at_least)


def there(m: Mapping[str, Measured], *labels: str) -> list[str]:
    """Those that have been measured."""
    return [label for label in labels if label in m]


def sweeps(m: Mapping[str, Measured]) -> list[list[str]]:
    """What rises from label to label, as far as it has been measured."""
    found = there(m, *(f"pgd eps {e}" for e in EPS)), there(m, *(f"pgd x {n}" for n in STEPS)), there(m, *(f"gap {n}" for n in LAMBDA))
    return [labels for labels in found if len(labels) > 1]


def q6(name: str, m: Mapping[str, Measured]) -> Iterator[Question]:
    clean = m["clean"]
    for label in there(m, f"pgd eps {EPS[0]}", f"pgd eps {EPS[-1]}", f"gap {LAMBDA[0]}", f"gap {LAMBDA[-1]}"):
        attacked = m[label]
        yield ask(f"{name}: {label} lowers the accuracy", clean.right, attacked.right, clean.patients)
        yield ask(f"{name}: {label} leaves less than a constant answer is right", attacked.constant, attacked.right, clean.patients)


def q9(name: str, m: Mapping[str, Measured]) -> Iterator[Question]:
    patients = m["clean"].patients
    for sweep in sweeps(m):
        yield ask(f"{name}: {sweep[-1]} leaves less than {sweep[0]}", m[sweep[0]].right, m[sweep[-1]].right, patients)


def steady(name: str, m: Mapping[str, Measured]) -> Iterator[Question]:
    patients = m["clean"].patients
    for sweep in sweeps(m):
        for one, two in pairwise(sweep):
            yield ask(f"{name}: {two} leaves no more than {one}", m[one].right, m[two].right, patients, at_least=True)


def a6(name: str, m: Mapping[str, Measured]) -> Iterator[Question]:
    for n in (n for n in LAMBDA if f"gap {n}" in m):
        right = m[f"gap {n}"].right
        yield ask(f"{name}: gap {n} leaves less than {COLLAPSE:.0%}", dict.fromkeys(right, COLLAPSE), right, m["clean"].patients)


def one_budget(name: str, m: Mapping[str, Measured]) -> Iterator[Question]:
    """What the authors' code could not compare: both in pixels."""
    for n in (n for n in LAMBDA if f"gap {n}" in m):
        yield ask(f"{name}: at {n}/255 of pixels PGD leaves less than GAP", m[f"gap {n}"].right, m[f"pgd {n}"].right, m["clean"].patients)
    for n in (n for n in UNIVERSAL if f"gap universal {n}" in m):
        claim = f"{name}: at {n}/255 GAP for each image leaves less than one for all"
        yield ask(claim, m[f"gap universal {n}"].right, m[f"gap {n}"].right, m["clean"].patients)


def table(m: Mapping[str, Measured]) -> list[str]:
    lines = [line(["attack", "accuracy", "AUC", "fooling rate"]), line(["---"] * 4)]
    order = ["clean", *(label for label in m if label != "clean")]
    return [*lines, *(line([label, *(number(m[label].metrics, names) for names in NAMES)]) for label in order)]


AUC = ("auroc_macro", "auroc")
NAMES = (("accuracy",), AUC, ("fooling_rate",))


def number(metrics: Mapping[str, Any], names: Sequence[str]) -> str:
    found = next((metrics[n] for n in names if n in metrics), None)
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" if found else "-"


def below_chance(name: str, m: Mapping[str, Measured]) -> Iterator[str]:
    """Whether the AUC falls below chance, by its 95 % interval."""
    for label in there(m, f"pgd eps {EPS[0]}", f"pgd eps {EPS[-1]}", f"gap {LAMBDA[0]}", f"gap {LAMBDA[-1]}"):
        found = next(m[label].metrics[n] for n in AUC if n in m[label].metrics)
        words = "holds" if found["high"] < 0.5 else "does not hold" if found["low"] > 0.5 else "cannot be told at this n"
        yield f"- {name}: {label} brings the AUC below chance: **{words}** ({number(m[label].metrics, AUC)})"


HEAD = """# PGD and GAP against the three victims of Xu et al.: what was measured

Made by `reproduce/xu/run.sh`. "pgd eps n": eps n/255 of the normalised input, as the authors' code takes it, in pixels each channel's
times its standard deviation; 10 steps. "pgd x n": n steps of 1/255 at eps 5/255 of the normalised input. "gap n" and "pgd n": n/255 of
pixels. Verdicts in float32, from 1/255 on with the image as saved; intervals over patients."""
FAMILIES = {
    "Q6: both attacks collapse the accuracy": q6,
    "Q9: more budget, less accuracy": q9,
    "Step by step": steady,
    "A6: GAP leaves less than 40 %": a6,
    "PGD and GAP at one budget": one_budget,
}


def main(folders: Mapping[str, Path]) -> None:
    found = {name: read(folder) for name, folder in folders.items()}
    print(HEAD)
    for name, m in found.items():
        print(f"\n## {name}, {len(m['clean'].right)} images\n\n" + "\n".join(table(m)))
    print("\n## The claims\n")
    print("### Q6: the AUC\n\n" + "\n".join(text for name, m in found.items() for text in below_chance(name, m)) + "\n")
    for title, asked in FAMILIES.items():
        family = [q for name, m in found.items() if asked is not a6 or name == "AttnMel" for q in asked(name, m)]
        if family:
            print("\n".join(page(title, answered(family))))


if __name__ == "__main__":
    main({name: Path(folder) for name, _, folder in (word.partition("=") for word in sys.argv[1:])})
