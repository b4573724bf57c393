"""Three claims of MDDA answered from what compare.py has written: python -m reproduce.mdda.claims RUNS > reproduce/mdda/results.md

Q1: MDDA raises the accuracy on attacked images well above no defence for every attack; the gain over filters of one step grows with
eps; the cost on clean images is small.
Q2: it helps on images made on another architecture.
Q3: taking out diffusion, denoising, aggregation or the other scales each hurts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reproduce.mdda import tables
from reproduce.mdda.attacked import EVERY
from reproduce.mdda.grids import SINGLE_STEP, WITHOUT
from reproduce.mdda.measured import Marks, Measured, cells, name_of
from reproduce.verdicts import Answer, Question, answered, page

WELL = 0.1
"""By how much accuracy must rise to be called well above."""
SMALL = 0.05
"""What may be lost on clean images to be called small."""
ACROSS = (("resnet", "regnet"), ("regnet", "resnet"))
"""Made on, judged by."""


def helps(m: Measured, made: str, judge: str) -> list[Question]:
    """Is more right behind MDDA than without?"""
    where = f"made on {made}, judged by {judge}"
    return [
        m.question(f"{name_of(a)} at {e}/255, {where}", m.of("mdda", a, e, made, judge), m.of("none", a, e, made, judge))
        for a, e in cells(made)
    ]


def grows(m: Measured) -> list[Question]:
    """Is the gain over a filter of one step larger at 8/255 than at 1/255? Added up so that both sides are sums."""

    def both(name: str, other: str, made: str) -> Marks:
        return m.of(name, "pgd", EVERY[-1], made) + m.of(other, "pgd", EVERY[0], made)

    return [
        m.question(f"gain over {f} is larger at 8 than at 1/255, PGD on {made}", both("mdda", f, made), both(f, "mdda", made))
        for made in ("resnet", "regnet")
        for f in SINGLE_STEP
    ]


def costs(m: Measured) -> list[Question]:
    found = []
    for judge in ("resnet", "regnet"):
        mdda, none = (m.of(name, "", 0, judge, judge) for name in ("mdda", "none"))
        found.append(m.question(f"no clean accuracy is lost, {judge}", mdda, none, at_least=True))
        found.append(m.question(f"less than {SMALL:.0%} clean accuracy is lost, {judge}", mdda + SMALL, none))
    return found


def rivals(m: Measured) -> list[Question]:
    """Is more right behind MDDA than behind a rival, where the attack is strong?"""
    others = [name for name in m.names if name not in ("none", "mdda")]
    return [
        m.question(f"MDDA above {name}, PGD at {eps}/255 on resnet", m.of("mdda", "pgd", eps), m.of(name, "pgd", eps))
        for eps in (4, 8)
        for name in others
    ]


def hurts(m: Measured, anew: bool) -> list[Question]:
    """Is less right without a part? With the other settings as they were, or tuned anew."""
    whole, found = m.tuned["mdda"], []
    for part, out in WITHOUT.items():
        less = m.tuned[f"mdda without {part}"] if anew else {**whole, **{key: value for key, (value,) in out.items()}}
        for attack, eps in (("", 0), *(("pgd", e) for e in EVERY)):
            where = f"PGD at {eps}/255" if attack else "clean"
            found.append(m.question(f"without {part} it is worse, {where}", m.asked(whole, attack, eps), m.asked(less, attack, eps)))
    return found


def well_above(answers: list[Answer]) -> str:
    n = sum(a.low >= WELL for a in answers)
    most = max(a.high for a in answers)
    return f"At least {WELL:.0%} more with all of the interval: {n} of {len(answers)}. No interval reaches above {most:+.3f}."


def main(runs: Path) -> None:
    m = Measured(runs)
    print(tables.head(m))
    print(tables.purifiers(m))
    print(tables.grey(m))
    print(tables.across(m))
    print("## Q1: well above no defence for every attack; more so, against filters, with growing eps; at a small cost\n")
    grey = answered([q for made in ("resnet", "regnet") for q in helps(m, made, made)])
    print("\n".join(page("MDDA above no defence, by one who does not know it", grey)) + well_above(grey) + "\n")
    print("\n".join(page("The gain over filters of one step grows", answered(grows(m)))))
    print("\n".join(page("The cost on clean images", answered(costs(m)))))
    print("\n".join(page("MDDA above its rivals", answered(rivals(m)))))
    print("## Q2: it helps on images made on another architecture\n")
    across = answered([q for made, judge in ACROSS for q in helps(m, made, judge)])
    print("\n".join(page("MDDA above no defence", across)) + well_above(across) + "\n")
    print("## Q3: each part is needed\n")
    print("\n".join(page("A part taken out, the rest as it was", answered(hurts(m, anew=False)))))
    print("\n".join(page("A part taken out, the rest tuned anew", answered(hurts(m, anew=True)))))
    print(tables.ablated(m))
    print(tables.escalated(m), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
