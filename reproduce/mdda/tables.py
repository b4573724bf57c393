"""The tables of results.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from reproduce.mdda.attacked import METHODS, NEAREST
from reproduce.mdda.compare import ABLATED_ON
from reproduce.mdda.escalate import best_rivals, contenders
from reproduce.mdda.grids import GRIDS, Words, ablations
from reproduce.mdda.measured import Marks, Measured, Who, cells, marks, name_of
from reproduce.verdicts import Question, answered, line, page

HEAD = """# MDDA on real images: what was measured

Made by `reproduce/mdda/run.sh`; every number is measured, none is edited. HAM10000 with the eight classes of ISIC 2019, 48 x 64
pixels, split by lesion, two networks trained from random weights: ResNet-18 (`resnet`) and RegNetX-400MF (`regnet`). {test} test
images of {lesions} lesions: {classes} (whole lesions, no more than about 120 images of a
class, so that nevi are not two thirds). All count, right to begin with or not. Accuracy is over these images, [95 % interval over
lesions]; balanced accuracy, the mean over classes, stands in brackets. Attacked images are judged as saved in 8 bits.

Each purifier was tuned on {val} other images, of {val_lesions} validation lesions: of its grid (`grids.py`) the settings with the
largest mean of clean accuracy and accuracy under PGD at 4/255, made on the bare ResNet. No test image was looked at.

