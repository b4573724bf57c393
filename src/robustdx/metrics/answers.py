"""What a model said about N images, laid out as yes-or-no questions: one for each class or finding. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Kind = Literal["binary", "multiclass", "multilabel", "ordinal"]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """Truth, decisions and scores of N images for K questions."""

    kind: Kind
    classes: tuple[str, ...]
    """Names of the K classes or findings; for binary (negative, positive)."""
    truth: Floats
    """(N, K): 1, 0, or NaN where the finding was not annotated."""
    decided: Flags
    """(N, K): what was decided."""
    scores: Floats | None = None
    """(N, K) probabilities; None where there is no one score, as in the worst case over attacks."""

    @property
    def annotated(self) -> Flags:
        return ~np.isnan(self.truth)

    @property
    def exclusive(self) -> bool:
        """Whether exactly one of the classes is true."""
        return self.kind != "multilabel"

    @property
    def asked(self) -> Sequence[int]:
        """The questions that macro averages are over: the positive class for binary, all of them otherwise."""
        return [1] if self.kind == "binary" else range(len(self.classes))


def answers(kind: Kind, classes: Sequence[str], labels: ArrayLike, decisions: ArrayLike, scores: ArrayLike | None = None) -> Answers:
    """Lay out labels and decisions as records hold them: (N,) or (N, 1) class indices, or (N, K) of 0, 1 and NaN."""
    given = None if scores is None else np.asarray(scores, dtype=np.float64)
    truth, decided = np.asarray(labels, dtype=np.float64), np.asarray(decisions)
    if kind == "multilabel":
        return Answers(kind, tuple(classes), truth, decided > 0, given)
    k = np.arange(len(classes))
    return Answers(kind, tuple(classes), (truth.reshape(-1, 1) == k).astype(np.float64), decided.reshape(-1, 1) == k, given)
