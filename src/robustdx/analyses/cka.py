"""How much of what a layer tells images apart by is left under attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from robustdx.analyses.layers import layer_features
from robustdx.analyses.protocol import CLEAN, Finding, Number, Seen, Views, number, require_task
from robustdx.errors import DataError, PlanError
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal

FEWEST = 4
"""Images that the unbiased form takes at least."""


@final
@dataclass(frozen=True, kw_only=True)
class CKA:
    """Linear centred kernel alignment of clean and attacked features, layer by layer (Kornblith et al. 2019, section 3).

        CKA = HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)),    X, Y = (N, D) features of the clean and of the attacked images

    1: the layer tells the images apart just as before, up to a rotation and a common scale; 0: not at all. `cka` takes HSIC1 of Song et
    al. 2012, which is not biased by few images (and may come out a little below 0), `cka_biased` the plain form ||Y'X||^2, which comes out
    too high where images are few and features many. Numbers: by attacked view and layer. Pictures: none; the numbers over the layers in
    their order are one line for each attack. Cost: one pass of the model per image and view; to conclude, N D min(N, D) per layer.
    """

    layers: tuple[str, ...] = ()
    """Layers of the network, by their names; left out, its large blocks in order (12 at most)."""
    grid: int = 1
    """Rows and columns that a map is averaged to before it is compared: 1 takes its mean, 0 the whole map (much memory)."""

    tasks: ClassVar[tuple[type, ...]] = (Binary, MultiClass, MultiLabel, Ordinal)

    def __post_init__(self) -> None:
        if self.grid < 0:
            raise PlanError(f"grid must be 0 (the whole map) or more, got {self.grid}")

    def __call__(self, model: DiagnosticModel, views: Views) -> Seen:
        require_task(model.task, self.tasks, "cka")
        return Seen.of(model, views, layer_features(model, views, self.layers, self.grid))

    def conclude(self, seen: Seen) -> Finding:
        """Numbers `cka` and `cka_biased`.

        Raises:
            DataError: less than four images.
        """
        if len(seen.ids) < FEWEST:
            raise DataError(f"cka needs at least {FEWEST} images to compare features on, got {len(seen.ids)}: give more images")
        numbers: list[Number] = []
        for view in seen.attacked:
            for layer, attacked in seen.rows[view].items():
                clean = seen.rows[CLEAN][layer]
                for measure, unbiased in (("cka", True), ("cka_biased", False)):
                    value = linear_cka(clean, attacked, unbiased=unbiased)
                    numbers.append(number(view, layer, measure, value, "the layer does not tell these images apart"))
        return Finding(tuple(numbers))


def linear_cka(x: NDArray, y: NDArray, *, unbiased: bool = True) -> float:
    """Linear CKA of features (N, D) and (N, E) of the same images; NaN where one of them does not vary (beyond chance, if unbiased)."""
    x, y = _centred(x), _centred(y)
    own = _hsic(x, x, unbiased), _hsic(y, y, unbiased)
    return float(_hsic(x, y, unbiased) / np.sqrt(own[0] * own[1])) if min(own) > 0 else float("nan")


def _hsic(x: NDArray[np.float64], y: NDArray[np.float64], unbiased: bool) -> float:
    """HSIC of centred features up to a factor that CKA cancels: HSIC1 = tr(K L) + 1'K1 1'L1 / ((n-1)(n-2)) - 2/(n-2) 1'K L1.

    K = xx' and L = yy' without their diagonals, never written out: their products are those of the features.
    """
    n = len(x)
    both = (x.T @ y) if n > max(x.shape[1], y.shape[1]) else None
    shared = float(np.square(both).sum()) if both is not None else float(((x @ x.T) * (y @ y.T)).sum())
    if not unbiased:
        return shared
    k, l = np.square(x).sum(1), np.square(y).sum(1)
    # The rows of a centred kernel sum to 0, so without their diagonal they sum to what is minus the diagonal.
    return shared - float(k @ l) + float(k.sum() * l.sum()) / ((n - 1) * (n - 2)) - 2 / (n - 2) * float(k @ l)


def _centred(values: NDArray) -> NDArray[np.float64]:
    """Less the mean over images; rounding is taken for no variation."""
    tall = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    centred = tall - tall.mean(0)
    return np.where(np.abs(centred) <= 1e-6 * np.abs(tall).max(initial=0), 0.0, centred)
