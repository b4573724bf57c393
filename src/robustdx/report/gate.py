"""Whether a finished audit may pass a gate: a number that holds at the lower end of its interval, and that can be believed. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from robustdx.errors import RunError
from robustdx.report import words
from robustdx.report.doubt import VERDICTS
from robustdx.report.findings import SLACK, Findings, estimate
from robustdx.report.numbers import count, eps_text, joined, metric_name, percent

SMALLER_IS_BETTER = ("goal_reached", "cost_per_1000", "grade_error")


def refusals(f: Findings, least: float, eps: float, metric: str) -> Iterator[str]:
    """Why a run does not pass, in sentences; none where it does.

    The worst case over everything that was tried at `eps` must be at least `least` at the lower end of its 95 % interval, and the
    evaluation must have established it: what was not questioned does not pass either.

    Raises:
        RunError: a budget or a number that the run does not have.
    """
    if metric in SMALLER_IS_BETTER:
        raise RunError(f"expected a number that is better the larger it is, got {metric}, of which smaller is better: take accuracy")
    threat = f.threats[0] if f.threats else ""
    budgets = f.eps(threat)
    at = next((e for e in budgets if abs(e - eps) < SLACK), None)
    if at is None:
        tried = joined([eps_text(threat, e) for e in budgets]) or "none"
        raise RunError(f"expected a budget that was tried, got {eps_text(threat or 'linf', eps)}; tried: {tried}")
    found = estimate(f.worst(threat, at), metric)
    if found is None:
        known = sorted(f.worst(threat, at)["metrics"])
        raise RunError(f"expected a number of the worst case at {eps_text(threat, at)}, got {metric!r}; it has {joined(known)}")
    low = found.value if found.low is None else found.low
    if low < least:
        said = f"{metric_name(metric)} at {eps_text(threat, at)} is {percent(found.value)}, its interval begins at {percent(low)}"
        yield f"{said}: at least {percent(least)} was asked."
    judged = f.results.get("escalation", {})
    if judged.get("verdict") != "established":
        title = VERDICTS[judged.get("verdict", "not questioned")]
        yield f"{title}. {judged.get('why', 'The run is from before an audit doubted itself: run it again.')}"
    if cut := f.data.get("cut_groups"):
        yield f"{count(cut)} {words.groups(f)} lie in more than one split of the data: the number is too good by an unknown amount."
