"""What may be believed of a robust accuracy: flags, the staircase, and whether it is established. No torch.

Reads escalation.json (the trial) and the records of the escalated cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robustdx.auditing.evidence import Evidence
from robustdx.auditing.toll import breakable, broken
from robustdx.records import ESCALATION

ASKING = ("random images", "queries")
"""Steps that follow no gradient."""
CLAIM = 0.02
"""Share of the images that must stand before there is a claim to doubt."""
MISSED = 0.02
"""Share of the images that a search without gradients may break after every gradient was followed."""

Words = Mapping[str, Any]


@dataclass(frozen=True)
class Rung:
    """One step at one budget: what it broke of the images that could be broken, and what stands after it."""

    step: str
    broken: int
    standing: int
    forwards: int = 0
    backwards: int = 0


@dataclass(frozen=True)
class Stair:
    """The steps of one budget."""

    threat: str
    eps: float
    of: int
    """Images on which there was anything to break."""
    rungs: Sequence[Rung]

    @property
    def standing(self) -> int:
        return self.rungs[-1].standing

    @property
    def claims(self) -> bool:
        """Whether so many images stand that robustness is claimed at all."""
        return self.standing > max(1, CLAIM * self.of)


@dataclass(frozen=True)
class Flag:
    """One reason to doubt."""

    name: str
    found: Callable[[Words, Sequence[Stair]], str]
    """What was seen, in words; empty where there was nothing."""
    raised_if: str
    means: str
    do: str


def judged(trial: Words, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """The part `escalation` of results.json."""
    stairs = [stair(e) for e in sorted((e for e in evidence if e.cell.attack == ESCALATION), key=lambda e: e.cell.eps)]
    raised = [(flag, seen) for flag in FLAGS if (seen := flag.found(trial, stairs))]
    claims = [s for s in stairs if s.claims]
    return {
        "verdict": "not established" if claims and raised else "established",
        "why": _why(claims, [seen for _, seen in raised]),
        "flags": [{"name": f.name, "seen": seen, "raised_if": f.raised_if, "means": f.means, "do": f.do} for f, seen in raised],
        "steps": list(trial["steps"]),
        "staircase": [_in_words(s) for s in stairs],
        "trial": {k: v for k, v in trial.items() if k != "steps"},
    }


def stair(e: Evidence) -> Stair:
    """What each step of an escalated cell broke."""
    asked, fell = breakable(e), broken(e)
    left, rungs = int(asked.sum()), []
    members = e.members or [e.cell.settings["members"][0]["name"]] * len(e.ids)
    by = [m if f else None for m, f in zip(members, fell.tolist(), strict=True)]
    for member in e.cell.settings["members"]:
        mine = [n for n, name in enumerate(by) if name == member["name"] and asked[n]]
        left -= len(mine)
        forwards, backwards = e.passes[mine].sum(0).tolist() if mine else (0, 0)
        rungs.append(Rung(member["name"], len(mine), left, int(forwards), int(backwards)))
    return Stair(e.cell.threat, e.cell.eps, int(asked.sum()), rungs)


def _in_words(s: Stair) -> dict[str, Any]:
    rungs = [
        {"step": r.step, "broken": r.broken, "standing": r.standing, "forwards": r.forwards, "backwards": r.backwards} for r in s.rungs
    ]
    return {"threat": s.threat, "eps": s.eps, "images": s.of, "rungs": rungs}


def _why(claims: Sequence[Stair], seen: Sequence[str]) -> str:
    if not claims:
        return "Hardly an image stands at any budget that was tried: there is no robustness to doubt."
    if not seen:
        return (
            "A gradient that foretells what the model does was followed, a search without it found no more, and larger budgets break "
            "what stands."
        )
    return " ".join(seen)


def _slopes(trial: Words) -> dict[str, Words]:
    return dict(trial["probes"]["slopes"])


def changes_by_itself(trial: Words, stairs: Sequence[Stair]) -> str:
    return "" if trial["probes"]["repeats"] else "Asked twice with the same draws, the model answers differently."


def minds_company(trial: Words, stairs: Sequence[Stair]) -> str:
    return "" if trial["probes"]["alone"] else "What the model says of an image depends on which other images come with it."


def remembers(trial: Words, stairs: Sequence[Stair]) -> str:
    return "" if trial["probes"]["forgets"] else "What the model says of an image depends on which images it was shown before."


def flat(trial: Words, stairs: Sequence[Stair]) -> str:
    share = trial["probes"]["flat"]
    return f"Around {share:.0%} of the images the answer is the same to the last bit." if share > 0.25 else ""


def no_sound_gradient(trial: Words, stairs: Sequence[Stair]) -> str:
    slopes = _slopes(trial)
    if any(s["sound"] for s in slopes.values()):
        return ""
    passing = [s for s in slopes.values() if s["passes"]]
    if not passing:
        return "The model passes no gradient back, and none could be put in its place."
    best = max(passing, key=lambda s: (s["useful"], s["true"]))
    return (
        f"No gradient that could be had is sound on enough images: the best one is of use on {best['useful']:.0%} and foretells what "
        f"the model does on {best['true']:.0%}."
    )


def missed(trial: Words, stairs: Sequence[Stair]) -> str:
    for s in stairs:
        n = sum(r.broken for r in s.rungs if r.step in ASKING)
        if n > max(1, MISSED * s.of):
            return f"A search without gradients broke {n} of {s.of} images that every gradient had left standing."
    return ""


def endless(trial: Words, stairs: Sequence[Stair]) -> str:
    if not trial["larger"]:
        return ""
    eps, standing, of = trial["larger"][-1]
    return f"At eps {eps:.3g} still {standing} of {of} images stand, where nearly any image is allowed." if standing else ""


FLAGS = (
    Flag(
        "not a pure function",
        changes_by_itself,
        "two calls with the same image and the same draws give answers that differ by more than a thousandth",
        "The model draws from a source that nobody can set, so that no number about it can be made again, and an attack never meets the "
        "model that it was made for.",
        "Draw from the `draws` that the model is handed, or fix the seed for each image.",
    ),
    Flag(
        "minds its company",
        minds_company,
        "an image alone gets another answer than the same image in a batch",
        "A layer computes over the batch, as batch normalisation left in training mode does: the answer to one patient hangs on others.",
        "Set the model to eval mode; see that no layer takes statistics over the batch.",
    ),
    Flag(
        "remembers",
        remembers,
        "a copy of the model that was shown other images answers differently",
        "Answers are stored and given again. An attack meets the store and not the network.",
        "Take the store away and audit what stands behind it.",
    ),
    Flag(
        "flat",
        flat,
        "around more than a quarter of the images the answer does not change at all",
        "Outputs are rounded or looked up. No search that reads them can tell a better image from a worse one.",
        "Audit what stands before the rounding or the table.",
    ),
    Flag(
        "no sound gradient",
        no_sound_gradient,
        "no view of the model has a gradient that foretells what the model does (within a factor of 2, on three of four images)",
        "Attacks that follow a gradient were led astray, whatever they report.",
        "Give the audit the part that hides the gradient as a purifier of its own (--defence), or its undefended network.",
    ),
    Flag(
        "a blind search finds more",
        missed,
        "random images or queries break more than 2 % (and more than one) of what every gradient left standing",
        "Where a gradient is sound no blind search does better: the gradient is hidden, and more would fall to who finds it.",
        "Read the robust accuracy as an upper bound that is known to be too high.",
    ),
    Flag(
        "stands at any budget",
        endless,
        "images stand however large eps is made",
        "Where any image is allowed one of another class is allowed too, so that an attack that fails there fails everywhere.",
        "Look for what hides the gradient: the attack did not find its way, whatever the model is worth.",
    ),
)


def unquestioned(plan: Words) -> str:
    """Why a run has no escalation."""
    if not plan.get("escalation", True):
        return "The plan leaves it out (escalation = false)."
    if plan.get("surrogates"):
        return "The adversary of this plan has other networks only."
    if plan.get("attacks") == []:
        return "The plan has no attack."
    return "No budget is large enough for an image to be saved, or no image was right to begin with."
