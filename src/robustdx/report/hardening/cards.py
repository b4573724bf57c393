"""README.md and data_card.md of a training, in the form that Hugging Face reads. No torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from robustdx.report.before import METRICS, caption, comparison, rows
from robustdx.report.findings import estimate, read
from robustdx.report.hardening import facts
from robustdx.report.hardening.curve import picture, said, table
from robustdx.report.hardening.hardened import AUDIT, CARD, Hardened
from robustdx.report.hardening.hardened import read as read_folder
from robustdx.report.numbers import NBSP, percent, plural, shown, with_interval
from robustdx.store import Store

NUMBERS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}
CHOICES = "recipe.json"
"""Where a recipe tells what it chose and why: {"choices": [{"what": ..., "chosen": ..., "because": ...}]}."""


def write_cards(folder: Path) -> Path:
    """Write curve.png, curve.csv, data_card.md and, last, README.md into the folder of a training, from what lies there alone.

    Raises:
        RunError: the training is not finished, or the disk refuses.
    """
    store, h = Store(Path(folder)), read_folder(folder)
    store.write_bytes("curve.png", picture(h))
    store.write_text("curve.csv", table(h))
    store.write_text("data_card.md", data_card(h))
    store.write_text(CARD, model_card(h))
    return store.path / CARD


def model_card(h: Hardened) -> str:
    """README.md."""
    source = str(h.model["source"])
    return _template("model_card").render(
        h=h,
        name=facts.name(h),
        headline=facts.headline(h),
        start=h.plan.get("start"),
        tags=_tags(h),
        index=list(_index(h)),
        purpose=facts.purpose(h),
        trained=facts.trained(h),
        origin=facts.origin(h),
        threat=facts.adversary(h),
        chosen=facts.chosen(h),
        numbers=list(_numbers(h)),
        chance=percent(h.chance),
        audit=_audited(h),
        choices=_choices(h),
        events=[f"Epoch {e['epoch']}, {said(e)}." for e in h.events],
        limits=facts.limits(h),
        channels=len(h.model["mean"]),
        size=h.model["size"],
        timm=source.removeprefix("timm:") if source.startswith("timm:") else "",
        made=facts.made(h),
    )


def data_card(h: Hardened) -> str:
    """data_card.md."""
    splits = h.data["splits"]
    counted = [[name, *(f"{s['labels'][name]:,}" for s in splits.values())] for name in h.classes]
    wholes = [["images", *(f"{s['images']:,}" for s in splits.values())]]
    if h.data["grouped"]:
        wholes.append([h.data["groups"], *(f"{s['groups']:,}" for s in splits.values())])
    return _template("data_card").render(
        h=h, facts=facts.of_data(h), splits=list(splits), rows=counted + wholes, left_out=facts.left_out(h)
    )


def _numbers(h: Hardened) -> Iterator[tuple[str, str, str]]:
    """The chosen epoch in numbers, clean and attacked."""
    for key, name in NUMBERS.items():
        clean, robust = (percent(value) if (value := h.chosen.get(k)) is not None else "not judged" for k in (key, f"robust_{key}"))
        yield name, clean, robust


def _index(h: Hardened) -> Iterator[dict[str, Any]]:
    for key, name in NUMBERS.items():
        for prefix, what in (("", "not attacked"), ("robust_", "under the attack that chose the epoch")):
            if (value := h.chosen.get(prefix + key)) is not None:
                yield {"type": key, "name": f"{name}, {what}", "value": value}


def _tags(h: Hardened) -> list[str]:
    library = str(h.model["source"]).partition(":")[0]
    known = [library] if library in ("timm", "torchvision") else []
    return ["image-classification", "medical-imaging", "adversarial-robustness", *known, *h.objectives]


def _audited(h: Hardened) -> dict[str, Any] | None:
    """The quick audit at the end, before and after where there is a network to compare with."""
    folder = h.folder / AUDIT
    if not (folder / "results.json").is_file():
        return None
    f = read(folder)
    compared = comparison(folder, f)
    told = [f"{plural(f.clean['images'], 'validation image' if f.split == 'val' else f'{f.split} image')}, {facts.attacks_of(f)}."]
    if compared and compared.changes:
        heads = ["", "before", "after", "difference", "p"]
        named = [
            (f"{metric.lower()}, {budget}", words)
            for budget, each in rows(compared)
            for metric, words in zip(METRICS.values(), each, strict=True)
        ]
        lines = [[name, *_side_by_side(words)] for name, words in named]
        return {"told": [*told, f"Before: {compared.about}."], "heads": heads, "rows": lines, "caption": caption(compared)}
    cells = [("not attacked", f.clean), *((facts.budget(t, e), c) for t in f.threats for e, c in f.curve(t))]
    lines = [[where, *(with_interval(e) if (e := estimate(cell, m)) else "" for m in METRICS)] for where, cell in cells]
    why = [f"{compared.about[:1].upper()}{compared.about[1:]}."] if compared else []
    return {"told": [*told, *why], "heads": ["", *METRICS.values()], "rows": lines, "caption": f"In brackets: 95{NBSP}% intervals."}


def _side_by_side(words: tuple[str, ...]) -> tuple[str, ...]:
    """Before, after, the difference with its interval, p."""
    if len(set(words)) == 1:
        return words[:4]
    before, after, points, ends, p = words
    return before, after, f"{points} ({ends})", p


def _choices(h: Hardened) -> list[str]:
    path = h.folder / CHOICES
    if not path.is_file():
        return []
    choices = json.loads(path.read_text(encoding="utf-8")).get("choices", [])
    return [f"{c['what']}: {c['chosen']}, because {c['why']}{_evidence(c['evidence'])}" for c in choices]


def _evidence(found: Mapping[str, Any]) -> str:
    """The numbers that a choice rests on, in brackets."""
    told = [f"{name.replace('_', ' ')}: {_evidence(v).strip(' ()') if isinstance(v, Mapping) else shown(v)}" for name, v in found.items()]
    return f" ({'; '.join(told)})" if told else ""


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("robustdx.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters.update(md=markdown, yaml=lambda value: json.dumps(value, ensure_ascii=False))  # JSON is YAML
    return made


def _template(name: str) -> Any:
    return _environment().get_template(f"{name}.md.j2")


def markdown(text: object) -> str:
    """Text that Markdown shows as it is: what a folder or a class is called sets no table, link or HTML."""
    return re.sub(r"([\\|<>*`\[\]])", r"\\\1", " ".join(str(text).split(" ")).replace("\n", " "))
