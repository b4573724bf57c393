"""The training loop: learn, judge, keep; resumable at any moment."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version

import torch

from robustdx import models
from robustdx.data import Dataset
from robustdx.errors import Diverged, RunError
from robustdx.store import Store
from robustdx.training import OBJECTIVES, checkpoint
from robustdx.training.attend import Attendant
from robustdx.training.care import Record
from robustdx.training.checkpoint import Progress
from robustdx.training.loaded import Training
from robustdx.training.monitors.probe import Probe
from robustdx.training.order import Order
from robustdx.training.pace import Pace
from robustdx.training.step import Step
from robustdx.training.streaming import Ahead, in_memory_or_ahead
from robustdx.training.team import ALONE, Team

Watch = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much work is done, counted in passes over images of the model's size."""


def unheard(record: Record) -> None:
    """For one who does not want to be told."""


class Loop:
    """One training in one folder."""

    def __init__(self, training: Training, store: Store, watch: Watch, keep_every: float = 300.0, team: Team = ALONE) -> None:
        self.team = team
        self.training, self.store, self.watch, self.keep_every = training, store, watch, keep_every
        self.learner, self.progress = training.learner(team), Progress()
        self._resume()
        self.kept = time.monotonic()
        """When the last checkpoint was written."""
        self.began = time.monotonic() - self.progress.elapsed
        """When this training would have begun, had it never been stopped."""
        self.pace = Pace.of(training) if training.plan.seconds is not None else None
        self.stage = -1
        """The stage whose images are in memory."""

    def _resume(self) -> None:
        kept = checkpoint.load(self.store, self.training.device)
        if kept is None:
            return
        self.progress = kept[0]
        try:
            self.learner.restore(kept[1])
        except (RuntimeError, ValueError, KeyError) as error:
            file, source = self.store.path / checkpoint.FILE, self.training.plan.model.source
            raise RunError(
                f"{file} is of another network than {source} is now: remove the folder and start anew, or bring back the network it was"
            ) from error

    def read(self) -> bool:
        """Read the images of the stage that comes next into memory, once, as far as they fit; whether all did. Nothing is written.

        Raises:
            ImageError: the first image that cannot be read.
        """
        training = self.training
        stage = training.plan.stage_of(self.progress.place)
        if stage != self.stage:
            self.train = self.val = training.train  # those of the stage before are let go
            self.val = self._read(training.val, stage)
            self.train = self._read(training.train, stage)
            self.stage = stage
        return not any(isinstance(d.read, Ahead) for d in (self.train, self.val))

    def run(self, on_epoch: Callable[[Record], None] = unheard, on_event: Callable[[Record], None] = unheard) -> None:
        """Train from where the folder stands to the end; a checkpoint after each epoch and every `keep_every` seconds.

        Raises:
            RunError: the loss is no longer a number, or the disk refuses.
        """
        plan, device = self.training.plan, self.training.device
        if self.team.leads:
            checkpoint.require_room(self.store, self.learner.state(), 2 if plan.optimiser == "adamw" else 1)
        self.team.meet()  # before anything is written: all have read the same checkpoint
        self.attendant = Attendant(self.training, self.learner, self.progress, on_event)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            if plan.monitors:
                self.attendant.begin()
            while not self._over():
                self.read()
                if self._learned() and self._judged():
                    on_epoch(self.progress.curve[-1])
        if self.team.leads:
            self._finish()

    def _over(self) -> bool:
        """Whether the last step is taken: of the plan's, or of those that fit into its time."""
        ended = self.progress.place >= self.training.plan.epochs if self.pace is None else self.learner.step >= self.learner.whole
        return ended or self.progress.care.stopped

    def _learned(self) -> bool:
        """Go through the rest of the epoch; whether it came to its end."""
        training, order = self.training, self.training.order
        weights = order.boosted({training.train.classes.index(name): boost for name, boost in self.progress.care.boosts.items()})
        threat = training.plan.adversary_of(self.stage)
        step = Step(training.plan, self.attendant.objective(), self.train, training.size(self.stage), threat, weights, training.precision)
        try:
            self._learn(step, order)
        except Diverged as error:
            if not training.plan.monitors:
                raise
            self.attendant.diverged(error)
            self._save()
            self._write_curve()
            return False
        return True

    def _learn(self, step: Step, order: Order) -> None:
        progress, batches = self.progress, order.batches(self.progress.epoch, self.training.plan.step_images)
        last = len(batches) if self.pace is not None and self._last_stage else self.training.steps_of(progress.place)
        for n in range(progress.batch, last):
            if self._over():
                break
            began = time.monotonic()
            if self.training.plan.monitors:
                self.attendant.step()
            if isinstance(self.train.read, Ahead):
                self.train.read.expect(self.train.examples[s.index] for shown in batches[n : n + 2] for s in shown)
            progress.loss += step(self.learner, batches[n])
            progress.batch = n + 1
            progress.spent += time.monotonic() - began
            self._keep_pace(time.monotonic() - began)
            self._tell(progress.batch / last)
            if self._late():
                break
            if time.monotonic() - self.kept > self.keep_every:
                self._save()

    @property
    def _last_stage(self) -> bool:
        return self.stage == len(self.training.plan.stages) - 1

    def _keep_pace(self, seconds: float) -> None:
        """In the last stage: as many steps as fit into what is left of the time, and the learning rate falls accordingly."""
        if self.pace is not None and self._last_stage:
            self.pace.stepped(seconds)
            self.learner.whole = self.team.told(self.pace.whole(self.learner.step, time.monotonic() - self.began))

    def _late(self) -> bool:
        """Whether a stage before the last has used up its share of the time: it ends here, so that those after it have theirs."""
        if self.pace is None or self._last_stage:
            return False
        return self.team.told(self.pace.late(self.stage, time.monotonic() - self.began))

    def _judged(self) -> bool:
        """End an epoch: its numbers, and its weights if they are the best so far; whether monitors let it stand."""
        training, progress, plan, began = self.training, self.progress, self.training.plan, time.monotonic()
        progress.curve.append(self.team.told(self._record() if self.team.leads else {}))
        progress.seconds.append(round(progress.spent + time.monotonic() - began, 1))
        if self.pace is not None:
            self.pace.judging = time.monotonic() - began
        progress.spent = 0.0
        stands = self.attendant.epoch() if plan.monitors else True
        if stands:
            self._choose(progress.curve[-1])
            progress.epoch, progress.batch, progress.loss = progress.epoch + 1, 0, 0.0
            if self._late():
                progress.skipped += max(0, training.plan.first_of(self.stage + 1) - progress.place)
            if plan.monitors:
                self.attendant.keep()
        self._save()
        self._write_curve()
        return stands

    def _record(self) -> Record:
        """The numbers of the epoch: of the average, and around the weights themselves where they meet an adversary."""
        training, progress, size = self.training, self.progress, self.training.size(self.stage)
        plan, objective = training.plan, OBJECTIVES.name(self.attendant.objective())
        told = {"epoch": progress.epoch + 1, "size": list(size), "objective": objective, "loss": round(progress.loss / progress.batch, 6)}
        told |= training.judge(self.learner.average, self.val, size, attacked=self._last_stage)  # the others are not chosen from
        if plan.monitors and plan.eps > 0 and self.attendant.objective().passes.crafting > 0:
            told |= Probe()(self.learner.model, self.val, size, plan.adversary, plan.seed, training.precision, plan.batch)
        return told

    def _choose(self, record: Record) -> None:
        """Keep the weights of an epoch of the last stage that is better than those before."""
        progress, value = self.progress, record.get(self.training.judge.criterion, 0.0)
        if len(record.get("never_predicted", ())) >= len(self.training.train.classes) - 1:
            value -= 1  # one answer to all cannot be turned, and is no diagnosis: any other network comes before it
        if self._last_stage and value > progress.best_value:
            progress.best = {k: v.detach().clone() for k, v in self.learner.average.network.state_dict().items()}
            progress.best_epoch, progress.best_value = progress.epoch + 1, value

    def _save(self) -> None:
        self.progress.elapsed = time.monotonic() - self.began
        if self.team.leads:
            checkpoint.save(self.store, self.progress, self.learner.state())
        self.kept = time.monotonic()

    def _write_curve(self) -> None:
        progress = self.progress
        if not self.team.leads:
            return
        self.store.write_json("times.json", {"seconds": progress.seconds})
        curve = {"chosen_by": self.training.judge.criterion, "chosen": progress.best_epoch, "epochs": progress.curve}
        self.store.write_json("curve.json", {**curve, "events": progress.care.events})

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
        return in_memory_or_ahead(dataset, size, channels, on_read=lambda n: self._tell(0.0, "reading images"))

    def _tell(self, share: float, what: str = "") -> None:
        """Progress: `share` is how much of the epoch under way is done."""
        done, training, progress = self.progress.place, self.training, self.progress
        before, after = training.work(done), training.work(done + 1)
        epochs = max(done + 1, training.plan.epochs)
        name = what or f"epoch {progress.epoch + 1} of {epochs - progress.skipped}"
        self.watch(name, before + round((after - before) * share), training.work(epochs))


def _sha256(store: Store, name: str) -> str:
    return sha256((store.path / name).read_bytes()).hexdigest()
