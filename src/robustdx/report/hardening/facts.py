"""The sentences of the cards, made from what a training left. They claim no more than was measured. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robustdx.report.findings import Findings
from robustdx.report.hardening.hardened import Hardened, Record
from robustdx.report.numbers import TIMES, count, duration, eps_text, joined, percent, plural, shown, threat_name

WITHOUT_ADVERSARY = ("standard", "noisy", "focal")
"""Objectives that meet no adversary: the budget of the plan says nothing about them."""
SLACK = 0.02
"""So little above guessing is nothing."""


def name(h: Hardened) -> str:
    """What to call the network."""
    return Path(str(h.model["source"]).rpartition(":")[2]).name


def headline(h: Hardened) -> str:
    """The model in one sentence."""
    key = "balanced_accuracy" if "balanced_accuracy" in h.chosen else "accuracy"
    clean, robust = h.chosen.get(key), h.chosen.get(f"robust_{key}")
    what = f"{name(h)} {purpose(h)}"
    if clean is None:
        return f"{what}."
    start = f"{what}. On the validation images its {key.replace('_', ' ')} is {percent(clean)}"
    weak = " That is hardly better than guessing: do not use it." if key == "balanced_accuracy" and clean < h.chance + SLACK else ""
    if robust is None:
        return f"{start}; no attack was tried while it was trained.{weak}"
    return f"{start}, and {percent(robust)} under {told(h.plan['judge'])} at {_eps(h)}.{weak}"


def purpose(h: Hardened) -> str:
    """What it does."""
    if h.data["kind"] == "multilabel":
        return f"looks for {plural(len(h.classes), 'finding')} ({joined(h.classes)})"
    if h.data["kind"] == "ordinal":
        return f"grades images from {h.classes[0]} to {h.classes[-1]} ({plural(len(h.classes), 'grade')})"
    return f"tells {joined(h.classes)} apart"


def trained(h: Hardened) -> str:
    """The images it learned from."""
    own, rest = h.data["splits"]["train"], h.data["splits"]["val"]
    groups = f" of {count(own['groups'])} {h.data['groups']}" if own["groups"] is not None else ""
    said = f"{plural(own['images'], 'training image')}{groups} of {h.data['name']}; "
    said += f"{plural(rest['images'], 'validation image')} chose the epoch."
    cut = h.data["cut_groups"]
    warned = f" {count(cut)} {h.data['groups']} lie in more than one split, so that all numbers here are too good." if cut else ""
    return said + warned


def origin(h: Hardened) -> list[str]:
    """Where the weights began, and through which stages they went."""
    start = h.plan.get("start")
    begun = (
        f"Training started from {start} (SHA-256 {h.plan.get('start_sha256', 'not known')})."
        if start
        else "Training started from random weights."
    )
    stages = [_stage(h, n, s) for n, s in enumerate(h.plan["stages"], start=1)]
    if not h.plan.get("seconds"):
        return [begun, *stages]
    return [
        begun,
        *stages,
        f"Its time was limited to {duration(h.plan['seconds'])}: {plural(len(h.epochs), 'epoch')} were run, as the curve shows.",
    ]


def adversary(h: Hardened) -> list[str]:
    """What the adversary of the training may do."""
    if set(h.objectives) <= set(WITHOUT_ADVERSARY):
        return [f"None ({joined(h.objectives)}): no adversary took part in the training, so expect it to fall to any attack."]
    eps = eps_text(h.plan["threat"], h.plan["eps"])
    linf = f"Every pixel may change by at most {eps} (L∞)"
    said = linf if h.plan["threat"] == "linf" else f"The whole change may have a Euclidean length (L2) of at most {eps}"
    return [f"{said}, with pixels from 0 to 1; nothing is promised beyond it, nor against other changes of an image."]


def chosen(h: Hardened) -> str:
    """How the epoch was chosen."""
    words = h.criterion.removeprefix("robust_").replace("_", " ")
    attacked = f" under {told(h.plan['judge'])} at {_eps(h)}" if h.plan.get("judge") else ""
    average = (
        f" What is judged and kept is the moving average of the weights (EMA, {h.plan['average']:g})." if h.plan.get("average") else ""
    )
    return (
        f"After every epoch the validation images were judged; the epoch with the best {words}{attacked} was kept: "
        f"epoch {h.chosen['epoch']} of {len(h.epochs)}, among those of the last stage.{average}"
    )


def limits(h: Hardened) -> list[str]:
    """What nobody should read into the card."""
    weak = "The attack that chose the epoch is short" if h.plan.get("judge") else "No attack chose the epoch"
    said = [
        f"{weak}: the true robustness is lower than any number here. Only an audit that escalates says how much can be believed.",
        "Changes of other kinds (other threats, larger budgets, noise, blur, another camera) were not trained against.",
        "Validation images come from the same source as the training images; how it does elsewhere is not known.",
    ]
    if (least := _rarest(h)) is not None:
        what, n = least
        said.append(f"{what} has {plural(n, 'validation image')}: what is said of it rests on few.")
    if not h.data["grouped"]:
        said.append("The data name no patients: if one has several images, validation numbers are too good.")
    return said


def made(h: Hardened) -> list[tuple[str, str]]:
    """How it was made, as name and value."""
    versions = {"robustdx": h.manifest.get("robustdx"), **h.run.get("versions", {})}
    digests = h.manifest.get("sha256", {})
    found = {
        "Command": h.run.get("command"),
        "Seed": h.plan.get("seed"),
        "Precision": h.plan.get("precision"),
        "Device": h.run.get("device"),
        "Time": duration(sum(h.seconds)) if h.seconds else None,
        "Parameters": count(h.model["parameters"]),
        "Input": f" {TIMES} ".join(map(str, h.model["size"])) + " pixels, height by width",
        "Versions": ", ".join(f"{k} {v}" for k, v in versions.items() if v),
        "Images and labels, key": h.plan.get("images_key"),
        **{f"{file}, SHA-256": digest for file, digest in digests.items()},
    }
    return [(k, str(v)) for k, v in found.items() if v is not None]


def of_data(h: Hardened) -> list[tuple[str, str]]:
    """The data as name and value."""
    d = h.data
    found = {
        "Source": d["source"],
        "Kind": d["kind"],
        "Findings" if d["kind"] == "multilabel" else "Classes": ", ".join(h.classes),
        str(d["groups"]).capitalize(): _patients(d),
        "Split": d["how_split"],
        "Licence": d["licence"],
    }
    return [(k, str(v)) for k, v in found.items()]


def left_out(h: Hardened) -> list[str]:
    """What of the data the training did not use."""
    said = [
        f"{split}: {plural(s['images'], 'image')} listed and counted above, but never opened."
        for split, s in h.data["splits"].items()
        if split not in ("train", "val")
    ]
    blank = sum(s["not_annotated"] for split, s in h.data["splits"].items() if split in ("train", "val"))
    if blank:
        said.append(f"{plural(blank, 'label')} that were not annotated: the finding counts neither as present nor as absent there.")
    return [*said, "Of train and val nothing was left out."]


def attacks_of(f: Findings) -> str:
    """What an audit tried, in short."""
    tried = joined([f.named(a) for a in f.attacks])
    doubted = "" if f.results.get("escalation", {}).get("verdict") == "established" else "; a first look, too weak to call a network robust"
    return f"{tried} at {joined([budget(t, e) for t in f.threats for e in f.eps(t)])}{doubted}"


def budget(threat: str, eps: float) -> str:
    """A budget as people write it."""
    return f"{threat_name(threat)} {eps_text(threat, eps)}"


def told(words: Mapping[str, Any] | str) -> str:
    """A method with its settings."""
    if isinstance(words, str):
        return words
    settings = ", ".join(f"{k} {shown(v)}" for k, v in words.items() if k != "name")
    return f"{words['name']}{f' ({settings})' if settings else ''}"


def _eps(h: Hardened) -> str:
    return budget(h.plan["threat"], h.plan["eps"])


def _stage(h: Hardened, n: int, stage: Record) -> str:
    size = stage.get("size") or h.model["size"]
    pixels = f" {TIMES} ".join(map(str, size if isinstance(size, Sequence) else (size, size)))
    objective = told(stage.get("objective") or h.plan["objective"])
    return f"Stage {n}: {plural(stage['epochs'], 'epoch')} of {objective}, images of {pixels} pixels."


def _rarest(h: Hardened) -> tuple[str, int] | None:
    """The class with the fewest validation images, where these are few."""
    labels = h.data["splits"]["val"]["labels"]
    least = min(labels, key=lambda c: labels[c])
    return (least, labels[least]) if labels[least] < 20 else None


def _patients(d: Mapping[str, Any]) -> str:
    if not d["grouped"]:
        return "not named"
    cut = f"; {count(d['cut_groups'])} of them lie in more than one split" if d["cut_groups"] else "; none lies in two splits"
    return count(sum(s["groups"] for s in d["splits"].values()) - (d["cut_groups"] or 0)) + cut
