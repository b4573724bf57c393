"""How well the classes can be told apart by the features, before and after an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from robustdx.analyses.layers import last_features
from robustdx.analyses.protocol import CLEAN, Arrays, Finding, Number, Seen, Views, number, require_task
from robustdx.errors import DataError, PlanError
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal

MOST_POINTS = 1000
"""Images on a picture."""
Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Separability:
    """Whether the classes still lie apart in the features: Fisher ratio, silhouette, linear probe; and a map of the images.

    `fisher` = between-class over within-class variance, tr S_b / tr S_w. `silhouette` from -1 to 1, 0 where classes lie in each other
    (Rousseeuw 1987). `probe` = balanced accuracy of a logistic regression on the standardised features, cross-validated by patient: is
    what it takes to decide still there? `probe_of_clean` = the same regression, learned on the clean features of the other patients: does
    it still lie where it was? An attack that moves images across the boundary leaves the first high and the second low. Classes are the
    true ones, throughout. With several findings, each is present or absent for itself, and the mean over findings is given too.

    Numbers: by view and layer, for findings also as MEASURE:FINDING. Pictures: `points:LAYER` (M, 2) by view, all views in one map, and
    `label:LAYER` (M, K) with the true labels to colour them by: a scatter, one panel for each view with the same axes. Cost: a pass of
    the model per image and view; to conclude, N^2 D for the silhouette and (1 + views) times `folds` regressions.
    """

    layers: tuple[str, ...] = ()
    """Layers of the network, by their names; left out, what its last linear layer is given: the features it decides by."""
    folds: int = 5
    """Parts that the patients are cut into for the probe; less where a class has fewer patients."""
    picture: Literal["pca", "t-sne", "none"] = "pca"
    """How the features are laid out in a plane: the two directions of most variance, or neighbourhoods (distances mean nothing then)."""

    tasks: ClassVar[tuple[type, ...]] = (Binary, MultiClass, MultiLabel, Ordinal)

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise PlanError(f"folds must be at least 2, got {self.folds}")

    def __call__(self, model: DiagnosticModel, views: Views) -> Seen:
        require_task(model.task, self.tasks, "separability")
        return Seen.of(model, views, last_features(model, views, self.layers))

    def conclude(self, seen: Seen) -> Finding:
        """Numbers `fisher`, `silhouette`, `probe` and `probe_of_clean`.

        Raises:
            DataError: all images are of one class, or no finding is present in some images and absent in others.
        """
        questions = _questions(seen)
        patients = None if seen.patients is None else np.unique(seen.patients, return_inverse=True)[1]
        numbers: list[Number] = []
        for layer in seen.rows[CLEAN]:
            features = {view: np.asarray(seen.rows[view][layer], dtype=np.float64) for view in seen.views}
            told = {name: _told(features, *question, patients, self.folds) for name, question in questions.items()}
            for view in seen.views:
                numbers += _numbers(view, layer, {name: found[view] for name, found in told.items()})
        return Finding(tuple(numbers), _picture(seen, self.picture))


def fisher_ratio(features: Floats, classes: NDArray) -> float:
    """tr S_b / tr S_w: variance of the class means, weighted by size, over the mean variance around them; NaN where that is 0."""
    mean = features.mean(0)
    groups = [features[classes == c] for c in np.unique(classes)]
    between = sum(len(g) * np.square(g.mean(0) - mean).sum() for g in groups)
    within = sum(np.square(g - g.mean(0)).sum() for g in groups)
    return float(between / within) if within > 0 else float("nan")


def silhouette(features: Floats, classes: NDArray) -> float:
    """The mean silhouette of scikit-learn; NaN where every image is a class of its own."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(features, classes)) if len(np.unique(classes)) < len(classes) else float("nan")


