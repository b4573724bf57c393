"""MDDA and its rivals in the grey box and across architectures: a line for each purifier, attack, budget, maker and judge.

python -m reproduce.mdda.compare --data DATA --runs RUNS

RUNS holds the runs `resnet` and `regnet`. First every purifier is tuned on validation images, then all are shown the same attacked test
images, then MDDA is taken apart. What stands in RUNS/rows.jsonl is not measured again.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from reproduce.mdda.attacked import BUDGETS, attacked, network, parts, photos
from reproduce.mdda.grids import GRIDS, Words, ablations
from robustdx.auditing.cell import Batch
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, still
from robustdx.purifiers import PURIFIERS
from robustdx.tensors import Images

NETWORKS = ("resnet", "regnet")
TUNED_ON, TESTED_ON, ABLATED_ON = 150, 500, 250
"""Images: of validation, of test, and the first of those for the ablations."""
TUNED_AT = 4


@dataclass
class Rows:
    """The lines that are there, by what was asked."""

    path: Path

    def __post_init__(self) -> None:
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        self.found = {self.key(row): row for row in map(json.loads, lines)}

    @staticmethod
    def key(row: Words) -> str:
        return json.dumps([row[k] for k in ("stage", "purifier", "settings", "made", "judge", "attack", "eps")], sort_keys=True)

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
    scale: float = 1.0
    """How many of the images to take; below 1 only to try the command."""

    def __post_init__(self) -> None:
        self.networks = {name: network(self.runs / name, self.data) for name in NETWORKS}
        size = self.networks["resnet"].size
        assert size is not None
        self.val, self.test = (photos(self.data, split, self.of(n), size) for split, n in (("val", TUNED_ON), ("test", TESTED_ON)))
        words = {name: {"id": i, "patient": p, "label": int(y)} for i, p, y, name in self._everyone()}
        (self.runs / "images.json").write_text(json.dumps({"classes": list(self.networks["resnet"].task.classes), "images": words}))

    def of(self, images: int) -> int:
        return max(8, round(images * self.scale))

    def _everyone(self) -> Iterator[tuple[str, str | None, Any, str]]:
        for n, (i, p, y) in enumerate(zip(self.test.ids, self.test.patients, self.test.y, strict=True)):
            yield i, p, y, str(n)

    def images(self, made: str, whole: Batch, attack: str, eps: float, split: str) -> Images:
        if not attack:
            return whole.x
        return attacked(self.networks[made], whole, attack, eps, self.runs / "attacked" / f"{split}-{made}-{attack}-{eps:g}.npy")

    def ask(self, stage: str, purifier: str, settings: Words | None, made: str, attack: str, eps: float, judges: Sequence[str] = ()) -> str:
        """What the first judge says (left out: the network that the images were made on), from the file or made now for all judges."""
        judges = judges or (made,)
        about: Words = {"stage": stage, "purifier": purifier, "settings": settings, "made": made, "attack": attack, "eps": eps}
        keys = [Rows.key({**about, "judge": judge}) for judge in judges]
        if not all(key in self.rows.found for key in keys):
            whole = self.val if stage == "tune" else self.test
            x = self.images(made, whole, attack, eps, "val" if stage == "tune" else "test")
            if stage == "ablate":
                whole = whole.only(torch.arange(min(self.of(ABLATED_ON), len(whole.ids))))
            told = right({judge: self.networks[judge] for judge in judges}, settings, x[: len(whole.ids)], whole)
            for judge in judges:
                self.rows.keep({**about, "judge": judge, "right": told[judge]})
        return str(self.rows.found[keys[0]]["right"])

    def tune(self, name: str) -> Words:
        """The settings of a grid that the rule picks."""

        def score(settings: Words) -> float:
            asked = (("", 0.0), ("pgd", float(TUNED_AT)))
            return sum(share(self.ask("tune", name, settings, "resnet", a, e)) for a, e in asked) / 2

        return max(GRIDS[name], key=score)

    def everywhere(self, purifier: str, settings: Words | None) -> None:
        """Clean and attacked, made on each network and judged by both; C&W on the ResNet only."""
        self.ask("test", purifier, settings, "resnet", "", 0.0, NETWORKS)
        for made in NETWORKS:
            for attack, budgets in BUDGETS.items():
                for eps in budgets if made == "resnet" or attack != "cw" else ():
                    self.ask("test", purifier, settings, made, attack, float(eps), NETWORKS)

    def price(self, purifier: str, settings: Words) -> None:
        """Milliseconds and memory for an image, at the size of the networks and at 224 pixels; in a process of its own."""
        about: Words = {"stage": "price", "purifier": purifier, "settings": settings, "made": "", "judge": "", "attack": "", "eps": 0.0}
        if Rows.key(about) not in self.rows.found:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                self.rows.keep(
                    {**about, "price": [pool.submit(priced, settings, *size).result() for size in ((16, 48, 64), (4, 224, 224))]}
                )


def priced(settings: Words, images: int, height: int, width: int) -> tuple[float, float]:
    """Milliseconds of one core for an image, and by how many MiB the process grew at its largest."""
    torch.set_num_threads(1)
    method, x = PURIFIERS.parse(settings), torch.rand(images, 3, height, width)
    draws = Draws(0, tuple(map(str, range(images))))
    method(x[:1], draws.take([0]))  # what is compiled or imported once is no part of the price
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    for _ in range(3):
        method(x, draws)
    took = (time.process_time() - began) / 3 / images
    return took * 1000, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def run(made: Comparison, only: Sequence[str]) -> None:
    made.everywhere("none", None)
    chosen = {}
    for name in only or GRIDS:
        chosen[name] = made.tune(name)
        print(f"{name}: {chosen[name]}", flush=True)
    (made.runs / "tuned.json").write_text(json.dumps(chosen, indent=1))
    for name, settings in chosen.items():
        made.price(name, settings)
        made.everywhere(name, settings)
        clean, own = (share(made.ask("test", name, settings, "resnet", a, e)) for a, e in (("", 0.0), ("pgd", 4.0)))
        print(f"{name}: clean {clean:.3f}, PGD 4/255 {own:.3f}", flush=True)
    if "mdda" in chosen:
        for _, _, settings in ablations(chosen["mdda"]):
            for attack, eps in (("", 0.0), ("pgd", 2.0), ("pgd", 8.0)):
                made.ask("ablate", "mdda", settings, "resnet", attack, eps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], help="purifiers; all where it is left out")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the images; below 1 only to try the command")
    args = parser.parse_args()
    run(Comparison(args.runs, args.data, Rows(args.runs / "rows.jsonl"), args.scale), args.only)


if __name__ == "__main__":
    main()
