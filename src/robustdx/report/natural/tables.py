"""tables/natural.csv: the numbers without an adversary, for spreadsheets and scripts. No torch.

A row per number: what was done, to which severity, the number with its interval, and how far that is from the images as they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

HEADER = (
    *("what", "label", "severity", "metric", "value", "low", "high"),
    *("change", "change_low", "change_high", "images", "patients"),
)
Part = Mapping[str, Any]


def natural_rows(natural: Part) -> Iterator[tuple]:
    """The images as they came, then each perturbation by severity and over all of them, then each sequence."""
    yield from _rows("clean", "", "", natural["clean"], natural["clean"])
    for own in natural.get("perturbations", []):
        for at in own["severities"]:
            yield from _rows("perturbation", own["label"], at["severity"], at, own)
        yield from _rows("perturbation", own["label"], "mean", own["mean"], own)
    if "mean" in natural:
        yield from _rows("perturbation", "mean", "mean", natural["mean"], natural["clean"])
    for own in natural.get("sequences", []):
        yield from _rows("sequence", own["label"], "", own, own)
    if "mean_flips" in natural:
        yield from _rows("sequence", "mean", "", {"metrics": natural["mean_flips"]}, natural["clean"])
    for column in natural.get("subgroups", []):
        for own in column["groups"]:
            for label, numbers in _of_group(own):
                yield from _rows(f"{column['column']}: {own['group']}", label, "", numbers, own)
    if own := natural.get("worst_case"):
        for label in ("average", "worst"):
            yield from _rows("worst case", label, "", own[label], own)


def _rows(what: str, label: str, severity: Any, numbers: Part, of: Part) -> Iterator[tuple]:
    for name, found in numbers["metrics"].items():
        change = numbers.get("change", {}).get(name)
        yield (what, label, severity, name, *_three(found), *_three(change), of["images"], "" if of["patients"] is None else of["patients"])


def _three(found: Part | None) -> tuple[str, str, str]:
    low, value, high = (("" if found is None else f"{found[end]:.6g}") for end in ("low", "value", "high"))
    return value, low, high


def _of_group(own: Part) -> Iterator[tuple[str, Part]]:
    """What is told of a subgroup, by name."""
    yield "clean", {"metrics": own["clean"]}
    if "perturbed" in own:
        yield "perturbed", own["perturbed"]
    if "flips" in own:
        yield "flips", {"metrics": own["flips"]}
