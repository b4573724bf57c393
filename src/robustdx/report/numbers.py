"""How numbers read in the report: as counts of a hundred in sentences, with one decimal and an interval in tables."""

from __future__ import annotations

from typing import Any

from robustdx.report.findings import Estimate

NBSP, DASH, TIMES = "\N{NO-BREAK SPACE}", "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
RANKINGS = ("auroc", "average_precision", "kappa", "grade_error")
"""Metrics that are no share of images: written 0.912, not 91.2 %."""
COSTS = ("cost_per_1000",)
"""Metrics in units of the plan: written 1,240."""

METRICS = {
    "goal_reached": "Goal reached",
    "cost_per_1000": "Cost of 1,000",
    "accuracy": "Accuracy",
    "exact_match": "All findings right",
    "balanced_accuracy": "Balanced accuracy",
    "kappa": "Weighted kappa",
    "grade_error": "Error in grades",
    "auroc_macro": "AUROC, macro",
    "auroc_micro": "AUROC, micro",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "broken": "Broken",
    "fooling_rate": "Fooling rate",
}
"""What tables call the metrics of results.json, in the order of the columns."""

THREATS = {"linf": "L∞", "l2": "L2"}


def metric_name(metric: str) -> str:
    """A metric in words; one that the report does not know keeps its own name."""
    return METRICS.get(metric, metric.replace("_", " "))


def threat_name(threat: str) -> str:
    """A threat as people write it."""
    return THREATS.get(threat, threat)


def eps_text(threat: str, eps: float) -> str:
    """A budget in its own units: grey levels of 255 for Linf, a plain length for the rest."""
    return f"{eps * 255:.4g}/255" if threat == "linf" else f"{eps:.4g}"


def eps_range(threat: str, budgets: list[float]) -> str:
    """Budgets in words: "0.25, 0.5 and 1 /255"."""
    texts = [f"{e * 255:.4g}" if threat == "linf" else f"{e:.4g}" for e in budgets]
    return joined(texts) + ("/255" if threat == "linf" else "")


def hundred(share: float) -> str:
    """A share as a count of a hundred that never rounds something to nothing or to all.

    >>> hundred(0.004), hundred(0.0), hundred(0.786), hundred(0.999)
    ('fewer than 1', '0', '79', 'more than 99')
    """
    text = f"{100 * share:.0f}"
    if text == "0" and share > 0:
        return "fewer than 1"
    return "more than 99" if text == "100" and share < 1 else text


def percent(share: float, decimals: int = 1) -> str:
    """A share in percent."""
    return f"{100 * share:.{decimals}f}{NBSP}%"


def interval(e: Estimate) -> str:
    """The 95 % interval of a share in percent; empty where there is none."""
    return "" if e.low is None or e.high is None else f"{100 * e.low:.1f}{DASH}{100 * e.high:.1f}"


def with_interval(e: Estimate) -> str:
    """A share and its interval, for sentences."""
    return f"{percent(e.value)} ({interval(e)})" if interval(e) else percent(e.value)


def pair(metric: str, e: Estimate) -> tuple[str, str]:
    """Value and interval as a table shows them."""
    show = (lambda v: f"{v:,.0f}") if metric in COSTS else (lambda v: f"{v:.3f}") if metric.startswith(RANKINGS) else _in_percent
    return show(e.value), f"{show(e.low)}{DASH}{show(e.high)}" if e.low is not None and e.high is not None else ""


def _in_percent(value: float) -> str:
    return f"{100 * value:.1f}"


def count(n: float | None) -> str:
    """A whole number with thin thousands: 1 012 as 1,012."""
    return "an unknown number of" if n is None else f"{n:,.0f}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def joined(words: list[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(4.2), duration(75), duration(7300)
    ('4.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shown(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)
