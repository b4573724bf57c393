"""Q6's second half, asked of the records of inside.py: response areas, features, and which findings go together.

Every question is put to an attack and to the same change with its pixels shuffled: what noise of that size does too is not
the attack's doing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reproduce.verdicts import Answer, Question, line
from reproduce.xu.inside import MAPS, OF_THE_TRUTH, SHUFFLED
from robustdx.analyses.label_correlation import co_occurrence
from robustdx.analyses.separability import fisher_ratio, silhouette
from robustdx.metrics.paired import holm
from robustdx.records import ANALYSIS
from robustdx.store import Store

ATTACKS = ("pgd", "gap")
CLEAN = "clean"
FOLDS = 5
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Inside:
    """What was seen of N images, by view."""

    patients: Sequence[str]
    labels: Array
    """(N, 1) class indices, or (N, K) of findings, NaN where not annotated."""
    decisions: Mapping[str, NDArray[np.int64]]
    features: Mapping[str, Array]
    measures: Mapping[str, Mapping[str, Array]]
    """By view and MAP/MEASURE, (N,)."""

    @classmethod
    def read(cls, folder: Path) -> Inside:
        """From a run of inside.py."""
        (_, records), *_ = Store(folder).natural(ANALYSIS)
        rows: dict[str, list[dict]] = {}
        for row in sorted(records.to_pylist(), key=lambda row: row["id"]):
            rows.setdefault(row["view"], []).append(row)
        first = rows[CLEAN]
        return cls(
            [row["patient"] or row["id"] for row in first],
            np.array([row["label"] for row in first], dtype=float),
            {view: np.array([row["decision"] for row in own], dtype=int) for view, own in rows.items()},
            {view: np.array([row["features"] for row in own], dtype=float) for view, own in rows.items()},
            {view: _columns([dict(row["measures"]) for row in own]) for view, own in rows.items()},
        )

    @property
    def groups(self) -> NDArray[np.intp]:
        return np.unique(self.patients, return_inverse=True)[1]

    @property
    def findings(self) -> bool:
        return self.labels.shape[1] > 1


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    return {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}


def areas(name: str, m: Inside, measure: str = "pearson") -> Iterator[Question]:
    """Whether the response maps agree less with the clean ones under the attack than under its shuffled change."""
    for attack in ATTACKS:
        for key in (k for k in m.measures[attack] if k.endswith(f"/{measure}")):
            first, second = (m.measures[view][key] for view in (SHUFFLED.format(attack), attack))
            known = np.isfinite(first) & np.isfinite(second)
            if known.any():
                patients = [p for p, k in zip(m.patients, known, strict=True) if k]
                claim = f"{name}: {attack} moves {key.partition('/')[0]} more than its shuffled change does"
                yield Question(claim, first[known].tolist(), second[known].tolist(), patients)


def features(name: str, m: Inside) -> Iterator[Question]:
    """Whether a linear probe tells the classes apart worse by the attacked features: learned anew, and as learned on clean ones."""
    for attack in ATTACKS:
        control = SHUFFLED.format(attack)
        for what, learned in (("leaves less to tell the classes by", None), ("moves the classes from where they were", CLEAN)):
            first, second = (probed(m, m.features[learned or view], m.features[view]) for view in (control, attack))
            if first is not None and second is not None:
                yield Question(f"{name}: {attack} {what}", first.tolist(), second.tolist(), m.patients)


def probed(m: Inside, learned: Array, asked: Array) -> Array | None:
    """(N,) whose mean is the balanced accuracy of a linear probe on other patients, for findings the mean over them.

    None where no question has two classes of two patients each.
    """
    found, questions = np.zeros(len(m.labels)), 0
    for column in m.labels.T:
        at = np.flatnonzero(~np.isnan(column))
        classes, groups = column[at].astype(int), m.groups[at]
        kinds = np.unique(classes)
        folds = min(FOLDS, *(len(np.unique(groups[classes == c])) for c in kinds)) if len(kinds) > 1 else 0
        if folds > 1:
            right = out_of_fold(learned[at], asked[at], classes, groups, folds) == classes
            counts = {c: int((classes == c).sum()) for c in kinds}
            found[at] += right * len(found) / (len(kinds) * np.array([counts[c] for c in classes]))
            questions += 1
    return found / questions if questions else None


def out_of_fold(learned: Array, asked: Array, classes: NDArray, groups: NDArray, folds: int) -> NDArray:
    """What a logistic regression that learned on the other patients says of each image."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    said = np.empty_like(classes)
    for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(learned, classes, groups):
        regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(learned[train], classes[train])
        said[test] = regression.predict(asked[test])
    return said


