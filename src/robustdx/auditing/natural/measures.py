"""The numbers of one natural perturbation, and what it changes: with intervals over the same drawn patients. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robustdx.auditing.evidence import Evidence
from robustdx.metrics.accuracy import accuracy_metrics
from robustdx.metrics.answers import Answers
from robustdx.metrics.calibration import calibration_metrics
from robustdx.metrics.changes import change_metrics
from robustdx.metrics.intervals import Resamples, Statistic, difference, mean
from robustdx.metrics.measure import interval
from robustdx.metrics.ranking import ranking_metrics

HEADLINES = ("accuracy", "balanced_accuracy", "auroc_macro", "ece", "overconfidence")
"""What is told of the images before and after, and as a change."""
CHANGES = ("broken", "fooling_rate")
"""What has a meaning only where something has changed."""
Statistics = Mapping[str, Statistic]


@dataclass(frozen=True)
class Ruler:
    """What all numbers of a split are measured with."""

    kind: Any
    classes: Sequence[str]
    drawn: Resamples
    place: Mapping[tuple[bool, str], int]
    """By patient (or image, where none is named): its column in the draws."""

    def resamples(self, e: Evidence) -> Resamples:
        """The draws for the images of a cell."""
        return self.drawn.at([self.place[group] for group in e.groups])

    def headlines(self, e: Evidence, form: str) -> dict[str, Statistic]:
        """The headline numbers of the images in one form."""
        return headlines(e.answers(self.kind, self.classes, form), self.resamples(e))

    def changes(self, e: Evidence) -> dict[str, Statistic]:
        """How many decisions changed, and how many right ones were lost."""
        clean, after = (e.answers(self.kind, self.classes, form) for form in ("clean", e.form))
        return {name: s for name, s in change_metrics(clean, [after], self.resamples(e)).items() if name in CHANGES}


def headlines(answers: Answers, resamples: Resamples) -> dict[str, Statistic]:
    """Accuracy and ranking of N images; calibration where there are scores."""
    found = accuracy_metrics(answers, resamples) | ranking_metrics(answers, resamples) | calibration_metrics(answers, resamples)
    return {name: found[name] for name in HEADLINES if name in found}


def differences(before: Statistics, after: Statistics, patients: int) -> dict[str, Statistic]:
    """What each number changed by, on the same images."""
    return {name: difference(before[name], after[name], patients) for name in after if name in before}


def means(several: Sequence[Statistics]) -> dict[str, Statistic]:
    """The mean of each number over several cells, in each resample for itself."""
    names = dict.fromkeys(name for one in several for name in one)
    return {name: mean([one[name] for one in several if name in one], "undefined in each of them") for name in names}


def told(found: Statistics) -> dict[str, dict[str, float]]:
    """Numbers that have a meaning, with their intervals."""
    return {name: interval(statistic) for name, statistic in found.items() if statistic.defined}


def untold(found: Statistics) -> dict[str, str]:
    """Why the others have none."""
    return {name: statistic.undefined for name, statistic in found.items() if not statistic.defined}
