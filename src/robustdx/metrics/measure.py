"""Every metric of one cell, with intervals, and the reason for each that is left out. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from robustdx.metrics import ranking
from robustdx.metrics.accuracy import accuracy_metrics
from robustdx.metrics.answers import Answers, Floats
from robustdx.metrics.changes import change_metrics, goal_metrics
from robustdx.metrics.cost import cost_metrics
from robustdx.metrics.grades import NAMES as GRADES
from robustdx.metrics.grades import grade_metrics
from robustdx.metrics.intervals import Resamples, Statistic
from robustdx.metrics.operating_point import NAMES as OPERATING
from robustdx.metrics.operating_point import OperatingPoint, operating_metrics
from robustdx.metrics.ranking import ranking_metrics

ORDER = (
    *("goal_reached", "cost_per_1000", "accuracy", "exact_match", "balanced_accuracy", *GRADES),
    *(*ranking.NAMES, "precision", "recall", "f1", *OPERATING, "fooling_rate", "broken"),
)
"""The metrics of a whole cell, in the order they are shown."""


@dataclass(frozen=True)
class Measured:
    """What could be measured, and why the rest could not. Every metric is in one of the two."""

    metrics: Mapping[str, Mapping[str, float]]
    """Name to value, low and high."""
    omitted: Mapping[str, str]
    """Name to reason, in words."""


def measure(
    answers: Answers,
    resamples: Resamples,
    point: OperatingPoint,
    *,
    clean: Answers | None = None,
    attacked: Sequence[Answers] = (),
    reached: Floats | None = None,
    costs: ArrayLike | None = None,
    scores_say_nothing: str = "",
) -> Measured:
    """All metrics of one cell.

    `clean` and `attacked` are what the decisions were before and after, where the cell is of an attack; `reached` says for each image
    whether the adversary's goal is, NaN where it cannot be asked, and `costs` what each decision costs;
    `scores_say_nothing` is the reason not to rank by the scores, where there is one.
    """
    found = accuracy_metrics(answers, resamples)
    if not scores_say_nothing:
        found |= ranking_metrics(answers, resamples) | operating_metrics(answers, point, resamples)
    if clean is not None:
        found |= change_metrics(clean, attacked, resamples)
    if answers.kind == "ordinal":
        found |= grade_metrics(answers, resamples)
    if reached is not None:
        found |= goal_metrics(reached, resamples)
    if costs is not None:
        found |= cost_metrics(answers, costs, resamples)
    omitted = dict.fromkeys(score_names(answers), scores_say_nothing) if scores_say_nothing else {}
    omitted |= {name: statistic.undefined for name, statistic in found.items() if not statistic.defined}
    metrics = {name: interval(statistic) for name, statistic in found.items() if statistic.defined}
    return Measured(_ordered(metrics), _ordered(omitted))


def interval(statistic: Statistic) -> dict[str, float]:
    """A number with its 95 % interval."""
    low, high = statistic.limits()
    return {"value": statistic.value, "low": low, "high": high}


def score_names(answers: Answers) -> list[str]:
    """The metrics that need scores."""
    whole = [*ranking.NAMES, *OPERATING]
    if answers.kind == "binary":
        return whole
    return whole + [f"{name}:{label}" for name in (*ranking.PER_CLASS, *OPERATING) for label in answers.classes]


def _ordered(metrics: dict) -> dict:
    """The whole cell's first, in the usual order; then those of one class."""
    return {name: metrics[name] for name in sorted(metrics, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))}
