"""Which findings go together: in truth, in what a network decides, and in what it decides under attack."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from robustdx.analyses.protocol import TRUTH, Finding, Number, Seen, Views, number, require_task
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.tasks import MultiLabel


@final
@dataclass(frozen=True, kw_only=True)
class LabelCorrelation:
    """How often two findings occur on one image: true, decided, and decided under attack (Xu et al. 2021, their coMatrix.py).

        C[i, j] = images with both i and j;    C[i, i] = images with i (`usual`), or with i alone among the findings (`released`)

    A finding without a label counts nowhere, neither as true nor as decided. Matrices are compared in pairs, the truth with each view
    and the clean view with each attack: `frobenius` = ||A - B||, `frobenius_relative` = that over ||A||, and `correlation`, Pearson's,
    of the entries above the diagonal and on it. A relative distance is large where the attack makes other findings appear; the
    correlation is low only where they go together in another way.

    Numbers: view, the matrix it is compared with, MEASURE:released or MEASURE:usual. Pictures: `released` and `usual` (K, K), by view and
    for "truth": heat pictures with the same scale, or chord diagrams. Cost: one pass of the model per image and view.
    """

    first: int = 0
    """Only so many findings, in the order of the classes; 0: all. The authors show the first 8 of 14."""

    tasks: ClassVar[tuple[type, ...]] = (MultiLabel,)

    def __post_init__(self) -> None:
        if self.first < 0 or self.first == 1:
            raise PlanError(f"first must be 0 (all findings) or at least 2, got {self.first}")

    def __call__(self, model: DiagnosticModel, views: Views) -> Seen:
        task = require_task(model.task, self.tasks, "label-correlation")
        with still(model), torch.no_grad():
            decided = {view: task.decide(model.exact(x, views.draws)) for view, x in views.all.items()}
        return Seen.of(model, views, {view: {"decided": d.cpu().numpy() > 0} for view, d in decided.items()})

    def conclude(self, seen: Seen) -> Finding:
        """Numbers `frobenius`, `frobenius_relative` and `correlation`, each with both diagonals."""
        known, keep = ~np.isnan(seen.truth), slice(0, self.first or None)
        labels = {TRUTH: seen.truth == 1, **{view: seen.rows[view]["decided"] & known for view in seen.views}}
        matrices = {
            view: {"released": co_occurrence(yes, alone=True)[keep, keep], "usual": co_occurrence(yes)[keep, keep]}
            for view, yes in labels.items()
        }
        numbers: list[Number] = []
        for first, view in combinations(matrices, 2):
            if first in (TRUTH, seen.views[0]):
                for diagonal, matrix in matrices[view].items():
                    numbers += _compared(view, first, diagonal, matrices[first][diagonal], matrix)
        return Finding(tuple(numbers), matrices)


def co_occurrence(labels: ArrayLike, *, alone: bool = False) -> NDArray[np.int64]:
    """(K, K): on how many of N images, (N, K) of 0 and 1, two findings occur together.

    On the diagonal, on how many one occurs; with `alone`, on how many it is the only one, as in the code that Xu et al. released.

    >>> co_occurrence([[1, 1], [1, 0], [1, 0]], alone=True).tolist()
    [[2, 1], [1, 0]]
    """
    yes = np.asarray(labels).astype(np.int64)
    found = yes.T @ yes
    if alone:
        np.fill_diagonal(found, yes[yes.sum(1) == 1].sum(0))
    return found


def _compared(view: str, first: str, diagonal: str, a: NDArray[np.int64], b: NDArray[np.int64]) -> list[Number]:
    distance, size = float(np.linalg.norm(a - b)), float(np.linalg.norm(a))
    upper = np.triu_indices(len(a))
    varied = len(np.unique(a[upper])) > 1 and len(np.unique(b[upper])) > 1
    correlation = float(np.corrcoef(a[upper], b[upper])[0, 1]) if varied else float("nan")
    return [
        number(view, first, f"frobenius:{diagonal}", distance),
        number(view, first, f"frobenius_relative:{diagonal}", distance / size if size else float("nan"), f"{first} has no finding at all"),
        number(view, first, f"correlation:{diagonal}", correlation, "one of the two matrices has the same number everywhere"),
    ]