Attacks are made on the bare network: {attacks}.
{nearest} stop where the bare network is just wrong, which nearly any change undoes; the others go on to the end of their budget."""


PRICES = """*of*: how many settings were tried. *ms*, *MiB*: time of one core and growth of the process for an image, of 16 together, at
48 x 64 and at 224 x 224."""


def head(m: Measured) -> str:
    named = m.images["classes"]
    classes = ", ".join(f"{named[c]} {n}" for c, n in sorted(Counter(m.who.labels).items()))
    nearest = " and ".join(name_of(a) for a in NEAREST)
    attacks = "; ".join(f"{name_of(a)} {_settings(words)}".strip() for a, words in METHODS.items())
    counted = {
        "test": len(m.who.labels),
        "lesions": len(set(m.who.patients)),
        "val": m.images["val"],
        "val_lesions": m.images["val_lesions"],
    }
    return HEAD.format(classes=classes, nearest=nearest, attacks=attacks, **counted)


def purifiers(m: Measured) -> str:
    """Settings, clean accuracy and price."""
    lines = _headed(
        "The purifiers as tuned",
        ["purifier", "settings", "of", "validation", "clean, resnet", "clean, regnet", "ms", "MiB", "ms at 224", "MiB at 224"],
    )
    for name in m.names:
        settings = m.settings(name)
        asked = [m.asked(settings, a, e, stage="tune") for a, e in (("", 0), ("pgd", 4))]
        clean = [_cell(m.who, m.of(name, "", 0, judge, judge)) for judge in ("resnet", "regnet")]
        score = f"{np.mean([a.mean() for a in asked]):.3f}"
        lines.append(line([name, _settings(settings or {}), str(len(GRIDS.get(name, "1"))), score, *clean, *_price(m, settings)]))
    return "\n".join([*lines, "", PRICES, ""])


def grey(m: Measured) -> str:
    """What is right behind each purifier, made on a network and judged by the same."""
    shown = [_accuracies(m, made, made, f"Grey box: made on {made}, judged by {made} behind the purifier") for made in ("resnet", "regnet")]
    return "\n".join(shown)


def across(m: Measured) -> str:
    pairs = (("resnet", "regnet"), ("regnet", "resnet"))
    return "\n".join(_accuracies(m, made, judge, f"Across: made on {made}, judged by {judge} behind the purifier") for made, judge in pairs)


def _accuracies(m: Measured, made: str, judge: str, title: str) -> str:
    columns = cells(made)
    lines = _headed(title, ["purifier", "clean", *(f"{name_of(a)} {e}/255" for a, e in columns)])
    for name in m.names:
        found = [m.of(name, "", 0, judge, judge), *(m.of(name, a, e, made, judge) for a, e in columns)]
        lines.append(line([name, *(_short(m.who, marks) for marks in found)]))
    return "\n".join([*lines, ""])


def ablated(m: Measured) -> str:
    """MDDA with one part changed."""
    who = m.who.first(ABLATED_ON)
    lines = _headed(
        f"MDDA with one thing changed (the first {len(who.labels)} of the test images; ResNet)",
        ["changed", "to", "clean", "PGD 2/255", "PGD 8/255"],
    )
    mdda = m.tuned["mdda"]
    asked = (("", 0), ("pgd", 2), ("pgd", 8))
    lines.append(line(["as tuned", "", *(_short(who, m.asked(mdda, a, e)[:ABLATED_ON]) for a, e in asked)]))
    for changed, to, settings in ablations(mdda):
        stage = "test" if changed == "without" else "ablate"
        lines.append(line([changed, to, *(_short(who, m.asked(settings, a, e, stage=stage)[:ABLATED_ON]) for a, e in asked)]))
    return "\n".join([*lines, ""])


def escalated(m: Measured) -> str:
    """What is left once the adversary knows the defence."""
    if not m.escalated:
        return "## Before an adversary who knows the defence\n\nNot run.\n"
    first, second = ([row for row in m.escalated if row["table"] == n] for n in (1, 2))
    who = Who(m.escalated[0]["patients"], m.escalated[0]["labels"])
    counted = f"{len(who.labels)} of the test images, of {len(set(who.patients))} lesions"
    about = f"The audit with all that it does by itself (docs/how-we-doubt.md), on {counted}."
    lines = [*_headed("Before an adversary who knows the defence", COLUMNS, about), *(_left(row) for row in first), ""]
    if second:
        lines += [
            *_headed("The best that can be made of it", COLUMNS, BEST),
            *(_left(row) for row in second),
            "",
            _best([*first, *second]),
            "",
        ]
    done = {row["name"] for row in m.escalated}
    if missing := [c.name for c in contenders(m.tuned, best_rivals(m.tuned, m.rows)) if c.name not in done]:
        lines += [f"Not reached before this page was written: {'; '.join(missing)}.", ""]
    lines += page("MDDA above no defence, and the robust network above both, before the same adversary", answered(_known(m.escalated)))
    return "\n".join(
        [*lines, "### Which step broke how many", "", *_steps(m.escalated), "", "### What the audit doubts", "", *_doubts(m.escalated), ""]
    )


COLUMNS = ["network and defence", "settings", "clean", "left at 2/255", "left at 8/255", "verdict", "minutes"]
BEST = (
    "Other settings, a chain, and a network that was trained against 2/255 (`robust.toml`) behind it; the same images, the same adversary."
)


def _left(row: dict[str, Any]) -> str:
    who, told = Who(row["patients"], row["labels"]), row["right"]
    shown = [_cell(who, marks(told[eps])) for eps in ("0", "2", "8")]
    return line([row["name"], _settings(row["defence"] or {}), *shown, row["escalation"]["verdict"], f"{row['seconds'] / 60:.1f}"])


def _best(rows: Sequence[dict[str, Any]]) -> str:
    """The best point of clean against robust, with and without MDDA."""

    def worth(row: dict[str, Any]) -> float:
        return float((marks(row["right"]["0"]).mean() + marks(row["right"]["2"]).mean()) / 2)

    best, other = (
        max(some, key=worth) for some in ([r for r in rows if "MDDA" in r["name"]], [r for r in rows if "MDDA" not in r["name"]])
    )
    return (
        f"By the mean of clean accuracy and what is left at 2/255: the best with MDDA is *{best['name']}* ({worth(best):.3f}), the best "
        f"without *{other['name']}* ({worth(other):.3f}). Picked on these very images, so a little too good, both."
    )


def _known(rows: Sequence[dict[str, Any]]) -> list[Question]:
    named = {row["name"]: row for row in rows}
    pairs = [("MDDA", "no defence"), ("robust network alone", "MDDA"), ("robust network, MDDA", "robust network alone")]
    return [
        Question(
            f"{one} above {two}, at {eps}/255",
            marks(named[one]["right"][eps]).tolist(),
            marks(named[two]["right"][eps]).tolist(),
            named[one]["patients"],
        )
        for one, two in pairs
        if one in named and two in named
        for eps in ("2", "8")
    ]


def _steps(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [line(["network and defence", "eps", "images right at first", "broken by each step, in order"]), line(["---"] * 4)]
    for row in rows:
        for stair in row["escalation"]["staircase"]:
            broken = ", ".join(f"{rung['step']} {rung['broken']}" for rung in stair["rungs"])
            lines.append(line([row["name"], f"{stair['eps'] * 255:g}/255", str(stair["images"]), broken]))
    return lines


def _doubts(rows: Sequence[dict[str, Any]]) -> list[str]:
    raised = [f"- {row['name']}: **{flag['name']}**. {flag['seen']}" for row in rows for flag in row["escalation"]["flags"]]
    return raised or ["Nothing: no flag was raised."]


def _headed(title: str, columns: Sequence[str], about: str = "") -> list[str]:
    return ["", f"## {title}", "", *([about, ""] if about else []), line(columns), line(["---"] * len(columns))]


def _cell(who: Who, told: Marks) -> str:
    value, low, high = who.accuracy(told)
    return f"{value:.3f} [{low:.3f}, {high:.3f}] ({who.balanced(told):.3f})"


def _short(who: Who, told: Marks) -> str:
    return f"{told.mean():.3f} ({who.balanced(told):.3f})"


def _price(m: Measured, settings: Words | None) -> list[str]:
    if settings is None:
        return ["-"] * 4
    about = {"stage": "cost", "settings": settings, "made": "", "judge": "", "attack": "", "eps": 0.0}
    found = m.rows.found[m.rows.key(about)]["cost"]
    return [
        f"{found[0]['milliseconds']:.2f}",
        f"{found[0]['mebibytes']:.2f}",
        f"{found[1]['milliseconds']:.1f}",
        f"{found[1]['mebibytes']:.1f}",
    ]


def _settings(words: Words) -> str:
    return ", ".join(
        f"{key.replace('_', ' ')} {value}" for key, value in words.items() if key not in ("name", "early_stop", "weights", "sha256")
    )
