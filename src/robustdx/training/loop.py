"""The training loop: learn, judge, keep; resumable at any moment."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version

import torch

from robustdx import models
from robustdx.data import Dataset
from robustdx.data.batches import decoded
from robustdx.models import DiagnosticModel
from robustdx.store import Store
from robustdx.training import checkpoint
from robustdx.training.checkpoint import Progress, Record
from robustdx.training.judge import Judge
from robustdx.training.learner import Learner
from robustdx.training.order import Order, batches_in
from robustdx.training.plan import HardenPlan
from robustdx.training.step import Step

Watch = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much work is done, counted in passes over images of the model's size."""


@dataclass(frozen=True)
class Training:
    """Everything a training needs, loaded and checked; nothing has run yet."""

    plan: HardenPlan
    model: DiagnosticModel
    """With the weights that training starts from."""
    train: Dataset
    val: Dataset
    precision: str
    device: torch.device
    cut_groups: int = 0
    """How many patients or lesions lie in more than one split: each makes the validation numbers too good."""

    @property
    def judge(self) -> Judge:
        """What chooses the epoch."""
        return Judge(self.plan.judged_by, self.plan.adversary, self.plan.seed, self.plan.batch_size, self.precision)

    @property
    def order(self) -> Order:
        """Which images each epoch shows."""
        return Order(self.train, self.plan.seed, self.plan.sampling, self.plan.weighting, self.plan.effective)

    @property
    def batches(self) -> int:
        """Steps of an epoch."""
        return batches_in(len(self.train), self.plan.batch_size)

    def learner(self) -> Learner:
        """A learner before its first step."""
        model = copy.deepcopy(self.model).to(self.device).to(memory_format=torch.channels_last).train()
        return Learner(model, copy.deepcopy(model), self.plan, self.batches)

    def size(self, stage: int) -> tuple[int, int]:
        """Height and width of the images of a stage."""
        assert self.model.size is not None
        return self.plan.size_of(stage) or self.model.size

    def work(self, epochs: int) -> int:
        """What the first so many epochs cost, in passes over images of the model's size."""
        height, width = self.size(len(self.plan.stages) - 1)
        stages = [self.plan.stage_of(epoch) for epoch in range(epochs)]
        passes = [sum(self.plan.objective_of(s).passes) for s in stages]
        pixels = [self.size(s)[0] * self.size(s)[1] for s in stages]
        return round(sum(a * b for a, b in zip(passes, pixels, strict=True)) * len(self.train) / (height * width))


class Loop:
    """One training in one folder."""

    def __init__(self, training: Training, store: Store, watch: Watch, keep_every: float = 300.0) -> None:
        self.training, self.store, self.watch, self.keep_every = training, store, watch, keep_every
        self.learner, self.progress = training.learner(), Progress()
        kept = checkpoint.load(store, training.device)
        if kept is not None:
            self.progress = kept[0]
            self.learner.restore(kept[1])
        self.kept = time.monotonic()
        """When the last checkpoint was written."""
        self.stage = -1
        """The stage whose images are in memory."""

    def read(self) -> None:
        """Read the images of the stage that comes next into memory, once. Nothing is written.

        Raises:
            ImageError: the first image that cannot be read.
        """
        training = self.training
        stage = training.plan.stage_of(min(self.progress.epoch, training.plan.epochs - 1))
        if stage != self.stage:
            self.train, self.val = self._read(training.train, stage), self._read(training.val, stage)
            self.stage = stage

    def run(self, on_epoch: Callable[[Record], None] = lambda record: None) -> None:
        """Train from where the folder stands to the end; a checkpoint after each epoch and every `keep_every` seconds.

        Raises:
            RunError: the loss is no longer a number, or the disk refuses.
        """
        plan, device = self.training.plan, self.training.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            order = self.training.order
            while self.progress.epoch < plan.epochs:
                self.read()
                size, objective = self.training.size(self.stage), plan.objective_of(self.stage)
                self._learn(Step(plan, objective, self.train, size, order.weights, self.training.precision), order)
                self._judge(self.stage, self.val)
                on_epoch(self.progress.curve[-1])
        self._finish()

    def _learn(self, step: Step, order: Order) -> None:
        progress, batches = self.progress, order.batches(self.progress.epoch, self.training.plan.batch_size)
        for n in range(progress.batch, len(batches)):
            began = time.monotonic()
            progress.loss += step(self.learner, batches[n])
            progress.batch = n + 1
            progress.spent += time.monotonic() - began
            self._tell(progress.batch / len(batches))
            if time.monotonic() - self.kept > self.keep_every:
                self._save()

    def _judge(self, stage: int, val: Dataset) -> None:
        """End an epoch: its numbers, its weights if they are the best so far among those that may be chosen."""
        progress, judge, began = self.progress, self.training.judge, time.monotonic()
        numbers = judge(self.learner.average, val, self.training.size(stage))
        progress.curve.append(
            {
                "epoch": progress.epoch + 1,
                "size": list(self.training.size(stage)),
                "objective": self.training.plan.objective_name(stage),
                "loss": round(progress.loss / progress.batch, 6),
                **numbers,
            }
        )
        value = numbers.get(judge.criterion, 0.0)
        if stage == len(self.training.plan.stages) - 1 and value > progress.best_value:
            progress.best = {k: v.detach().clone() for k, v in self.learner.average.network.state_dict().items()}
            progress.best_epoch, progress.best_value = progress.epoch + 1, value
        progress.seconds.append(round(progress.spent + time.monotonic() - began, 1))
        progress.epoch, progress.batch, progress.loss, progress.spent = progress.epoch + 1, 0, 0.0, 0.0
        self._save()
        self._write_curve()

    def _save(self) -> None:
        checkpoint.save(self.store, self.progress, self.learner.state())
        self.kept = time.monotonic()

    def _write_curve(self) -> None:
        progress = self.progress
        self.store.write_json("times.json", {"seconds": progress.seconds})
        curve = {"chosen_by": self.training.judge.criterion, "chosen": progress.best_epoch, "epochs": progress.curve}
        self.store.write_json("curve.json", curve)

    def _finish(self) -> None:
        training, chosen = self.training, copy.deepcopy(self.training.model).eval()
        assert self.progress.best is not None
        chosen.network.load_state_dict(self.progress.best)
        self._write_curve()
        models.save(chosen, training.plan.model, self.store.path)
        made = {name: _sha256(self.store, name) for name in ("model.safetensors", "model.json", "curve.json")}
        images = {"train": len(training.train), "val": len(training.val)}
        facts = {"precision": training.precision, "images": images, "torch": torch.__version__, "sha256": made}
        self.store.write_json("manifest.json", {"schema": 1, "robustdx": version("robustdx"), **facts})
        checkpoint.remove(self.store)

    def _read(self, dataset: Dataset, stage: int) -> Dataset:
        size, channels = self.training.size(stage), self.training.model.channels
        return decoded(dataset, size, channels, on_read=lambda n: self._tell(0.0, "reading images"))

    def _tell(self, share: float, what: str = "") -> None:
        """Progress: `share` is how much of the epoch under way is done."""
        done, training = self.progress.epoch, self.training
        before, after = training.work(done), training.work(done + 1)
        name = what or f"epoch {done + 1} of {training.plan.epochs}"
        self.watch(name, before + round((after - before) * share), training.work(training.plan.epochs))


def _sha256(store: Store, name: str) -> str:
    return sha256((store.path / name).read_bytes()).hexdigest()
