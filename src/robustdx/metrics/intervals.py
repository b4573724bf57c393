"""How sure a number is: 95 % percentile intervals from a bootstrap over patients. No torch.

Images of one patient are alike, so patients are drawn and not images (Efron and Tibshirani 1993, sections 8.5 and 13.3;
the field "cluster bootstrap"). A resample is kept as how often each patient was drawn; every metric is then a weighted
metric, and all resamples are computed at once. One `Resamples` serves all cells of a split, so that two cells are compared
on the same drawn patients.

Where no resample differs, the bootstrap says nothing: with 0 right of 500 images every resample has 0 right, and an
interval from 0 to 0 would claim a certainty that 500 images cannot give. There a share gets the exact interval of Clopper
and Pearson (1934) with the number of patients behind it as n: 0 of 500 gives 0 to 0.0074. It is the number of patients
and not of images because only patients are independent. What is not a share is bounded through shares:

    mean of shares       the mean of their exact limits
    F1 = 2J / (1 + J)    through J, the share of right ones among the images that are of the class or decided as it
    AUROC                the share of ordered pairs, and only min(positive, negative) pairs share no patient
    average precision    a mean over the positives, so with n positive patients
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from robustdx.metrics.answers import Floats

LEVEL = 0.95
BLOCK = 250_000
"""How many weights are spread out at once: 2 MB in float64, which stays in the processor's cache."""

Counts = NDArray[np.int32]
Limits = tuple[float, float]
NOTHING: Limits = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Resamples:
    """How often each of G patients is drawn, for R resamples; row 0 is the set itself, every patient once."""

    counts: Counts
    """(R + 1, G)."""
    groups: NDArray[np.intp]
    """(N,): the patient of each image."""

    @classmethod
    def of(cls, draws: ArrayLike, groups: ArrayLike) -> Resamples:
        """From the drawn patients, (R, G) indices, as other libraries keep a resample."""
        drawn = np.asarray(draws)
        counts = np.ones((len(drawn) + 1, drawn.shape[1]), np.int32)
        for row, indices in zip(counts[1:], drawn, strict=True):
            row[:] = np.bincount(indices, minlength=len(row))
        return cls(counts, np.asarray(groups, dtype=np.intp))

    @classmethod
    def draw(cls, groups: ArrayLike, resamples: int, seed: int) -> Resamples:
        """Draw as many patients as there are, with replacement, again and again."""
        groups = np.asarray(groups, dtype=np.intp)
        size = int(groups.max(initial=-1)) + 1
        draws = np.random.default_rng(seed)
        counts = np.ones((resamples + 1, size), np.int32)
        for row in counts[1:]:
            row[:] = np.bincount(draws.integers(0, size, size), minlength=size)
        return cls(counts, groups)

    def at(self, groups: ArrayLike) -> Resamples:
        """The same draws for other images of the same patients."""
        return replace(self, groups=np.asarray(groups, dtype=np.intp))

    def totals(self, columns: Mapping[str, ArrayLike]) -> dict[str, Total]:
        """Weighted totals of (N,) or (N, K) columns, by one matrix product."""
        tall = {name: np.asarray(c, dtype=np.float64).reshape(len(self.groups), -1) for name, c in columns.items()}
        per_patient = np.zeros((self.counts.shape[1], sum(c.shape[1] for c in tall.values())))
        np.add.at(per_patient, self.groups, np.hstack(list(tall.values())))
        product, patients = self._product(per_patient), (per_patient > 0).sum(0)
        ends = np.cumsum([c.shape[1] for c in tall.values()])[:-1]
        parts = zip(tall, np.split(product, ends, axis=1), np.split(patients, ends), strict=True)
        return {name: Total(values, n) for name, values, n in parts}

    def blocks(self, images: NDArray[np.intp]) -> Iterator[tuple[slice, Counts]]:
        """Weights of the named images, (rows, images), a bounded number of rows at a time."""
        groups, rows = self.groups[images], max(1, BLOCK // max(1, len(images)))
        for start in range(0, len(self.counts), rows):
            part = slice(start, min(start + rows, len(self.counts)))
            yield part, self.counts[part].take(groups, axis=1)

    def patients(self, images: NDArray[np.intp]) -> int:
        """How many patients the named images are of."""
        return len(np.unique(self.groups[images]))

    def _product(self, per_patient: Floats) -> Floats:
        step = max(1, BLOCK // max(1, len(per_patient)))
        return np.concatenate([self.counts[i : i + step].astype(np.float64) @ per_patient for i in range(0, len(self.counts), step)])


@dataclass(frozen=True)
class Total:
    """A weighted number of images (or label decisions) in every resample."""

    values: Floats
    """(R + 1, K)."""
    patients: NDArray[np.intp]
    """(K,): how many patients contribute."""

    def __getitem__(self, k: int) -> Total:
        return Total(self.values[:, [k]], self.patients[[k]])


@dataclass(frozen=True)
class Statistic:
    """A number, in the set itself (first) and in every resample; NaN where it has no meaning."""

    values: Floats
    """(R + 1,)."""
    exact: Limits = NOTHING
    """What is known where no resample differs; see the top of this file."""
    undefined: str = ""
    """Why it has no meaning, where it has none in the set itself."""

    @property
    def value(self) -> float:
        return float(self.values[0])

    @property
    def defined(self) -> bool:
        return not np.isnan(self.values[0])

    def limits(self, level: float = LEVEL) -> Limits:
        """Percentile interval over the resamples in which the number has a meaning."""
        known = self.values[1:][~np.isnan(self.values[1:])]
        if not len(known) or known.min() == known.max():
            return (self.value, self.value) if np.isnan(self.exact[0]) else self.exact
        low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def clopper_pearson(successes: float, n: int, level: float = LEVEL) -> Limits:
    """The exact interval of a share of n independent trials; `successes` need not be whole."""
    tail = (1 - level) / 2
    low = 0.0 if successes <= 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return low, high


def exact_share(value: float, patients: int) -> Limits:
    """The exact interval of a share that rests on so many patients."""
    return NOTHING if np.isnan(value) or patients < 1 else clopper_pearson(value * patients, patients)


def share(part: Total, whole: Total, undefined: str = "nothing to take a share of") -> Statistic:
    """part / whole, each of one column."""
    values = divide(part.values[:, 0], whole.values[:, 0])
    return Statistic(values, exact_share(float(values[0]), int(whole.patients[0])), undefined)


def mean(parts: Sequence[Statistic], undefined: str) -> Statistic:
    """The mean over those that have a meaning, in each resample for itself."""
    stacked = np.stack([p.values for p in parts])
    limits = [p.exact for p in parts if p.defined]
    exact = (float(np.mean([low for low, _ in limits])), float(np.mean([high for _, high in limits]))) if limits else NOTHING
    known = ~np.isnan(stacked)
    return Statistic(divide(np.where(known, stacked, 0).sum(0), known.sum(0)), exact, undefined)


def difference(first: Statistic, second: Statistic, patients: int) -> Statistic:
    """second - first on the same drawn patients: paired, so that what both share cancels.

    Where no resample differs, as far as so many patients can tell: the exact interval of a change that was seen in none of them.
    """
    values = second.values - first.values
    unseen = clopper_pearson(0, patients)[1] if patients else 1.0
    exact = max(-1.0, float(values[0]) - unseen), min(1.0, float(values[0]) + unseen)
    return Statistic(values, exact, first.undefined or second.undefined)


def divide(part: ArrayLike, whole: ArrayLike) -> Floats:
    """part / whole; NaN where the whole is nothing."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole != 0)
