"""What can be proved of a model: votes under noise for each image, resumable at any moment.

RUN/
  plan.json, run.json, manifest.json    as for an audit
  cells/smoothing-l2-.../records.parquet    the votes, from which all else is computed
  empirical/       where attacks were asked for: an ordinary audit of the smoothed model
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from robustdx.attacks import follows_gradient
from robustdx.auditing import prepare
from robustdx.auditing.cell import Batch
from robustdx.auditing.certificates.plan import CertifyPlan
from robustdx.auditing.certificates.results import MADE
from robustdx.auditing.requirements import gives_gradient
from robustdx.auditing.run import Audit, Progress
from robustdx.catalogue import dump
from robustdx.data import Dataset
from robustdx.models import Defended, Smoothed, still
from robustdx.purifiers import PURIFIERS
from robustdx.records import Cell
from robustdx.store import Store

VOTES = pa.list_(pa.int32())
SCHEMA = pa.schema(
    [
        *(("id", pa.string()), ("patient", pa.string()), ("label", pa.list_(pa.float32()))),
        *(("selected", VOTES), ("estimated", VOTES), ("forwards", pa.int64())),
    ]
)
"""Votes of the selection and of the estimate for each class; of several findings absent and present, one finding after the other."""
TOLD = 1024
"""Noisy images between two moves of the progress bar."""
Part = Callable[[int], None]


@dataclass(frozen=True)
class Certification:
    """Everything that certificates need, loaded and checked; nothing has run yet."""

    plan: CertifyPlan
    audit: Audit
    """The data, and the model behind its purifier, before the noise."""

    @classmethod
    def prepare(cls, plan: CertifyPlan, *, trust_code: bool = False, device: str = "cpu") -> Certification:
        """Load what a plan names.

        Raises:
            PlanError, DataError, ModelError: what does not exist or does not fit.
        """
        attacks = [attack for _, attack in plan.empirical.methods()]
        purifier = None if plan.purifier is None else PURIFIERS.parse(plan.purifier)
        loaded = prepare.prepare(plan.audit, trust_code=trust_code, device=device)
        if any(follows_gradient(attack) for attack in attacks):
            gives_gradient(loaded.model)
        model = loaded.model if purifier is None else Defended(loaded.model, purifier)
        return cls(plan, replace(loaded, model=model, data={loaded.split: loaded.data[loaded.split]}))

    @property
    def data(self) -> Dataset:
        return self.audit.data[self.audit.split]

    @property
    def cell(self) -> Cell:
        """What the table of votes is about; its eps is sigma."""
        settings = {k: v for k, v in dump(self.plan).items() if k in ("sigma", "samples", "alpha", "purifier")}
        return Cell(
            attack="smoothing",
            threat="l2",
            eps=self.plan.sigma,
            split=self.audit.split,
            settings=settings,
            early_stop=False,
            verdict="votes",
        )

    @property
    def words(self) -> dict[str, Any]:
        """What the run folder belongs to."""
        return {**prepare.words(self.audit), **dump(self.plan), "made": MADE}

    def facts(self, command: str) -> dict[str, Any]:
        """What the report says about the run (run.json)."""
        size = self.audit.model.size
        values = None if self.audit.model.resize or size is None else self.audit.model.channels * size[0] * size[1]
        own = {"made": MADE, "plan": dump(self.plan), "largest_radius": self.plan.largest, "values_per_image": values}
        return {**prepare.facts(self.audit, command), **own}

    def attacked(self) -> Audit:
        """The audit that attacks the same smoothed model under L2."""
        smoothed = Smoothed(self.audit.model, self.plan.sigma, self.plan.draws)
        return replace(self.audit, plan=self.plan.empirical, model=smoothed)

    def read(self, progress: Progress) -> Certification:
        """The same with every image read once: one that cannot be read is refused before the folder is touched."""
        return replace(self, audit=self.audit.read(progress))

    def run(self, store: Store, progress: Progress) -> None:
        """Count the votes that are not kept yet, image by image. Cost per image: as many forward passes as both numbers of samples."""
        judge, _, _ = self.audit.networks()
        smoothed, step, each = Smoothed(judge, self.plan.sigma), self.audit.step, sum(self.plan.samples)
        starts = range(0, len(self.data), step)
        if store.has(self.cell):
            return
        with still(smoothed):
            for n in range(store.parts(self.cell), len(starts)):
                began, indices = time.monotonic(), range(starts[n], min(starts[n] + step, len(self.data)))
                tell = _counted(progress, starts[n] * each, len(self.data) * each)
                rows = self._rows(smoothed, self.audit.batch(self.data, indices), tell)
                store.add_part(self.cell, n, pa.Table.from_pylist(rows, schema=SCHEMA), time.monotonic() - began)
        store.finish(self.cell, len(starts))

    def _rows(self, model: Smoothed, batch: Batch, tell: Part) -> list[dict[str, Any]]:
        size, found = len(batch.ids), {}
        for name, samples in zip(("selected", "estimated"), self.plan.samples, strict=True):
            found[name] = self._votes(model, batch, name, samples, tell).flatten(1).tolist()
        passes = sum(self.plan.samples) * model.model.passes
        labels = batch.y.reshape(size, -1).tolist()
        return [
            {"id": i, "patient": p, "label": y, "selected": s, "estimated": e, "forwards": passes}
            for i, p, y, s, e in zip(batch.ids, batch.patients, labels, found["selected"], found["estimated"], strict=True)
        ]

    def _votes(self, model: Smoothed, batch: Batch, name: str, samples: int, tell: Part) -> Tensor:
        """The votes of one of the two sets of draws, which share none."""
        draws, size = batch.draws(self.plan.seed).fork("certify", name), len(batch.ids)
        step, counts = max(1, TOLD // size), torch.zeros(1, dtype=torch.long, device=batch.x.device)
        for start in range(0, samples, step):
            part = range(start, min(start + step, samples))
            counts = counts + model.votes(batch.x, draws, part)
            tell(len(part) * size)
        return counts


def _counted(progress: Progress, before: int, total: int) -> Part:
    """A bar that counts noisy images."""
    done = before

    def tell(more: int) -> None:
        nonlocal done
        done += more
        progress("noisy images", done, total)

    return tell
