"""Runs made up by hand: a store, run.json, pictures and results.json, as an audit would leave them, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from robustdx.records import Cell, table
from robustdx.store import Store

SKIN = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
SHARES = (0.033, 0.051, 0.11, 0.011, 0.111, 0.67, 0.014)
BUDGETS = tuple(e / 255 for e in (0.25, 0.5, 1, 2, 4, 8))
METRICS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "recall", "f1")
RANKINGS = ("auroc_macro", "auroc_micro", "average_precision")
SETTINGS: dict[str, dict[str, Any]] = {
    "fgsm": {"name": "fgsm"},
    "pgd": {"name": "pgd", "steps": 40, "restarts": 1, "random_start": True, "early_stop": False, "keep": "worst"},
}
STRENGTH = {"fgsm": 2.2, "pgd": 1.0}
"""By how much an attack's budget must exceed the best attack's to break an image."""


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
    pictures: bool = True,
    early_stop: bool = False,
    flags: tuple[dict[str, str], ...] = (),
    model: str = "ResNet-18",
    cut_groups: int = 0,
    point: str = "val",
) -> Path:
    """A finished run in `folder`. `holds` is the Linf budget that half of the rightly answered images survive."""
    rng = np.random.default_rng(7)
    budgets = budgets if budgets is not None else {"linf": BUDGETS}
    truth = rng.choice(len(classes), images, p=np.array(shares) / sum(shares))
    patients = [f"HAM_{n:07d}" for n in np.sort(rng.integers(0, int(images * 0.75), images))] if grouped else [None] * images
    right = rng.random(images) < np.where(truth == truth.max(), 0.66, 0.8)
    breaks = holds * np.exp(0.7 * rng.standard_normal(images))
    cells = [("clean", "", 0.0)] + [(a, t, e) for t, every in budgets.items() for e in every for a in attacks]
    store = Store.open(folder, {"attacks": list(attacks)})
    data = {"source": "ham10000:PATH", "name": "HAM10000", "kind": kind, "classes": list(classes), "split": "test", "images": images}
    data |= {"patients": len(set(patients)) if grouped else None, "grouped": grouped, "cut_groups": cut_groups}
    about = {
        "source": "resnet18.safetensors",
        "weights": "runs/resnet18/model.safetensors",
        "sha256": "9f2c" * 16,
        "parameters": 11_180_103,
    }
    about |= {"size": [150, 200], "classes": list(classes), "name": model}
    results: list[dict[str, Any]] = []
    for attack, threat, eps in cells:
        stands = right & (breaks * STRENGTH.get(attack, 1.0) * (1 if threat != "l2" else 400) > eps)
        cell = _cell(attack, threat, eps, early_stop)
        _keep(store, cell, truth, stands, patients, kind, classes)
        results.append(_result(cell, stands, right, truth, classes, patients, early_stop, kind))
        if pictures and attack == "pgd" and cell.verdict == "saved":
            _pictures(folder / "pictures" / cell.key, rng, np.flatnonzero(right & ~stands)[:4], truth, classes, eps, kind)
    results += _worst(results, attacks)
    run = {
        "robustdx": "0.1.0",
        "command": "robustdx audit --model resnet18 --data ham10000:PATH --out runs/ham",
        "model": about,
        "data": data,
        "seed": 0,
    }
    run |= {"plan": {}, "precision": "bfloat16", "bootstrap": 1000, "versions": {"python": "3.11.9", "torch": "2.11.0", "timm": "1.0.20"}}
    whole = {"schema": 1, "robustdx": "0.1.0", "model": about, "data": data, "plan": {}, "cells": results, "flags": list(flags)}
    whole["operating_point"] = {"threshold": 0.5, "from": point, "images": 210 if point == "val" else 0}
    store.write_text("run.json", json.dumps(run))
    store.write_text("results.json", json.dumps(whole, allow_nan=False))
    store.write_text("manifest.json", "{}")
    return folder


def _cell(attack: str, threat: str, eps: float, early_stop: bool) -> Cell:
    saved = "saved" if not threat or eps * 255 >= 1 - 1e-9 else "searched"
    return Cell(attack, threat, eps, "test", SETTINGS.get(attack, {}), early_stop and attack != "clean", saved)


def _keep(store: Store, cell: Cell, truth: Any, stands: Any, patients: list[Any], kind: str, classes: tuple[str, ...]) -> None:
    rows = []
    for n, (y, ok) in enumerate(zip(truth, stands, strict=True)):
        answer = int(y) if ok else int((y + 1) % len(classes))
        label = [float(k == y) for k in range(len(classes))] if kind == "multilabel" else [float(y)]
        decision = [int(k == answer) for k in range(len(classes))] if kind == "multilabel" else [answer]
        row = {"id": f"ISIC_{24000 + n:07d}", "patient": patients[n], "label": label, "forwards": 41, "backwards": 40}
        forms = {f"{form}_decision": decision for form in ("clean", "searched", "saved")}
        rows.append({**row, **forms, "searched_distance": cell.eps, "saved_distance": cell.eps})
    store.add_part(cell, 0, table(rows), 12.5)
    store.finish(cell, 1)


def _result(
    cell: Cell, stands: Any, right: Any, truth: Any, classes: tuple[str, ...], patients: list[Any], early_stop: bool, kind: str
) -> dict[str, Any]:
    rates = [float(stands[truth == k].mean()) if (truth == k).any() else None for k in range(len(classes))]
    balanced = float(np.mean([r for r in rates if r is not None]))
    values = dict.fromkeys(METRICS, balanced) | {"accuracy": float(stands.mean()), "f1": 0.97 * balanced, "specificity": 0.5 + balanced / 2}
    omitted = {}
    if early_stop and cell.attack != "clean":
        omitted = dict.fromkeys(RANKINGS, "the search ended at the first success, so scores say nothing about ranking")
    else:
        values |= {m: float(np.clip(0.3 + 0.65 * balanced, 0, 1)) for m in RANKINGS}
    if cell.attack != "clean":
        values |= {
            "broken": float((right & ~stands).sum() / right.sum()),
            "fooling_rate": float(np.clip(1.05 * (right & ~stands).mean(), 0, 1)),
        }
    sizes = {f"accuracy:{c}": int((truth == k).sum()) for k, c in enumerate(classes)}
    values |= {f"accuracy:{c}": r for c, r in zip(classes, rates, strict=True) if r is not None}
    metrics = {m: _interval(v, sizes.get(m, len(truth))) for m, v in values.items()}
    known = {
        "attack": cell.attack,
        "threat": cell.threat,
        "eps": cell.eps,
        "split": "test",
        "images": len(truth),
        "settings": dict(cell.settings),
    }
    known |= {
        "patients": len(set(patients)) if patients[0] else None,
        "early_stop": cell.early_stop,
        "verdict": cell.verdict,
        "seconds": 12.5,
    }
    return known | {
        "passes": 81 * len(truth),
        "forwards": 41 * len(truth),
        "backwards": 40 * len(truth),
        "metrics": metrics,
        "searched": {},
        "omitted": omitted,
    }


def _interval(value: float, n: int) -> dict[str, float]:
    """Wilson's interval: near enough to what a bootstrap gives."""
    z, middle = 1.96, (value + 1.96**2 / (2 * n)) / (1 + 1.96**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    return {"value": value, "low": max(0.0, float(middle - half)), "high": min(1.0, float(middle + half))}


def _worst(results: list[dict[str, Any]], attacks: tuple[str, ...]) -> list[dict[str, Any]]:
    found = []
    for cell in (c for c in results if attacks and c["attack"] == attacks[-1]):
        metrics = {m: v for m, v in cell["metrics"].items() if m not in RANKINGS}
        reason = dict.fromkeys(RANKINGS, "a ranking needs the scores of one attack: see each attack")
        found.append(cell | {"attack": "worst", "settings": {}, "metrics": metrics, "omitted": reason, "seconds": None})
    return found


def _pictures(folder: Path, rng: Any, which: Any, truth: Any, classes: tuple[str, ...], eps: float, kind: str) -> None:
    folder.mkdir(parents=True)
    index = []
    for n, i in enumerate(which):
        clean = lesion(rng)
        noise = (
            np.asarray(Image.fromarray(rng.integers(0, 255, clean.shape, dtype=np.uint8)).filter(ImageFilter.GaussianBlur(2))).astype(float)
            - 127.5
        )
        saved = np.clip(clean + np.sign(noise) * max(1, round(eps * 255)), 0, 255).astype(np.uint8)
        Image.fromarray(clean).save(folder / f"{n:02d}-clean.png")
        Image.fromarray(saved).save(folder / f"{n:02d}-saved.png")
        label, after = int(truth[i]), int((truth[i] + 1) % len(classes))
        wide = lambda k: [int(j == k) for j in range(len(classes))] if kind == "multilabel" else k  # noqa: E731
        row = {"id": f"ISIC_{24000 + i:07d}", "label": wide(label), "before": wide(label), "after": wide(after)}
        index.append(row | {"distance": eps, "p_before": 0.91, "p_after": 0.88})
    (folder / "index.json").write_text(json.dumps(index))


def lesion(rng: Any, size: tuple[int, int] = (150, 200)) -> Any:
    """A brown blot on skin."""
    y, x = np.mgrid[: size[0], : size[1]]
    angle = np.arctan2(y - 75, x - 100)
    radius = 42 + 6 * np.sin(3 * angle + rng.uniform(0, 6)) + 3 * np.sin(7 * angle)
    inside = 1 / (1 + np.exp((np.hypot(y - 75, x - 100) - radius) / 3))[..., None]
    skin, brown = np.array([222, 170, 150.0]), np.array([110, 62, 48.0]) + rng.uniform(-15, 15)
    grain = rng.normal(0, 5, (*size, 1))
    return np.clip(skin * (1 - inside) + brown * inside + grain, 0, 255).astype(np.uint8)
