"""What the adversary was after, where a plan has a goal, and how often it was reached. No torch."""

from __future__ import annotations

from robustdx.report.findings import Findings, estimate
from robustdx.report.numbers import NBSP, eps_text, hundred, joined, plural, threat_name

REACHED = "goal_reached"
COST = "cost_per_1000"
PLAIN = {"any": "turn at least one finding", "all": "turn every finding at once", "costly": "cause the costliest decision"}


def aim(f: Findings) -> str:
    """The goal as something one can be out to do: "hide mass"; empty where any wrong answer counts."""
    goal = f.plan.get("goal") or {}
    name = goal.get("name")
    if name == "finding":
        does = {"hidden": "hide", "planted": "plant", "turned": "turn"}[goal.get("wanted", "hidden")]
        return f"{does} {goal['finding']}" + (" while every other finding stays as it is" if goal.get("keep_others", True) else "")
    if name == "grades":
        where = {"any": "", "up": " up", "down": " down"}[goal.get("direction", "any")]
        return f"move the grade by {plural(goal.get('at_least', 1), 'step', 'steps')} or more{where}"
    if name == "class":
        return f"have the image called {goal['wanted']}"
    return {"any": "turn at least one finding", "all": "turn every finding at once", "costly": "cause the costliest decision"}.get(
        str(name), ""
    )


def reached(f: Findings) -> list[str]:
    """How often the goal was reached at each budget, in one sentence for each threat, and what the decisions then cost."""
    return [text for threat in f.threats for text in (_share(f, threat), _cost(f, threat)) if text]


def _share(f: Findings, threat: str) -> str:
    points = [(eps, e) for eps, cell in f.told(threat) if (e := estimate(cell, REACHED))]
    if not points:
        return ""
    said = joined([f"{hundred(e.value)}{NBSP}% at {_size(threat, eps)}" for eps, e in points])
    clean = estimate(f.clean, REACHED)
    before = f", {hundred(clean.value)}{NBSP}% without any attack" if clean else ""
    return f"The adversary set out to {aim(f)}. It succeeded on {said}{before}, of the images where it could be tried{_by(threat)}."


def _cost(f: Findings, threat: str) -> str:
    points = [(eps, e) for eps, cell in f.told(threat) if (e := estimate(cell, COST))]
    clean = estimate(f.clean, COST)
    if not points or not clean:
        return ""
    eps, worst = points[-1]
    costs = f"{clean.value:,.0f} not attacked, {worst.value:,.0f} at {_size(threat, eps)}"
    return f"Expected cost of 1,000 patients, in the units of the plan: {costs}."


def _size(threat: str, eps: float) -> str:
    return eps_text(threat, eps) if threat == "linf" else f"length {eps_text(threat, eps)}"


def _by(threat: str) -> str:
    return "" if threat == "linf" else f" ({threat_name(threat)})"
