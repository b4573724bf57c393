"""The strength table: ours beside each peer, from the rows of the ledger alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isinf, isnan, nan, sqrt
from statistics import fmean, pstdev

from benchmarks.ledger import Row

OURS = "robustdx"
POINT, FURTHER, SAME = 0.01, 1.03, 0.99
"""Aimed at: at most 1 point more standing, a median distance at most 3 % larger, the same verdict on 99 % of the images."""

HEADING = """
Written by `python -m benchmarks.strength` (part of `make bench`); every line is measured, none is edited.

- **Networks**: small ones at 32 x 32 pixels, trained by `robustdx harden` on real images: a ResNet-18 and the plain CNN on HAM10000
  (7 classes), undefended and trained against an adversary of 8/255; a CNN on children's chest X-rays (pneumonia or not); a CNN on
  ChestX-ray14 (14 findings), attacked on one finding, effusion, so that libraries that know classes only can take part.
  Another processor trains another network from the same plan; both sides of a line met the same one.
- **Images**: test images that the network decides rightly, the same for both sides; so many as the column says.
- **Budgets**: under `eps` about half of the images stand against our FMN, so that a weaker attack shows. Both sides have the same
  steps, restarts and queries (1,000 for HopSkipJump, Boundary and SimBA, 5,000 for Square), but for C&W: ours takes its own 2 rounds of
  80 steps, the peers 600 steps at most. *passes* are forward + backward, counted for each image.
- **Robust accuracy** is of the images as found, in float32, inside eps. **Distances** are medians of the smallest change, in 255ths
  under Linf; an image that stands counts as infinitely far. *reference* is AutoAttack by its authors.
- **With**: {versions}; {machine}; {hours} hours of one processor.
- **Aimed at**: at most 1 point more of the images standing; a median distance at most 3 % larger; AutoAttack: the same verdict on 99 %
  of the images and never more standing. One image of 64 is 1.6 points.
"""


@dataclass(frozen=True)
class Pair:
    """One attack of ours and the same of a peer's, on the same images."""

    ours: Row
    theirs: Row

    @property
    def points(self) -> float:
        """By how much our robust accuracy is above theirs; below 0, ours is the stronger attack."""
        return self.ours.accuracy - self.theirs.accuracy

    @property
    def noise(self) -> float:
        """The standard error of that, from the differences image by image."""
        sides = [[fmean(map(int, votes)) for votes in zip(*row.standing, strict=True)] for row in (self.ours, self.theirs)]
        return pstdev(a - b for a, b in zip(*sides, strict=True)) / sqrt(self.ours.images)

    @property
    def ratio(self) -> float:
        """Our median distance over theirs; NaN where neither side beats half of the images."""
        a, b = self.ours.median, self.theirs.median
        if isinf(b):
            return nan if isinf(a) else 0.0
        return a / b if b else 1.0

    @property
    def same(self) -> float:
        """On which share of the images the verdict is the same."""
        return fmean(a == b for a, b in zip(self.ours.standing[0], self.theirs.standing[0], strict=True))

    @property
    def only_theirs(self) -> int:
        """Images that only the peer beats."""
        return sum(a > b for a, b in zip(self.ours.standing[0], self.theirs.standing[0], strict=True))

    @property
    def behind(self) -> str:
        """What ours lacks of what was aimed at; "" where it lacks nothing."""
        if self.ours.kind == "distance":
            return f"{self.ratio - 1:+.1%} further" if self.ratio > FURTHER else ""
        if self.points > (POINT if self.ours.kind == "standing" else 0) + 1e-9:
            chance = " (within chance)" if self.points <= 2 * self.noise else ""
            return f"{100 * self.points:+.1f} points{chance}"
        if self.ours.kind == "verdicts" and self.only_theirs / self.ours.images > 1 - SAME:
            return f"{self.only_theirs} images that only the peer beats"
        return ""


