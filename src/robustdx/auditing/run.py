"""The audit itself: plan -> cells -> records, resumable at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from robustdx.attacks import Attack
from robustdx.auditing.cell import Batch, Judge, Row, attacked_rows, clean_rows
from robustdx.auditing.escalation.conduct import budgets, escalate
from robustdx.auditing.natural.cells import make_natural, natural_cells, said
from robustdx.auditing.pictures import Pictures
from robustdx.auditing.plan import AuditPlan, clean_cell
from robustdx.auditing.summary import write_results
from robustdx.data import Dataset, Example
from robustdx.data.batches import batch, decoded
from robustdx.data.masks import masks
from robustdx.data.split import subset
from robustdx.models import DiagnosticModel
from robustdx.models.crafting import Subject, still
from robustdx.models.reconnected import Reconnected
from robustdx.records import SCHEMA, Cell, table
from robustdx.store import Store
from robustdx.threats import Threat

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many images of the whole run are done."""


@dataclass(frozen=True)
class Audit:
    """Everything an audit needs, loaded and checked; nothing has run yet."""

    plan: AuditPlan
    model: DiagnosticModel
    data: Mapping[str, Dataset]
    """The split to audit, and "val" where the operating point can be fixed on clean validation images."""
    split: str
    precision: str
    device: torch.device
    data_name: str
    cut_groups: int
    """How many patients or lesions lie in more than one split of the data: each makes a test result too good."""
    surrogate: DiagnosticModel | None = None
    """What images are crafted on, where that is not the model itself."""
    own_gradient: bool = True
    """Whether a gradient comes back from what they are crafted on; if not, one is put in its place (`Reconnected`)."""

    @property
    def cells(self) -> list[tuple[Cell, Attack | None, Threat | None]]:
        """Clean images first: what comes later is compared with them."""
        clean: list[tuple[Cell, Attack | None, Threat | None]] = [(clean_cell(s), None, None) for s in self.data]
        return clean + list(self.plan.cells(self.split))

    @property
    def natural(self) -> list[tuple[Cell, Any]]:
        """The cells without an adversary, with their methods."""
        return list(natural_cells(self.plan, self.split, self.data[self.split]))

    @property
    def foreseen(self) -> list[Cell]:
        """All cells but those of the escalation, which depend on what is found."""
        return [cell for cell, _, _ in self.cells] + [cell for cell, _ in self.natural]

    @property
    def images(self) -> int:
        """How many images all cells have together: the length of the run."""
        return sum(len(self.shown(cell)) for cell in self.foreseen) + len(budgets(self)) * len(self.data[self.split])

    def shown(self, cell: Cell) -> Dataset:
        """The images of a cell: its split, or those drawn from it."""
        whole = self.data[cell.split]
        return whole if cell.images is None else subset(whole, cell.images, self.plan.seed)

    def read(self, progress: Progress) -> Audit:
        """The same audit with every image decoded once and held in memory.

        Images attacked at their original sizes are read to see that they can be, and read again when their turn comes.

        Raises:
            ImageError: the first image that cannot be read.
        """
        return replace(self, data={split: self._read(split, progress) for split in self.data})

    def run(self, store: Store, progress: Progress) -> None:
        """Make every cell that is not whole yet, then the numbers."""
        judge, exact, fast = self.networks()
        clean: dict[str, Row] = {}
        done = 0
        with still(judge), still(exact), still(fast):
            for cell, attack, threat in self.cells:
                if not store.has(cell):
                    pictures = Pictures(store, cell, self.plan.pictures)
                    craft = Craft(self.judge(judge), exact, fast, attack, threat, cell, self.plan.seed, clean, pictures)
                    self.make(store, craft, self.shown(cell), partial(self._tell, progress, cell, done))
                if attack is None:
                    clean |= {row["id"]: row for row in store.records(cell).to_pylist()}
                done += len(self.shown(cell))
                self._tell(progress, cell, done, 0)
            escalate(self, store, judge, clean, self._after(progress, done))
            done += len(budgets(self)) * len(self.data[self.split])
            make_natural(self, store, judge, clean, self._at_last(progress, done))
        write_results(store)

    def _after(self, progress: Progress, done: int) -> Callable[[Cell, int], None]:
        """Tells of the escalation, after the images of the plan's cells."""
        order = {threat.eps: n for n, threat in enumerate(budgets(self))}
        return lambda cell, n: self._tell(progress, cell, done + order[cell.eps] * len(self.data[self.split]), n)

    def _at_last(self, progress: Progress, done: int) -> Callable[[Cell, int], None]:
        """Tells of the cells without an adversary, after everything else."""
        before = {}
        for cell, _ in self.natural:
            before[cell.key], done = done, done + len(self.shown(cell))
        return lambda cell, n: self._tell(progress, cell, before[cell.key], n)

    def _tell(self, progress: Progress, cell: Cell, before: int, images: int) -> None:
        progress(_say(cell), before + images, self.images)

    def networks(self) -> tuple[DiagnosticModel, DiagnosticModel, DiagnosticModel]:
        """The model that judges and the one that images are crafted on, in float32, and the one that searches: copies, channels last."""
        judge = self.model.in_precision(torch.float32).to(self.device)
        exact = judge if self.surrogate is None else self.surrogate.in_precision(torch.float32).to(self.device)
        exact = exact if self.own_gradient else Reconnected(exact)
        return judge, exact, exact if self.precision == "float32" else exact.in_precision(getattr(torch, self.precision))

    def judge(self, model: DiagnosticModel) -> Judge:
        """The model as it is asked about attacked images."""
        return Judge(model, self.plan.submissions or 1)

    @property
    def step(self) -> int:
        """Images at a time: one by one where each keeps its own size."""
        return 1 if self.model.resize else self.plan.batch_size

    def _read(self, split: str, progress: Progress) -> Dataset:
        dataset, sizes = self.data[split], dict[str, tuple[int, int]]()

        def tell(n: int) -> None:
            progress("reading images", n, len(dataset))

        if self.model.resize:
            for n, example in enumerate(dataset.examples, start=1):
                height, width, _ = dataset.read(example, None, self.model.channels).shape
                sizes[example.id] = height, width
                tell(n)
        else:
            assert self.model.size is not None
            dataset = decoded(dataset, self.model.size, self.model.channels, on_read=tell)
        return dataset if self.plan.region is None or split != self.split else self._with_masks(dataset, sizes)

    def _with_masks(self, dataset: Dataset, sizes: Mapping[str, tuple[int, int]]) -> Dataset:
        """The same set with every mask read once, at the size of the network or of its own image, and held in memory."""
        held = {e.id: masks(dataset, [e], sizes.get(e.id) or self.model.size or (0, 0))[0] for e in dataset.examples}
        return replace(dataset, mask=lambda example, size: held[example.id])

    def make(self, store: Store, craft: Maker, dataset: Dataset, progress: Callable[[int], None]) -> None:
        """One cell, batch by batch, from the first batch that is not kept yet."""
        starts = range(0, len(dataset), self.step)
        kept = store.parts(craft.cell)
        for n, start in list(enumerate(starts))[kept:]:
            began = time.monotonic()
            indices = range(start, min(start + self.step, len(dataset)))
            rows = craft(self.batch(dataset, indices, attacked=craft.threat is not None), n)
            records = table(rows, getattr(craft, "schema", SCHEMA))
            store.add_part(craft.cell, n, records, time.monotonic() - began)
            progress(start + len(rows))
        store.finish(craft.cell, len(starts))

    def batch(self, dataset: Dataset, indices: Sequence[int], *, attacked: bool = True) -> Batch:
        size = None if self.model.resize else self.model.size
        pixels, y = batch(dataset, indices, size, self.model.channels)
        x = (pixels.to(self.device).float() / 255).contiguous(memory_format=torch.channels_last)
        examples = [dataset.examples[i] for i in indices]
        self.model.task.require_labels(y)
        ids, patients = tuple(e.id for e in examples), tuple(e.patient for e in examples)
        return Batch(x, y.to(self.device), ids, patients, self._region(dataset, examples, x) if attacked else None)

    def _region(self, dataset: Dataset, examples: Sequence[Example], x: Tensor) -> Tensor | None:
        """The pixels that the plan lets the adversary change."""
        if self.plan.region is None:
            return None
        inside = torch.from_numpy(masks(dataset, examples, (x.shape[2], x.shape[3])))[:, None].to(self.device)
        return inside if self.plan.region == "inside" else ~inside


