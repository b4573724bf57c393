"""What happens without an adversary, in sentences for who reads no table. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustdx.report.findings import Estimate, Findings
from robustdx.report.natural.losses import in_points, loss, named, points
from robustdx.report.numbers import hundred, percent, plural, with_interval
from robustdx.report.words import name, things

Found = Mapping[str, Any]
NOTHING = 0.0005
"""A change of less than a twentieth of a point."""


def told(f: Findings, found: Found) -> list[str]:
    """The sentences above the tables."""
    return [*_perturbed(f, found), *_flipped(f, found)]


def modality(found: Found) -> str:
    """What artefacts were taken for believable."""
    known = found.get("modality")
    if known:
        return f"The images are {known}: artefacts are those that happen there."
    return "Neither data nor plan say how the images were made, so only what may happen to any image is believable here."


def _perturbed(f: Findings, found: Found) -> list[str]:
    each = found.get("perturbations", [])
    clean, mean = _of(found["clean"]["metrics"], "accuracy"), _of(found.get("mean", {}).get("metrics", {}), "accuracy")
    change = _of(found.get("mean", {}).get("change", {}), "accuracy")
    if not each or clean is None or mean is None or change is None:
        return []
    how = f"{plural(len(each), 'natural perturbation')}, severities {_severities(each)}"
    first = (
        f"{name(f)} decides {hundred(clean.value)} of 100 {things(f)} correctly as they came, and {hundred(mean.value)} of 100 on average "
        f"over {how}: {_direction(change)}."
    )
    return [first, *_extremes(each)]


def _direction(change: Estimate) -> str:
    """A change in words that claim no more than its interval."""
    sure = change.low is None or change.high is None or change.low > 0 or change.high < 0
    if abs(change.value) < NOTHING:
        return f"no change{_ends(change)}"
    return f"{in_points(change.value)} {'lost' if change.value < 0 else 'gained'}{_ends(change)}" + (
        "" if sure else ", which may be chance"
    )


def _extremes(each: list[Found]) -> list[str]:
    ordered = sorted(each, key=loss)
    if len(ordered) < 2:
        return []
    worst, least = ordered[0], ordered[-1]
    hardest = min(worst["severities"], key=lambda at: at["metrics"].get("accuracy", {"value": 1.0})["value"])
    accuracy = _of(hardest["metrics"], "accuracy")
    at = f"; {percent(accuracy.value)} are right at severity {hardest['severity']}" if accuracy else ""
    return [f"Worst is {named(worst['label'])}: {_signed(worst)}{at}. Least is {named(least['label'])}: {_signed(least)}."]


def _signed(own: Found) -> str:
    change = _of(own["mean"]["change"], "accuracy")
    return _direction(change) if change else "not defined"


def _flipped(f: Findings, found: Found) -> list[str]:
    each, mean = found.get("sequences", []), found.get("mean_flips", {})
    flip, right, accuracy = (_of(mean, key) for key in ("flip_probability", "flip_probability_right", "frame_accuracy"))
    if not each or flip is None:
        return []
    what = f"{plural(len(each), 'slowly changing clip')} of each image ({_frames(each)})"
    sentences = [f"In {what} the answer differs from one frame to the next {_often(flip)}."]
    if right:
        sentences.append(f"On what was decided rightly as it came, it is {with_interval(right)}.")
    if accuracy:
        sentences.append(f"Over all frames {with_interval(accuracy)} of the answers are right; who always says the same never flips.")
    return [" ".join(sentences)]


def _often(flip: Estimate) -> str:
    per = f"about once in {round(1 / flip.value):,} frames" if flip.value > 0 else "never"
    return f"{per}, a flip probability of {with_interval(flip)}"


def _frames(each: list[Found]) -> str:
    counts = sorted({own["frames"] for own in each})
    return f"{counts[0]} frames" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} frames"


def _severities(each: list[Found]) -> str:
    levels = sorted({at["severity"] for own in each for at in own["severities"]})
    whole = levels == list(range(levels[0], levels[-1] + 1)) and len(levels) > 2
    return f"{levels[0]} to {levels[-1]}" if whole else ", ".join(map(str, levels))


def _of(metrics: Found, key: str) -> Estimate | None:
    e = metrics.get(key)
    return Estimate(e["value"], e["low"], e["high"]) if e else None


def _ends(e: Estimate) -> str:
    return "" if e.low is None or e.high is None else f" ({points(e).interval})"
