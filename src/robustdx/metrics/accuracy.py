"""What the decisions are worth: accuracy, balanced accuracy, precision, recall, F1. No torch.

One class of several: macro averages are over the classes that occur, in the truth or among the decisions, and a class that
occurs but is never decided has precision 0 (as scikit-learn has it with `zero_division=0`); balanced accuracy is the mean
recall over the classes that occur in the truth, and accuracy:NAME is the share of the class's images decided as it.

Several findings: accuracy is over all annotated decisions, exact_match over images with every annotated finding right,
balanced accuracy the mean over findings of the mean of the recalls of present and absent; accuracy:NAME is the finding's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustdx.metrics.answers import Answers
from robustdx.metrics.intervals import Resamples, Statistic, Total, divide, exact_share, mean, share

Totals = dict[str, Total]


def accuracy_metrics(answers: Answers, resamples: Resamples) -> dict[str, Statistic]:
    """Every metric of the decisions, by name; those of one class as NAME:CLASS."""
    totals = resamples.totals(tally(answers))
    found = {"accuracy": share(totals["right"], totals["decisions"], "no annotated label")}
    if not answers.exclusive:
        found["exact_match"] = share(totals["all_right"], totals["images"], "no annotated label")
    each = {name: [of(totals, answers, k) for k in range(len(answers.classes))] for name, of in PER_CLASS.items()}
    found["balanced_accuracy"] = mean(each["recall" if answers.exclusive else "balanced_accuracy"], "no annotated label")
    found |= {name: macro(each[name], totals, answers) for name in ("precision", "recall", "f1")}
    return found | by_class(each, answers)


def tally(answers: Answers) -> dict[str, np.ndarray]:
    """What has to be counted, for each class or finding and for each image."""
    annotated, present, decided = answers.annotated, answers.truth == 1, answers.decided & answers.annotated
    right = (present == decided) & annotated
    whole_right = (right == annotated).all(1)
    whole_asked = annotated.any(1)
    return {
        "annotated": annotated,
        "correct": right,
        "present": present,
        "absent": annotated & ~present,
        "decided": decided,
        "hit": present & decided,
        "rejected": right & ~present,
        "union": present | decided,
        "right": whole_right if answers.exclusive else right.sum(1),
        "decisions": whole_asked if answers.exclusive else annotated.sum(1),
        "all_right": whole_right & whole_asked,
        "images": whole_asked,
    }


def recall(totals: Totals, answers: Answers, k: int) -> Statistic:
    """Share of the images of a class that are decided as it: its sensitivity."""
    return share(totals["hit"][k], totals["present"][k], f"no image of {answers.classes[k]}")


def specificity(totals: Totals, answers: Answers, k: int) -> Statistic:
    """Share of the images that are not of a class that are not decided as it."""
    return share(totals["rejected"][k], totals["absent"][k], f"no image that is not {answers.classes[k]}")


def precision(totals: Totals, answers: Answers, k: int) -> Statistic:
    """Share of the images decided as a class that are of it."""
    return share(totals["hit"][k], totals["decided"][k], f"no image was decided as {answers.classes[k]}")


def f1(totals: Totals, answers: Answers, k: int) -> Statistic:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
    hit, union = totals["hit"][k], totals["union"][k]
    values = divide(2 * hit.values, totals["present"][k].values + totals["decided"][k].values)[:, 0]
    low, high = exact_share(float(divide(hit.values[0], union.values[0])[0]), int(union.patients[0]))
    return Statistic(values, (2 * low / (1 + low), 2 * high / (1 + high)), f"no image is, or was decided as, {answers.classes[k]}")


def own_accuracy(totals: Totals, answers: Answers, k: int) -> Statistic:
    """How often the decision is right: on the class's images, or on all that are annotated for the finding."""
    if answers.exclusive:
        return recall(totals, answers, k)
    return share(totals["correct"][k], totals["annotated"][k], f"{answers.classes[k]} is annotated nowhere")


def own_balanced_accuracy(totals: Totals, answers: Answers, k: int) -> Statistic:
    """Mean of sensitivity and specificity of one finding; of one of them where the other has no images."""
    return mean([recall(totals, answers, k), specificity(totals, answers, k)], f"{answers.classes[k]} is annotated nowhere")


PER_CLASS = {"accuracy": own_accuracy, "balanced_accuracy": own_balanced_accuracy, "precision": precision, "recall": recall, "f1": f1}


def macro(each: list[Statistic], totals: Totals, answers: Answers) -> Statistic:
    """The mean over the classes that occur; the positive class alone for binary."""
    if answers.kind == "binary":
        return each[1]
    return mean(
        [_zero_where_it_occurs(s, totals["union"][k]) for k, s in enumerate(each)], "no class occurs, in the truth or among the decisions"
    )


def by_class(each: dict[str, list[Statistic]], answers: Answers) -> dict[str, Statistic]:
    """Lists of a metric, one for each class, as NAME:CLASS; for binary only what is not the headline's own."""
    if answers.kind == "binary":
        each = {name: values for name, values in each.items() if name == "accuracy"}
    elif answers.exclusive:
        each = {name: values for name, values in each.items() if name != "balanced_accuracy"}
    return {f"{name}:{label}": value for name, values in each.items() for label, value in zip(answers.classes, values, strict=True)}


def _zero_where_it_occurs(statistic: Statistic, union: Total) -> Statistic:
    occurs = union.values[:, 0] > 0
    values = np.where(np.isnan(statistic.values) & occurs, 0.0, statistic.values)
    exact = statistic.exact if statistic.defined else exact_share(0.0, int(union.patients[0]))
    return replace(statistic, values=values, exact=exact)