class Maker(Protocol):
    """What makes the rows of a cell, batch by batch; its `schema` says their columns, where it is not `records.SCHEMA`."""

    @property
    def cell(self) -> Cell:
        """Which cell."""
        ...

    @property
    def threat(self) -> Threat | None:
        """What an adversary may do; None where there is none."""
        ...

    def __call__(self, batch: Batch, n: int) -> list[Row]:
        """A row for each image of batch n."""
        ...


@dataclass(frozen=True)
class Craft:
    """How the batches of one cell are made."""

    judge: Judge
    """The model that is audited."""
    exact: DiagnosticModel
    """What images are crafted on: the same, or a surrogate."""
    fast: DiagnosticModel
    attack: Attack | None
    threat: Threat | None
    cell: Cell
    seed: int
    clean: Mapping[str, Row]
    """Records of the images as they came, by id."""
    pictures: Pictures | None

    def __call__(self, batch: Batch, n: int) -> list[Row]:
        if self.attack is None or self.threat is None:
            return clean_rows(self.judge.model, batch, self.seed)
        clean = [self.clean[i] for i in batch.ids]
        subject = Subject(self.exact, self.fast)
        rows, saved = attacked_rows(subject, batch, clean, self.attack, self.threat, self.cell.attack, self.seed, self.judge)
        if self.pictures is not None:
            self.pictures.keep(n, rows, batch.x, saved)
        return rows


def _say(cell: Cell) -> str:
    if cell.natural:
        return said(cell)
    if cell.attack == "clean":
        return f"clean {cell.split}"
    return f"{cell.attack} at {f'{cell.eps * 255:.4g}/255' if cell.threat == 'linf' else f'{cell.eps:g}'}"