def together(name: str, m: Inside, resamples: int = 2000) -> list[Answer]:
    """Whether the findings that go together are further from the clean answer's under the attack than under its shuffled change.

    The statistic is one of all images, so patients' answers are swapped and it is taken anew; corrected over all four (Holm).
    """
    known, groups = ~np.isnan(m.labels), m.groups
    clean = m.decisions[CLEAN] * known
    found: list[tuple[str, float, float, float, float]] = []
    for attack in ATTACKS:
        noise, attacked = (m.decisions[view] * known for view in (SHUFFLED.format(attack), attack))
        for what, statistic in (("takes the matrix further away", distance), ("leaves less of its order", disorder)):
            found.append((f"{name}: {attack} {what}", *_swapped(statistic, clean, noise, attacked, groups, resamples)))
    corrected = holm([p for *_, p in found])
    empty = [0.0] * len(groups)  # no value belongs to one image: only how many there are is told
    asked = [Question(claim, empty, empty, m.patients) for claim, *_ in found]
    return [Answer(q, *told, float(p)) for q, (_, *told, _), p in zip(asked, found, corrected, strict=True)]


def distance(clean: NDArray, view: NDArray) -> float:
    """||A - B|| / ||A|| of the two co-occurrence matrices; 0 where both are empty."""
    a, b = (co_occurrence(labels).astype(float) for labels in (clean, view))
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(a), 1.0))


def disorder(clean: NDArray, view: NDArray) -> float:
    """1 less the correlation of their entries above the diagonal and on it; 1 where one of them has the same number everywhere."""
    upper = np.triu_indices(clean.shape[1])
    a, b = (co_occurrence(labels)[upper].astype(float) for labels in (clean, view))
    return 1.0 if a.std() == 0 or b.std() == 0 else 1 - float(np.corrcoef(a, b)[0, 1])


def _swapped(
    statistic, clean: NDArray, noise: NDArray, attacked: NDArray, groups: NDArray, resamples: int
) -> tuple[float, float, float, float]:
    """The difference, its 95 % interval from a bootstrap over patients, and the p-value of swapping patients."""

    def difference(at: NDArray, first: NDArray, second: NDArray) -> float:
        return statistic(clean[at], second[at]) - statistic(clean[at], first[at])

    draws, everyone = np.random.default_rng(0), np.arange(len(groups))
    seen = difference(everyone, noise, attacked)
    members = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    as_far, drawn = 0, []
    for _ in range(resamples):
        swap = (draws.integers(0, 2, len(members)) == 1)[groups][:, None]
        as_far += abs(difference(everyone, np.where(swap, attacked, noise), np.where(swap, noise, attacked))) >= abs(seen) - 1e-12
        at = np.concatenate([members[g] for g in draws.integers(0, len(members), len(members))])
        drawn.append(difference(at, noise, attacked))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return seen, float(low), float(high), (as_far + 1) / (resamples + 1)


def tables(m: Inside) -> Iterator[str]:
    """The numbers beside the questions, by view."""
    yield line(["view", "Fisher ratio", "silhouette", "probe, learned anew", "probe of the clean features", *_maps(m)])
    yield line(["---"] * (5 + len(_maps(m))))
    for view, own in m.features.items():
        anew, of_clean = (probed(m, learned, own) for learned in (own, m.features[CLEAN]))
        spread = [_mean_over_findings(m, own, f) for f in (fisher_ratio, silhouette)]
        probes = [float("nan") if p is None else float(p.mean()) for p in (anew, of_clean)]
        alike = [_mean(m.measures[view].get(f"{name}/pearson", np.empty(0))) for name in _maps(m)]
        yield line([view, *(f"{v:.3f}" if np.isfinite(v) else "-" for v in (*spread, *probes, *alike))])


def _mean(values: Array) -> float:
    """Of those that have a meaning."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _maps(m: Inside) -> list[str]:
    names = [f"{name}{end}" for end in ("", OF_THE_TRUTH) for name in MAPS]
    present = {key.partition("/")[0] for key in m.measures[ATTACKS[0]]}
    return [name for name in names if name in present] + sorted(n for n in present if n not in names)


def _mean_over_findings(m: Inside, features: Array, of) -> float:
    found = []
    for column in m.labels.T:
        at = ~np.isnan(column)
        if len(np.unique(column[at])) > 1:
            found.append(of(features[at], column[at].astype(int)))
    return _mean(np.array(found))
