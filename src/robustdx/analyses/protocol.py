"""What an analysis is handed, what it sees of a batch, and what it says in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from robustdx.catalogue import a
from robustdx.draws import Draws
from robustdx.errors import DataError, ImageError, UnsupportedTask
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiLabel, Task, plain
from robustdx.tensors import Images, Labels

CLEAN = "clean"
"""The name of the images as they were."""
TRUTH = "truth"
"""What the labels say, where it stands beside views."""
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Views:
    """One batch of images as they were, and the same images under each attack: what an analysis is handed."""

    clean: Images
    """The images as they were, (B, C, H, W) in [0, 1]."""
    attacked: Mapping[str, Images]
    """The same images by the name of what was done to them: "pgd", "gap", "noise"."""
    y: Labels
    """The true labels."""
    draws: Draws
    """The streams of these images; a stochastic model draws the same for every view."""
    patients: tuple[str, ...] | None = None
    """The patient of each image, where known."""
    masks: Tensor | None = None
    """(B, H, W): 1 inside the region (the lesion), where known."""

    def __post_init__(self) -> None:
        if not self.attacked or {CLEAN, TRUTH} & set(self.attacked):
            raise DataError(f"expected one or more attacked views by name, none called {CLEAN} or {TRUTH}, got {list(self.attacked)}")
        for name, x in self.attacked.items():
            if x.shape != self.clean.shape:
                raise ImageError(
                    f"the view {name!r}: expected the same images as the clean ones, {tuple(self.clean.shape)}, got {tuple(x.shape)}"
                )
        if self.masks is not None and self.masks.shape != (len(self.clean), *self.clean.shape[2:]):
            shape = (len(self.clean), *self.clean.shape[2:])
            raise ImageError(f"expected masks of shape {shape}, one for each image and at its size, got {tuple(self.masks.shape)}")
        if len(self.draws.ids) != len(self.clean) or len(self.y) != len(self.clean):
            raise DataError(
                f"expected a label and a stream for each of {len(self.clean)} images, got {len(self.y)} labels and {len(self.draws.ids)} "
                "streams: keep them together with draws.take"
            )
        if self.patients is not None and len(self.patients) != len(self.clean):
            raise DataError(f"expected a patient for each of {len(self.clean)} images, got {len(self.patients)}")

    @property
    def all(self) -> dict[str, Images]:
        """Every view by name, the clean one first."""
        return {CLEAN: self.clean, **self.attacked}


@dataclass(frozen=True, eq=False)
class Seen:
    """What an analysis saw of some images: a row for each image, without torch, small enough to keep for all of them."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    truth: NDArray[np.float64]
    """(N, 1) class indices or (N, K) of 0, 1 and NaN."""
    findings: bool
    """Whether several findings may be true at once, so that `truth` has a column for each."""
    rows: Mapping[str, Arrays]
    """By view, then by what it is of: (N, ...)."""
    patients: tuple[str, ...] | None = None
    pictures: Mapping[str, Arrays] = field(default_factory=dict)
    """By view, then by what it is of: (M, ...) for the first M images."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """What could not be looked at in this network, and why."""

    @property
    def views(self) -> tuple[str, ...]:
        return tuple(self.rows)

    @property
    def attacked(self) -> tuple[str, ...]:
        """The views other than the clean one."""
        return tuple(view for view in self.rows if view != CLEAN)

    @classmethod
    def of(
        cls,
        model: DiagnosticModel,
        views: Views,
        rows: Mapping[str, Arrays],
        pictures: Mapping[str, Arrays] | None = None,
        lacking: Mapping[str, str] | None = None,
    ) -> Seen:
        """What was seen of one batch."""
        truth = np.asarray(views.y.detach().cpu(), dtype=np.float64).reshape(len(views.clean), -1)
        task = plain(model.task)
        findings = isinstance(task, MultiLabel)
        return cls(views.draws.ids, task.classes, truth, findings, rows, views.patients, pictures or {}, lacking or {})

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """What was seen of several batches as one.

        Raises:
            DataError: none at all, or batches under different attacks.
        """
        if not parts or any(p.views != parts[0].views for p in parts):
            raise DataError(f"expected batches that were seen under the same attacks, got {[list(p.views) for p in parts]}")
        patients = [p.patients for p in parts if p.patients is not None]
        return cls(
            ids=sum((p.ids for p in parts), ()),
            classes=parts[0].classes,
            truth=np.concatenate([p.truth for p in parts]),
            findings=parts[0].findings,
            rows=_joined([p.rows for p in parts]),
            patients=sum(patients, ()) if len(patients) == len(parts) else None,
            pictures=_joined([p.pictures for p in parts]),
            lacking=parts[0].lacking,
        )


@dataclass(frozen=True)
class Number:
    """One number that an analysis says."""

    view: str
    """Of which images: "clean" or the name of an attack."""
    where: str
    """Of what: a layer, a map, a matrix."""
    measure: str
    """What was measured: "fisher", "cka", "pearson", ..."""
    value: float | None
    """None where it has no meaning."""
    why: str = ""
    """Why it has none, in words; or what to know about it."""


@dataclass(frozen=True, eq=False)
class Finding:
    """What an analysis says in the end: numbers that JSON can hold, and what its pictures are drawn from."""

    numbers: tuple[Number, ...]
    pictures: Mapping[str, Arrays] = field(default_factory=dict)
    """By view, then by what it is of. Each analysis says which, and how it is drawn."""

    def value(self, view: str, where: str, measure: str) -> float | None:
        """One number by its three names."""
        return next(n.value for n in self.numbers if (n.view, n.where, n.measure) == (view, where, measure))

    def words(self) -> list[dict[str, Any]]:
        """The numbers as JSON, a row each."""
        return [vars(n) | {"value": None if n.value is None else float(n.value)} for n in self.numbers]


@runtime_checkable
class Analysis(Protocol):
    """How an attack works inside a network: settings only; a batch is looked at by a call, and `conclude` says what all show.

    `analysis.conclude(Seen.joined([analysis(model, views) for views in batches]))`: memory does not grow with pixels, and each batch can
    be kept by itself. The model is looked at in eval mode with frozen weights, and is left as it was.
    """

    tasks: ClassVar[tuple[type, ...]]
    """The tasks for which it has a meaning."""

    def __call__(self, model: DiagnosticModel, views: Views) -> Seen:
        """What is seen of one batch."""
        ...

    def conclude(self, seen: Seen) -> Finding:
        """What all batches say together."""
        ...


def number(view: str, where: str, measure: str, value: float, why: str = "it has no meaning here") -> Number:
    """A number; one that is not finite is left out with its reason."""
    return Number(view, where, measure, float(value)) if np.isfinite(value) else Number(view, where, measure, None, why)


def require_task(task: Task, known: Sequence[type], what: str) -> Task:
    """The task below an adversary's aim, if the analysis has a meaning for it.

    Raises:
        UnsupportedTask: names the task and those that it has one for.
    """
    found = plain(task)
    if not isinstance(found, tuple(known)):
        names = " or ".join(cls.__name__ for cls in known)
        raise UnsupportedTask(f"{what} has a meaning for {names}, this model is {a(type(found).__name__)}: leave it out of analyses")
    return found


def _joined(parts: Sequence[Mapping[str, Arrays]]) -> dict[str, Arrays]:
    """Batch after batch; what not every batch has (masks, for one) is left out."""
    return {
        view: {of: np.concatenate([p[view][of] for p in parts]) for of in parts[0][view] if all(of in p[view] for p in parts)}
        for view in parts[0]
    }
