"""Claims A1 and A2 from the records of four audits: python -m reproduce.jogani.claims RUNS > reproduce/jogani/results.md

A1: PGD leaves the plain CNN less accurate than FGSM.
A2: training on PGD's examples is the best of the three against both attacks, and better than none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduce.verdicts import Question, answered, line, page
from robustdx.store import Store

STANDARD, FGSM, PGD, MIXED = "standard", "at-fgsm", "at-pgd", "at-mixed"
TRAININGS = {STANDARD: "plain", FGSM: "FGSM", PGD: "PGD", MIXED: "both"}
ATTACKS = ("fgsm", "pgd")
Place = tuple[str, float]
"""An attack and its eps; ("clean", 0) for the images as they came."""


@dataclass(frozen=True)
class Audited:
    """One network's answers."""

    right: dict[Place, list[float]]
    """For each image 1 where the decision on the saved image is right."""
    patients: list[str]
    ids: list[str]
    results: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Audited:
        right, patients, ids = {}, [], []
        for cell, records in Store(folder).cells():
            if cell.split != "test":
                continue
            rows = sorted(records.to_pylist(), key=lambda row: row["id"])
            right[cell.attack, cell.eps] = [float(row["saved_decision"][0] == row["label"][0]) for row in rows]
            patients, ids = [row["patient"] for row in rows], [row["id"] for row in rows]
        return cls(right, patients, ids, json.loads((folder / "results.json").read_text()))

    def told(self, place: Place) -> str:
        """Accuracy with its interval, and balanced accuracy."""
        cells = [c for c in self.results["cells"] if c["split"] == "test"]
        metrics = next(c["metrics"] for c in cells if (c["attack"], c["eps"]) == place)
        accuracy = metrics["accuracy"]
        shares = [f"{100 * accuracy[k]:.1f}" for k in ("value", "low", "high")]
        return f"{shares[0]} [{shares[1]}, {shares[2]}] ({100 * metrics['balanced_accuracy']['value']:.1f})"


Networks = dict[str, Audited]


def places(networks: Networks) -> list[Place]:
    """Clean first, then by eps and attack."""
    return sorted(networks[STANDARD].right, key=lambda place: (place[0] != "clean", place[1], place[0]))


def called(place: Place) -> str:
    return "not attacked" if place[0] == "clean" else f"{place[0].upper()}, {place[1] * 255:g}/255"


def asked(networks: Networks, claim: str, first: tuple[str, Place], second: tuple[str, Place]) -> Question:
    one, two = networks[first[0]], networks[second[0]]
    if one.ids != two.ids:
        raise SystemExit(f"{first[0]} and {second[0]} were audited on other images: run run.sh in a new folder")
    return Question(claim, one.right[first[1]], two.right[second[1]], one.patients)


def a1(networks: Networks) -> list[Question]:
    budgets = sorted({eps for attack, eps in places(networks) if attack == "pgd"})
    claim = "PGD leaves the plain CNN less than FGSM"
    return [asked(networks, f"{claim}, {e * 255:g}/255", (STANDARD, ("fgsm", e)), (STANDARD, ("pgd", e))) for e in budgets]


def a2(networks: Networks) -> list[Question]:
    attacked = [place for place in places(networks) if place[0] in ATTACKS]
    others = [name for name in TRAININGS if name != PGD]
    pairs = [(other, at) for other in others for at in attacked]
    return [asked(networks, f"trained on PGD above {TRAININGS[o]}, under {called(at)}", (PGD, at), (o, at)) for o, at in pairs]


def table(networks: Networks) -> list[str]:
    head = ["trained on", *(called(place) for place in places(networks))]
    rows = [[TRAININGS[name], *(network.told(place) for place in places(networks))] for name, network in networks.items()]
    return [line(head), line(["---"] * len(head)), *(line(row) for row in rows)]


def main(arguments: Sequence[str]) -> None:
    runs = Path(arguments[0])
    networks = {name: Audited.read(runs / f"{name}-audit") for name in TRAININGS}
    first = networks[STANDARD]
    print("# A plain CNN trained four ways\n")
    print("Written by `python -m reproduce.jogani.claims RUNS`; every number is measured, none is edited.\n")
    print(f"{len(first.ids)} test images of {len(set(first.patients))} lesions. Accuracy in percent [95 % interval] (balanced accuracy).\n")
    print("\n".join(table(networks)) + "\n")
    print("\n".join(page("A1: PGD is the stronger attack", answered(a1(networks)))))
    print("\n".join(page("A2: training on PGD's examples is the best of the three", answered(a2(networks)))))


if __name__ == "__main__":
    main(sys.argv[1:])
