"""MDDA and its best rivals before an adversary who knows them: an audit of each with everything that the audit does by itself.

python -m reproduce.mdda.escalate --data DATA --runs RUNS

RUNS holds the networks, tuned.json and rows.jsonl of compare.py. A finished audit is a line of RUNS/escalated.jsonl and is not run again;
an unfinished one goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reproduce.mdda.compare import TUNED_AT, Rows, share
from reproduce.mdda.grids import ANEW, Words
from robustdx import api
from robustdx.auditing.cell import is_right
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.prepare import prepare
from robustdx.catalogue import build, read_words
from robustdx.records import ESCALATION
from robustdx.store import Store

RIVALS = 4
STRONG: Words = {"name": "mdda", "blocks": 2, "sigma": 0.03, "rof_weight": 0.03, "smoothing": 0.5}
"""What left most under PGD at 4/255 of all of MDDA's grid on the validation images, at a higher price on clean ones."""
JPEG: Words = {"name": "jpeg", "quality": 50}


@dataclass(frozen=True)
class Contender:
    """A network and what stands before it."""

    table: int
    name: str
    network: str
    defence: Words | None


def best_rivals(tuned: dict[str, Words], rows: Rows) -> list[str]:
    """The purifiers that the rule of grids.py puts first, by their validation images."""

    def score(name: str) -> float:
        about: Words = {"stage": "tune", "settings": tuned[name], "made": "resnet", "judge": "resnet"}
        asked = ({**about, "attack": a, "eps": e} for a, e in (("", 0.0), ("pgd", TUNED_AT)))
        return sum(share(rows.found[Rows.key(row)]["right"]) for row in asked)

    return sorted((name for name in tuned if name not in ("mdda", "rof", *ANEW)), key=score, reverse=True)[:RIVALS]


def contenders(tuned: dict[str, Words], rivals: list[str]) -> Iterator[Contender]:
    """Those of the first table, and what else could be made of MDDA: in such an order that a run that is stopped has some of both."""
    mdda = tuned["mdda"]
    chain = {"name": "chain", "members": [JPEG, mdda]}
    first = [Contender(1, "MDDA", "resnet", mdda), Contender(1, "no defence", "resnet", None)]
    first += [Contender(1, name, "resnet", tuned[name]) for name in rivals]
    second = [
        Contender(2, "robust network alone", "robust", None),
        Contender(2, "robust network, MDDA", "robust", mdda),
        Contender(2, "strong MDDA", "resnet", STRONG),
        Contender(2, "robust network, strong MDDA", "robust", STRONG),
        Contender(2, "JPEG 50, then MDDA", "resnet", chain),
        Contender(2, "robust network, JPEG 50, then MDDA", "robust", chain),
    ]
    yield from (*first[:3], second[0], *first[3:4], *second[1:4], *first[4:], *second[4:])


def audited(made: Contender, runs: Path, data: str) -> dict[str, Any]:
    """What the escalation left of one contender, image by image, and what it says of it."""
    words = read_words(Path(__file__).with_name("escalate.toml"))
    asked = {"data": data, "model": {"source": str(runs / made.network)}, "defence": made.defence}
    out = runs / "escalated" / made.name.replace(" ", "-").replace(",", "")
    results = api.run(prepare(build(AuditPlan, {**words, **asked}, where="escalate")), out, command="reproduce.mdda.escalate")
    seconds = sum(cell["seconds"] or 0 for cell in results["cells"] if cell["attack"] != "worst")
    return {**asdict(made), **images(Store(out)), "escalation": results["escalation"], "seconds": seconds}


def images(store: Store) -> Words:
    """Who the images are, and by eps in 255ths whether each is right in the end: 0 for as they came."""
    right, who = {}, Words()
    for cell, table in store.cells():
        if cell.split == "test" and cell.attack in ("clean", ESCALATION):
            records = sorted(table.to_pylist(), key=lambda row: str(row["id"]))
            right[f"{cell.eps * 255:g}"] = "".join(str(int(is_right(row, "saved"))) for row in records)
            who = {"patients": [row["patient"] for row in records], "labels": [int(row["label"][0]) for row in records]}
    return {"right": right, **who}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    args = parser.parse_args()
    tuned, rows, kept = json.loads((args.runs / "tuned.json").read_text()), Rows(args.runs / "rows.jsonl"), args.runs / "escalated.jsonl"
    done = {json.loads(line)["name"] for line in kept.read_text().splitlines()} if kept.is_file() else set()
    for made in contenders(tuned, best_rivals(tuned, rows)):
        if made.name in done:
            continue
        row = audited(made, args.runs, args.data)
        with kept.open("a") as file:
            file.write(json.dumps(row) + "\n")
        left = ", ".join(f"{share(told):.3f} at {eps}/255" for eps, told in sorted(row["right"].items()))
        print(f"{made.name}: {left}, {row['escalation']['verdict']}, {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