def pairs(rows: Iterable[Row]) -> Iterator[Pair]:
    """Ours with each peer's, where both were measured on the same images with the same budget; the most images count."""
    every = list(rows)
    best: dict[tuple[str, str, str, str], Pair] = {}
    ours = {(r.network, r.weights, r.attack, r.threat, r.eps, r.images): r for r in every if r.who == OURS}
    for row in every:
        mine = ours.get((row.network, row.weights, row.attack, row.threat, row.eps, row.images))
        if row.who == OURS or mine is None:
            continue
        place = row.network, row.attack, row.threat, row.who
        if place not in best or best[place].ours.images <= row.images:
            best[place] = Pair(mine, row)
    return iter(best.values())


def page(rows: Iterable[Row], machine: str) -> str:
    """docs/strength.md."""
    found = list(pairs(rows))
    met = [p for p in found if not p.theirs.refused]
    lines = ["# How strong the attacks are, beside those of other libraries", "", *_heading(met, machine), ""]
    lines += ["## Where ours is weaker than was aimed at", "", *_weaker(met), ""]
    for network in dict.fromkeys(p.ours.network for p in found):
        lines += [f"## {network}", "", *_table([p for p in found if p.ours.network == network]), ""]
    return "\n".join(lines)


def _heading(met: list[Pair], machine: str) -> Iterator[str]:
    versions = {k: v for p in met for k, v in (p.ours.versions | p.theirs.versions).items()}
    sides = {row.key: row for p in met for row in (p.ours, p.theirs)}.values()
    spent = sum(row.cpu * max(1, len(row.standing)) for row in sides)
    words = {"versions": ", ".join(f"{k} {v}" for k, v in sorted(versions.items())), "machine": machine, "hours": f"{spent / 3600:.1f}"}
    yield HEADING.format(**words).strip()


def _weaker(met: list[Pair]) -> Iterator[str]:
    behind = [p for p in met if p.behind]
    yield f"{len(met) - len(behind)} of {len(met)} comparisons are as aimed at."
    if behind:
        yield ""
    for p in behind:
        yield f"- {p.ours.network}, {p.ours.attack} {p.ours.threat} against {p.theirs.who}: {p.behind}"


def _table(some: list[Pair]) -> Iterator[str]:
    yield "| attack | threat | eps | images | peer | ours | theirs | difference | passes, ours | theirs | CPU s, ours | theirs |"
    yield "|---|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|"
    for p in some:
        start = [p.ours.attack, p.ours.threat, _eps(p.ours), str(p.ours.images), p.theirs.who]
        if p.ours.refused or p.theirs.refused:
            yield _line(
                [*start, *([_value(p.ours)] if not p.ours.refused else ["-"]), f"- ({p.theirs.refused or p.ours.refused})", *[""] * 5]
            )
            continue
        costs = [f"{r.forwards:,.0f} + {r.backwards:,.0f}" for r in (p.ours, p.theirs)] + [f"{r.cpu:,.1f}" for r in (p.ours, p.theirs)]
        yield _line([*start, _value(p.ours), _value(p.theirs), _difference(p), *costs])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _eps(row: Row) -> str:
    if not row.eps:
        return "smallest"
    return f"{row.eps * 255:.3g}/255" if row.threat == "linf" else f"{row.eps:.3g}"


def _value(row: Row) -> str:
    if row.kind != "distance":
        return f"{row.accuracy:.1%}"
    scale = 255 if row.threat == "linf" else 1
    return "stands" if isinf(row.median) else f"{row.median * scale:.4g}"


def _difference(p: Pair) -> str:
    if p.ours.kind == "distance":
        text = "neither" if isnan(p.ratio) else f"x {p.ratio:.3f}"
    elif p.ours.kind == "verdicts":
        text = f"{100 * p.points:+.1f}, same on {p.same:.1%}"
    else:
        text = f"{100 * p.points:+.1f}"
    return f"**{text}**" if p.behind else text
