"""Can this be believed? The staircase from what was claimed to what remains, the flags, and the verdict. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robustdx.report.findings import Findings
from robustdx.report.numbers import count, eps_text, percent

VERDICTS = {
    "established": "Established",
    "not established": "Not established",
    "not questioned": "Not questioned",
}
SOUND = "tells the truth"


@dataclass(frozen=True)
class Tread:
    """One step of the staircase at one budget."""

    share: float
    """Of the images that could be broken, those that stand after it."""
    text: str
    broken: str


@dataclass(frozen=True)
class StairRow:
    """One step of the escalation: what it is, why it was taken, and what stands after it at each budget."""

    name: str
    why: str
    treads: list[Tread]


@dataclass(frozen=True)
class Doubt:
    """What the section shows."""

    verdict: str
    title: str
    why: str
    flags: list[Mapping[str, str]]
    budgets: list[str]
    stairs: list[StairRow]
    gradients: list[tuple[str, str]]
    tried: list[str]


def doubt(f: Findings) -> Doubt | None:
    """None where nothing was attacked, or where the results are from before an evaluation doubted itself."""
    found = f.results.get("escalation")
    if not found or not f.attacks:
        return None
    stairs = found.get("staircase", [])
    trial = found.get("trial")
    return Doubt(
        found["verdict"],
        VERDICTS[found["verdict"]],
        found["why"],
        list(found.get("flags", [])),
        [eps_text(s["threat"], s["eps"]) for s in stairs],
        _rows(stairs, found.get("steps", [])),
        _gradients(trial) if trial else [],
        _tried(trial, f) if trial else [],
    )


def doubted(f: Findings) -> bool:
    """Whether the evaluation went beyond the attacks of the plan."""
    return "trial" in f.results.get("escalation", {})


def unestablished(f: Findings) -> bool:
    """Whether the robust accuracy may be wrong by more than its interval says."""
    return bool(f.results.get("escalation", {}).get("verdict") == "not established")


def _rows(stairs: list[Mapping[str, Any]], steps: list[Mapping[str, str]]) -> list[StairRow]:
    if not stairs:
        return []
    reasons = {s["name"]: s["why"] for s in steps}
    clean = StairRow("not attacked", "answered rightly before anything was done", [_tread(s["images"], s["images"], 0) for s in stairs])
    names = [r["step"] for r in stairs[0]["rungs"]]
    rows = [StairRow(name, reasons.get(name, "what the plan named"), [_at(s, name) for s in stairs]) for name in names]
    return [clean, *rows]


def _at(stair: Mapping[str, Any], name: str) -> Tread:
    rung = next(r for r in stair["rungs"] if r["step"] == name)
    return _tread(rung["standing"], stair["images"], rung["broken"])


def _tread(standing: int, of: int, broken: int) -> Tread:
    return Tread(standing / of if of else 0.0, f"{count(standing)} of {count(of)}", f"\N{MINUS SIGN}{count(broken)}" if broken else "")


def _gradients(trial: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each view of the model, and what its gradient is worth."""
    return [(name, _worth(s)) for name, s in trial["probes"]["slopes"].items()]


def _worth(s: Mapping[str, Any]) -> str:
    if not s["passes"]:
        return "there is none"
    parts = [f"{SOUND} on {percent(s['true'])} of the images", f"of use a step further on {percent(s['useful'])}"]
    return "; ".join([*parts, *([f"zero on {percent(s['zero'])}"] if s["zero"] else [])])


def _tried(trial: Mapping[str, Any], f: Findings) -> list[str]:
    """What the trial saw, in sentences."""
    probes, threat = trial["probes"], f.threats[0]
    asked = [
        "it repeats itself" if probes["repeats"] else "it does not repeat itself",
        "it draws anew each time" if probes["drawn"] else "it draws nothing",
        "an image alone is answered as in company" if probes["alone"] else "an image alone is answered otherwise than in company",
        "it remembers nothing" if probes["forgets"] else "it remembers what it was shown",
    ]
    said = [f"Tried on {count(probes['images'])} images at {eps_text(threat, trial['eps'])}: {'; '.join(asked)}."]
    if trial["standing"]:
        said.append(
            f"There {count(trial['standing'])} stood when every gradient had been followed; "
            f"a search without gradients then broke {count(trial['beyond']) if trial['beyond'] else 'none'} of them."
        )
    if trial["larger"]:
        rungs = ", ".join(f"{count(stand)} of {count(of)} at {eps_text(threat, eps)}" for eps, stand, of in trial["larger"])
        said.append(f"With larger budgets stood: {rungs}.")
    return said
