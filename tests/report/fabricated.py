"""Runs made up by hand: records, run.json and pictures as an audit would leave them, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from robustdx.auditing.summary import write_results
from robustdx.records import Cell, table
from robustdx.store import Store

SKIN = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
SHARES = (0.033, 0.051, 0.11, 0.011, 0.111, 0.67, 0.014)
LUNG = ("Atelectasis", "Cardiomegaly", "Consolidation", "Effusion", "Emphysema", "Infiltration")
BUDGETS = tuple(e / 255 for e in (0.25, 0.5, 1, 2, 4, 8))
SETTINGS: dict[str, dict[str, Any]] = {
    "fgsm": {"name": "fgsm"},
    "pgd": {"name": "pgd", "steps": 40, "restarts": 1, "random_start": True, "keep": "worst"},
}
STRENGTH = {"fgsm": 2.2, "pgd": 1.0}
"""How much more budget an attack needs to break an image than the best one."""
L2_PER_LINF = 400.0
SIZE = (150, 200)
SLOPE = {"passes": True, "zero": 0.0, "true": 1.0, "steady": 1.0, "useful": 1.0, "largest": 0.4, "agree": 1.0, "sound": True}
PROBES = {"images": 16, "repeats": True, "drawn": False, "alone": True, "forgets": True, "flat": 0.0, "slopes": {"as it is": SLOPE}}
TRIAL = {"eps": 8 / 255, "standing": 3, "beyond": 0, "larger": [[32 / 255, 0, 3]], "probes": PROBES, "steps": []}
"""A trial in which nothing was amiss."""


def make_run(
    folder: Path,
    *,
    kind: str = "multiclass",
    classes: tuple[str, ...] = SKIN,
    shares: tuple[float, ...] = SHARES,
    images: int = 320,
    attacks: tuple[str, ...] = ("fgsm", "pgd"),
    budgets: dict[str, tuple[float, ...]] | None = None,
    holds: float = 0.35 / 255,
    grouped: bool = True,
    accuracy: float = 0.8,
    early_stop: bool = False,
    cut_groups: int = 0,
    groups: str = "lesions",
    model: str = "ResNet-18",
    data: str = "HAM10000",
    source: str = "ham10000:PATH",
    validation: bool = True,
) -> Path:
    """A finished run in `folder`. `holds` is the Linf budget that half of the rightly answered images survive."""
    rng = np.random.default_rng(7)
    store = Store.open(folder, {"attacks": list(attacks)})
    people = _People(rng, kind, classes, shares, images, grouped, holds, accuracy)
    about = {"name": model, "source": "resnet18.safetensors", "weights": "model.safetensors", "sha256": "9f2c" * 16}
    about |= {"parameters": 11_180_103, "size": list(SIZE), "classes": list(classes)}
    described = {"source": source, "name": data, "kind": kind, "classes": list(classes), "split": "test", "images": images}
    described |= {"patients": people.patients, "grouped": grouped, "groups": groups, "cut_groups": cut_groups}
    run = {"robustdx": "0.1.0", "command": f"robustdx audit --model m --data {source} --out run", "model": about, "data": described}
    run |= {"plan": {}, "precision": "bfloat16", "bootstrap": 100, "seed": 0, "versions": {"python": "3.11.9", "torch": "2.11.0"}}
    store.write_json("run.json", run)
    for split in ["val", "test"] if validation else ["test"]:
        people.keep(store, Cell("clean", "", 0.0, split, {}, False, "saved"))
    for threat, every in ({"linf": BUDGETS} if budgets is None else budgets).items():
        for eps in every:
            verdict = "saved" if threat != "linf" or eps * 255 >= 1 - 1e-9 else "searched"
            for attack in attacks:
                settings = SETTINGS[attack] | ({"early_stop": early_stop} if attack == "pgd" else {})
                cell = Cell(attack, threat, eps, "test", settings, early_stop and attack == "pgd", verdict)
                broken = people.keep(store, cell)
                if attack == "pgd" and verdict == "saved":
                    people.pictures(folder / "pictures" / cell.key, broken[:4], eps)
    store.write_json("escalation.json", TRIAL)
    write_results(store)
    store.finish_run()
    return folder


def edit(folder: Path, **changes: Any) -> Path:
    """Change results.json by hand."""
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


class _People:
    """Images with their labels, and the budget at which each gives way."""

    def __init__(
        self, rng: Any, kind: str, classes: tuple[str, ...], shares: tuple[float, ...], n: int, grouped: bool, holds: float, accuracy: float
    ):
        self.rng, self.kind, self.classes = rng, kind, classes
        self.truth = rng.choice(len(classes), n, p=np.array(shares) / sum(shares))
        self.groups = [f"HAM_{g:07d}" for g in np.sort(rng.integers(0, int(n * 0.75), n))] if grouped else [None] * n
        self.right = rng.random(n) < accuracy
        self.gives_way = holds * np.exp(0.7 * rng.standard_normal(n))

    @property
    def patients(self) -> int | None:
        return len(set(self.groups)) if self.groups[0] else None

    def keep(self, store: Store, cell: Cell) -> Any:
        """Write the records of a cell; says which images it broke."""
        scale = STRENGTH.get(cell.attack, 1.0) * (L2_PER_LINF if cell.threat == "l2" else 1)
        stands = self.right & (self.gives_way * scale > cell.eps)
        rows = [self._row(i, cell, bool(stands[i])) for i in range(len(self.truth))]
        store.add_part(cell, 0, table(rows), 12.5)
        store.finish(cell, 1)
        return np.flatnonzero(self.right & ~stands)

    def _row(self, i: int, cell: Cell, stands: bool) -> dict[str, Any]:
        row = {"id": f"ISIC_{24000 + i:07d}", "patient": self.groups[i], "label": [float(v) for v in self._coded(self.truth[i])]}
        forms = {"clean": bool(self.right[i]), "searched": stands, "saved": bool(self.right[i]) if cell.verdict == "searched" else stands}
        for form, right in forms.items():
            answer = self.truth[i] if right else (self.truth[i] + 1) % len(self.classes)
            row |= {f"{form}_decision": self._coded(answer), f"{form}_scores": self._scores(answer)}
        return row | {"searched_distance": cell.eps, "saved_distance": cell.eps, "forwards": 41, "backwards": 40 if cell.eps else 0}

    def _coded(self, k: int) -> list[int]:
        return [int(j == k) for j in range(len(self.classes))] if self.kind == "multilabel" else [int(k)]

    def _scores(self, k: int) -> list[float]:
        sure = self.rng.uniform(0.6, 0.95)
        return [float(sure if j == k else (1 - sure) / (len(self.classes) - 1)) for j in range(len(self.classes))]

    def pictures(self, folder: Path, which: Any, eps: float) -> None:
        """Keep these images before and after, as an audit would."""
        index = []
        for n, i in enumerate(which):
            folder.mkdir(parents=True, exist_ok=True)
            clean = lesion(np.random.default_rng(i))
            blur = Image.fromarray(self.rng.integers(0, 255, clean.shape, dtype=np.uint8)).filter(ImageFilter.GaussianBlur(2))
            change = np.sign(np.asarray(blur, dtype=float) - 127.5) * (1 if eps > 0.05 else max(1, round(eps * 255)))
            saved = np.clip(clean + change, 0, 255).astype(np.uint8)
            Image.fromarray(clean).save(folder / f"{n:02d}-clean.png")
            Image.fromarray(saved).save(folder / f"{n:02d}-saved.png")
            before, after = int(self.truth[i]), (int(self.truth[i]) + 1) % len(self.classes)
            entry = {"id": f"ISIC_{24000 + i:07d}", "batch": 0, "label": self._coded(before), "distance": eps}
            entry |= {"before": self._coded(before), "after": self._coded(after)}
            index.append(entry | {"p_before": self._scores(before), "p_after": self._scores(after)})
        if index:
            (folder / "index.json").write_text(json.dumps(index))


def lesion(rng: Any) -> Any:
    """A brown blot on skin."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    angle = np.arctan2(y - 75, x - 100)
    radius = 42 + 6 * np.sin(3 * angle + rng.uniform(0, 6)) + 3 * np.sin(7 * angle)
    inside = 1 / (1 + np.exp((np.hypot(y - 75, x - 100) - radius) / 3))[..., None]
    skin, brown = np.array([222, 170, 150.0]), np.array([110, 62, 48.0]) + rng.uniform(-15, 15)
    grain = rng.normal(0, 5, (*SIZE, 1))
    return np.clip(skin * (1 - inside) + brown * inside + grain, 0, 255).astype(np.uint8)
