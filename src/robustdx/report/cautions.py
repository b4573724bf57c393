"""What a reader must know before believing a run: warnings, each with what it means and what to do, and the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from robustdx.report.doubt import doubted
from robustdx.report.findings import FEW_STEPS, UNSEEN, Findings, estimate
from robustdx.report.numbers import THREATS, joined, plural, threat_name
from robustdx.report.words import groups, size

BLACK_BOX = frozenset({"square", "simba", "nes", "hopskipjump", "boundary", "random"})
ENSEMBLES = frozenset({"cascade"})
FEW_IMAGES = 200
"""Fewer images than this make a quick look: intervals of several points."""


@dataclass(frozen=True)
class Caution:
    """A reason to read the numbers with care."""

    title: str
    means: str
    do: str = ""


def cautions(f: Findings) -> list[Caution]:
    """The flags of the evaluation itself, then what the report sees: the gravest first."""
    own = [_flag(flag) for flag in f.results.get("flags", [])]
    return [*_doubt(f), *_cut_groups(f), *own, *_weak_attack(f), *_one_budget(f), *_no_patients(f), *_few_images(f), *_default_point(f)]


def limits(f: Findings) -> list[str]:
    """What was not tested, so that nobody reads it into the numbers."""
    tried = f"Tried: {joined([a.upper() for a in f.attacks])}. " if f.attacks else "No attack was tried. "
    asked, adapted = bool(f.methods & BLACK_BOX) or doubted(f), doubted(f)
    missing = [*([] if asked else ["attacks without gradients"]), *([] if f.methods & ENSEMBLES else ["ensembles such as AutoAttack"])]
    missing += [] if adapted else ["attacks adapted to a defence"]
    untried = joined([*(threat_name(t) for t in THREATS if t not in f.threats), "patches", "changes of a few pixels"])
    return [
        (tried + (f"Missing: {joined(missing)}." if missing else "")).strip()
        + ("" if asked else " A model that hides its gradient can look stronger here than it is."),
        f"Other kinds of change were not tried: {untried}.",
        "Changes that happen without an adversary (blur, light, noise, hair, another camera or scanner) were not tested.",
        f"All images come from one data set ({f.data.get('name', 'unnamed')}). "
        "Other hospitals, devices and patients may give other numbers, clean and under attack.",
        "The labels of the data set count as the truth; a wrong label counts as an error of the model, or hides one.",
        "This is a measurement, not a certificate: it shows how far the model could be fooled, never that it cannot be fooled further.",
    ]


def _doubt(f: Findings) -> Iterator[Caution]:
    found = f.results.get("escalation", {})
    if found.get("verdict") == "not established":
        yield Caution(
            "The robust accuracy is not established",
            f"{found['why']} What stands may stand only because the attacks failed.",
            "Read “Can this be believed?” below, and do not rely on any number under attack as a lower bound.",
        )
    if found.get("verdict") == "not questioned" and f.attacks:
        yield Caution(
            "The attacks were believed as they are",
            f"{found['why']} Nobody looked whether the gradient tells the truth, or whether another adversary finds more.",
            "Repeat the audit with budgets of 1/255 or more, and without --no-escalation.",
        )


def _flag(flag: Mapping[str, str]) -> Caution:
    return Caution(flag["title"], flag["means"], flag["do"])


def _cut_groups(f: Findings) -> Iterator[Caution]:
    if n := f.data.get("cut_groups"):
        each = groups(f) if n > 1 else groups(f).removesuffix("s")
        yield Caution(
            f"{n} {each} {'have' if n > 1 else 'has'} images in more than one split",
            "The model may have been trained on other images of what it is tested on here, so every number can be too good.",
            f"Split the data by {groups(f).removesuffix('s')}, train again, and repeat the audit.",
        )


def _weak_attack(f: Findings) -> Iterator[Caution]:
    if f.attacks and f.weak:
        yield Caution(
            f"The strongest attack took fewer than {FEW_STEPS} steps",
            "Weak attacks miss most adversarial images, and a model trained against them can look robust without being so.",
            "Repeat with pgd, 40 steps or more, before drawing any conclusion about robustness.",
        )


def _one_budget(f: Findings) -> Iterator[Caution]:
    for threat in f.threats:
        if len(f.eps(threat)) == 1:
            yield Caution(
                f"Only one budget was tried: {size(threat, f.eps(threat)[0])}",
                "One budget cannot show where the model gives way.",
                "Repeat with several budgets, from a quarter of a grey level to 8/255.",
            )
    if f.threats == ["linf"] and f.unseen is None:
        yield Caution(
            f"Every budget was larger than {size('linf', UNSEEN)}",
            "A careful reader may notice such changes; nothing is known about smaller ones.",
            "Repeat with budgets of 0.25 to 2 grey levels as well.",
        )


def _no_patients(f: Findings) -> Iterator[Caution]:
    if not f.clean.get("patients"):
        yield Caution(
            "The data names no patients",
            "If some patients have several images, the intervals are too narrow, and the same patient may stand in training and test.",
            "Name the patient of each image (folder: patient=PATTERN, csv: a column patient) and repeat.",
        )


def _few_images(f: Findings) -> Iterator[Caution]:
    n = f.clean.get("images", 0)
    if 0 < n < FEW_IMAGES:
        yield Caution(
            f"Only {plural(n, 'image')}: a quick look",
            "The intervals are wide, and rare classes may hardly occur.",
            "Repeat with more images before deciding anything.",
        )


def _default_point(f: Findings) -> Iterator[Caution]:
    point = f.results.get("operating_point") or {}
    if str(point.get("from", "")).startswith("default") and estimate(f.clean, "sensitivity"):
        yield Caution(
            "Sensitivity and specificity stand at a threshold nobody chose",
            "There were no validation images to fix the threshold on, so it is 0.5, which is rarely the one used in a clinic.",
            "Give a validation split, or read AUROC, which needs no threshold.",
        )
