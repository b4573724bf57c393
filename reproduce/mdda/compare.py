"""MDDA and its rivals in the grey box and across architectures: a line for each purifier, attack, budget, maker and judge.

python -m reproduce.mdda.compare --data DATA --runs RUNS [--ablate]

RUNS holds the runs `resnet` and `regnet`. First every purifier is tuned on validation images, then all are shown the same attacked test
images; with --ablate, MDDA is then taken apart. What stands in RUNS/rows.jsonl is not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from reproduce.mdda.attacked import BUDGETS, EVERY, attacked, network, parts, photos
from reproduce.mdda.grids import ANEW, GRIDS, WITHOUT, Words, ablations, grids
from reproduce.mdda.price import priced
from robustdx.auditing.cell import Batch
from robustdx.models import DiagnosticModel, still
from robustdx.purifiers import PURIFIERS
from robustdx.tensors import Images

NETWORKS = ("resnet", "regnet")
ABLATED_ON = 200
"""Images of the test for an ablation; taking out a whole part is measured on all."""
TUNED_AT = 4.0


@dataclass
class Rows:
    """The lines that are there, by what was asked."""

    path: Path

    def __post_init__(self) -> None:
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        self.found = {self.key(row): row for row in map(json.loads, lines)}

    @staticmethod
    def key(row: Words) -> str:
        return json.dumps([row[k] for k in ("stage", "settings", "made", "judge", "attack", "eps")], sort_keys=True)

    def keep(self, row: Words) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.found[self.key(row)] = row


@torch.no_grad()
def right(judges: Mapping[str, DiagnosticModel], purifier: Words | None, x: Images, whole: Batch) -> dict[str, str]:
    """By judge, for each image 1 where it is right behind the purifier, and 0 where it is not. All see the same purified images."""
    method = PURIFIERS.parse(purifier) if purifier else None
    told = dict.fromkeys(judges, "")
    for part in parts(Batch(x, whole.y, whole.ids, whole.patients)):
        pure = part.x if method is None else method(part.x, part.draws(0).fork("verdict").fork("purify"))
        for name, judge in judges.items():
            with still(judge):
                hits = judge.task.decide(judge(pure)) == part.y
            told[name] += "".join(str(int(hit)) for hit in hits)
    return told


def share(told: str) -> float:
    return told.count("1") / len(told)


@dataclass
class Comparison:
    """Everything that is asked, with what it is asked of."""

    runs: Path
    data: str
    rows: Rows

    def __post_init__(self) -> None:
        self.networks = {name: network(self.runs / name, self.data) for name in NETWORKS}
        size = self.networks["resnet"].size
        assert size is not None
        self.val, self.test = (photos(self.data, split, size) for split in ("val", "test"))
        whole = {"ids": self.test.ids, "patients": self.test.patients, "labels": self.test.y.tolist(), "val": len(self.val.ids)}
        words = {**whole, "val_lesions": len(set(self.val.patients)), "classes": self.networks["resnet"].task.classes}
        (self.runs / "images.json").write_text(json.dumps(words))

    def images(self, made: str, attack: str, eps: float, split: str) -> Images:
        whole = self.val if split == "val" else self.test
        if not attack:
            return whole.x
        return attacked(self.networks[made], whole, attack, eps, self.runs / "attacked", f"{split}-{made}")

    def ask(self, stage: str, name: str, settings: Words | None, made: str, attack: str, eps: float, judges: Sequence[str] = ()) -> str:
        """What the first judge says (left out: the network that the images were made on), from the file or made now for all judges."""
        judges = judges or (made,)
        about: Words = {"stage": stage, "purifier": name, "settings": settings, "made": made, "attack": attack, "eps": eps}
        keys = [Rows.key({**about, "judge": judge}) for judge in judges]
        if not all(key in self.rows.found for key in keys):
            told = self.told(about, judges)
            for judge in judges:
                self.rows.keep({**about, "judge": judge, "right": told[judge]})
        return str(self.rows.found[keys[0]]["right"])

    def told(self, about: Words, judges: Sequence[str]) -> dict[str, str]:
        """By judge, which images are right; those that the attack left as they were are not purified again."""
        stage, name, settings = about["stage"], about["purifier"], about["settings"]
        whole, split = (self.val, "val") if stage == "tune" else (self.test, "test")
        whole = whole.only(torch.arange(min(ABLATED_ON, len(whole.ids)))) if stage == "ablate" else whole
        x = self.images(about["made"], about["attack"], about["eps"], split)[: len(whole.ids)]
        moved = (x != whole.x).flatten(1).any(1)
        if not about["attack"] or bool(moved.all()):
            return right({judge: self.networks[judge] for judge in judges}, settings, x, whole)
        found = right({judge: self.networks[judge] for judge in judges}, settings, x[moved], whole.only(moved.nonzero()[:, 0]))
        anew = {judge: iter(found[judge]) for judge in judges}
        clean = {judge: self.ask(stage, name, settings, "resnet", "", 0.0, (judge,)) for judge in judges}
        return {j: "".join(next(anew[j]) if m else c for m, c in zip(moved.tolist(), clean[j], strict=True)) for j in judges}

    def score(self, name: str, settings: Words | None) -> float:
        """What the rule of grids.py goes by."""
        return sum(share(self.ask("tune", name, settings, "resnet", a, e)) for a, e in (("", 0.0), ("pgd", TUNED_AT))) / 2

    def everywhere(self, name: str, settings: Words | None) -> None:
        """Clean and attacked, made on each network and judged by both."""
        self.ask("test", name, settings, "resnet", "", 0.0, NETWORKS)
        for made, attacks in BUDGETS.items():
            for attack, budgets in attacks.items():
                for eps in budgets:
                    self.ask("test", name, settings, made, attack, float(eps), NETWORKS)

    def on_resnet(self, name: str, settings: Words) -> None:
        """Clean, and under PGD made on the ResNet, on all test images."""
        for attack, eps in (("", 0.0), *(("pgd", float(eps)) for eps in EVERY)):
            self.ask("test", name, settings, "resnet", attack, eps, NETWORKS if not attack else ())

    def price(self, name: str, settings: Words) -> None:
        about: Words = {"stage": "cost", "purifier": name, "settings": settings, "made": "", "judge": "", "attack": "", "eps": 0.0}
        if Rows.key(about) not in self.rows.found:
            self.rows.keep({**about, "cost": priced(settings)})


def tuned(made: Comparison, among: Mapping[str, list[Words]]) -> dict[str, Words]:
    """The settings that the rule picks, by purifier; kept in RUNS/tuned.json."""
    file = made.runs / "tuned.json"
    there: dict[str, Words] = json.loads(file.read_text()) if file.is_file() else {}
    for name in [n for n in among if n not in there]:
        there[name] = max(among[name], key=lambda settings, name=name: made.score(name, settings))  # type: ignore[misc]
        print(f"{name}: {there[name]}, {made.score(name, there[name]):.3f} on validation images", flush=True)
        file.write_text(json.dumps(there, indent=1))
    return {name: there[name] for name in among}


def compared(made: Comparison) -> None:
    """Every purifier tuned, then shown all images."""
    made.score("none", None)
    made.everywhere("none", None)
    for name, settings in tuned(made, grids(made.runs)).items():
        made.price(name, settings)
        made.everywhere(name, settings)
        clean, own = (share(made.ask("test", name, settings, "resnet", a, e)) for a, e in (("", 0.0), ("pgd", 4.0)))
        print(f"{name}: clean {clean:.3f}, PGD 4/255 {own:.3f}", flush=True)


def taken_apart(made: Comparison) -> None:
    """MDDA without its parts, and with other settings."""
    for name, settings in tuned(made, ANEW).items():
        made.on_resnet(name, settings)
    for changed, to, settings in ablations(tuned(made, GRIDS)["mdda"]):
        if changed == "without" and to in WITHOUT:
            made.on_resnet(f"mdda, {to} taken out", settings)
        else:
            for attack, eps in (("", 0.0), ("pgd", 2.0), ("pgd", 8.0)):
                made.ask("ablate", "mdda", settings, "resnet", attack, eps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--ablate", action="store_true", help="take MDDA apart, after the comparison")
    args = parser.parse_args()
    torch.set_num_threads(1)
    made = Comparison(args.runs, args.data, Rows(args.runs / "rows.jsonl"))
    (taken_apart if args.ablate else compared)(made)


if __name__ == "__main__":
    main()