def probe(learned: Floats, asked: Sequence[Floats], classes: NDArray, patients: NDArray | None, folds: int) -> list[float]:
    """Balanced accuracy of a logistic regression, learned on `learned` and asked on each of `asked`, always on other patients.

    NaN where a class has a single patient: then nothing is left to learn it from.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    groups = np.arange(len(classes)) if patients is None else patients
    folds = min(folds, *(len(np.unique(groups[classes == c])) for c in np.unique(classes)))
    if folds < 2:
        return [float("nan")] * len(asked)
    said = [np.empty_like(classes) for _ in asked]
    for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(learned, classes, groups):
        regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(learned[train], classes[train])
        for out, features in zip(said, asked, strict=True):
            out[test] = regression.predict(features[test])
    return [float(balanced_accuracy_score(classes, out)) for out in said]


def _questions(seen: Seen) -> dict[str, tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """What the classes are: by name ("" for the one question of a task with one answer), the images asked and their classes."""
    if not seen.findings:
        classes = seen.truth[:, 0].astype(np.int64)
        if len(np.unique(classes)) < 2:
            only = seen.classes[classes[0]] if len(classes) else "none"
            raise DataError(f"separability needs images of at least 2 classes, all {len(classes)} are of {only}: give images of others too")
        return {"": (np.arange(len(classes)), classes)}
    found = {}
    for k, name in enumerate(seen.classes):
        asked = np.flatnonzero(~np.isnan(seen.truth[:, k]))
        present = seen.truth[asked, k].astype(np.int64)
        if len(np.unique(present)) == 2:
            found[name] = (asked, present)
    if not found:
        raise DataError("separability needs a finding that is present in some images and absent in others, there is none: give more images")
    return found


def _told(
    features: dict[str, Floats], asked: NDArray[np.intp], classes: NDArray[np.int64], patients: NDArray | None, folds: int
) -> dict[str, dict[str, float]]:
    """By view, what one question comes to."""
    own = {view: f[asked] for view, f in features.items()}
    who = None if patients is None else patients[asked]
    of_clean = dict(zip(own, probe(own[CLEAN], list(own.values()), classes, who, folds), strict=True))
    return {
        view: {
            "fisher": fisher_ratio(f, classes),
            "silhouette": silhouette(f, classes),
            "probe": of_clean[view] if view == CLEAN else probe(f, [f], classes, who, folds)[0],
            "probe_of_clean": of_clean[view],
        }
        for view, f in own.items()
    }


WHY = {
    "fisher": "the features do not vary inside the classes",
    "silhouette": "every image is a class of its own",
    "probe": "a class has images of one patient only: there is nobody else to learn it from",
}


def _numbers(view: str, layer: str, told: dict[str, dict[str, float]]) -> list[Number]:
    """The one question's, or the mean over findings and each finding's."""
    measures = next(iter(told.values()))
    whole = [number(view, layer, m, _mean([t[m] for t in told.values()]), WHY[m.removesuffix("_of_clean")]) for m in measures]
    if list(told) == [""]:
        return whole
    return whole + [
        number(view, layer, f"{m}:{name}", t[m], WHY[m.removesuffix("_of_clean")]) for name, t in told.items() for m in measures
    ]


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


def _picture(seen: Seen, how: str) -> Mapping[str, Arrays]:
    """Coordinates in a plane that all views share."""
    shown = min(len(seen.ids), MOST_POINTS)
    found: dict[str, dict[str, Any]] = {view: {} for view in seen.views}
    for layer in seen.rows[CLEAN] if how != "none" else ():
        together = np.concatenate([seen.rows[view][layer][:shown] for view in seen.views]).astype(np.float64)
        for view, points in zip(seen.views, np.split(_laid_out(together, how), len(seen.views)), strict=True):
            found[view] |= {f"points:{layer}": points, f"label:{layer}": seen.truth[:shown]}
    return found


def _laid_out(features: Floats, how: str) -> Floats:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    flat = PCA(n_components=min(2, *features.shape), svd_solver="full").fit_transform(features)
    flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    if how == "pca" or len(features) < 4:
        return flat
    return TSNE(perplexity=min(30.0, (len(features) - 1) / 3), init="pca", random_state=0).fit_transform(features).astype(np.float64)
