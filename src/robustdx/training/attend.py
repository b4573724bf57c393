"""Carries out what monitors ask for, and writes it down."""

from __future__ import annotations

import copy
from collections.abc import Callable

from robustdx.errors import Diverged
from robustdx.training import OBJECTIVES
from robustdx.training.care import Record
from robustdx.training.checkpoint import Good, Progress
from robustdx.training.learner import Learner
from robustdx.training.loaded import Training
from robustdx.training.monitors import MONITORS, Alarm, without_images
from robustdx.training.monitors.mode import modes_of, put_right
from robustdx.training.objectives import Objective

RETRIES = 3
"""How often training goes back after a loss or gradient that is no number."""
LOWER = 0.25
"""What the learning rate is multiplied by against robust overfitting."""


class Attendant:
    """Stands by a training: everything it decides follows from the numbers of the epochs, never from the clock."""

    def __init__(self, training: Training, learner: Learner, progress: Progress, on_event: Callable[[Record], None]) -> None:
        self.training, self.learner, self.progress, self.on_event = training, learner, progress, on_event
        self.modes = modes_of(learner.model)

    def begin(self) -> None:
        """Before the first step: keep the weights that training starts from, and say which classes cannot be learned or judged."""
        if self.progress.good is not None:
            return
        unlearned, unjudged = without_images(self.training.train), without_images(self.training.val)
        for name in unlearned:
            self._note("dead_class", f"class without examples: no training image is {name}", "went on: nothing can be learned about it")
        for name in unjudged:
            self._note("dead_class", f"class without examples: no validation image is {name}", "went on: balanced accuracy leaves it out")
        self.keep()

    def keep(self) -> None:
        """These weights are good: what goes wrong later goes back to them."""
        self.progress.good = Good(self.progress.epoch, copy.deepcopy(self.learner.state()))

    def step(self) -> None:
        """Before a step: the network is in the mode in which it learns. Told once an epoch."""
        seen = put_right(self.learner.model, self.modes)
        told = any((e["monitor"], e["epoch"]) == ("mode", self.progress.epoch + 1) for e in self.progress.care.events)
        if seen and not told:
            self._note("mode", seen, "set them to train again")

    def diverged(self, error: Diverged) -> None:
        """Back to the last good weights with half the learning rate.

        Raises:
            Diverged: that did not help.
        """
        care = self.progress.care
        if care.divergences >= RETRIES:
            raise Diverged(f"{error} (monitors went back and halved the rate {RETRIES} times)") from error
        care.divergences += 1
        step = self.learner.step + 1
        back = self._go_back()
        self.learner.rate /= 2
        self._note("divergence", f"not a number: {str(error).partition(':')[0]}", f"{back}, halved the learning rate", step)

    def epoch(self) -> bool:
        """After an epoch, whose record ends the curve; whether it stands."""
        stands, step = True, self.learner.step
        alarms = [alarm for monitor in MONITORS if (alarm := monitor(self.progress.curve, self.progress.care)) is not None]
        for alarm in alarms:
            if not stands or (alarm.remedy in ("lower", "stop") and not self._last_stage):
                continue  # an epoch that is taken back has nothing more to say; and the epoch is chosen in the last stage
            epoch = self.progress.epoch + 1
            done = self._heed(alarm)
            stands = alarm.remedy != "switch"
            self._note(alarm.monitor, alarm.seen, done, step, epoch)
        return stands

    @property
    def _last_stage(self) -> bool:
        plan = self.training.plan
        return plan.stage_of(self.progress.place) == len(plan.stages) - 1

    def _heed(self, alarm: Alarm) -> str:
        """Do it; what was done in words."""
        care, epoch = self.progress.care, self.progress.epoch + 1
        if alarm.remedy == "switch":
            care.replaced.append(OBJECTIVES.dump(self.objective()))
            return f"{self._go_back()}, went on with {OBJECTIVES.told(self.objective())}"
        if alarm.remedy == "lower":
            care.lowered = epoch
            self.learner.rate *= LOWER
            return f"multiplied the learning rate by {LOWER:g}"
        if alarm.remedy == "stop":
            care.stopped = True
            return f"stopped after epoch {epoch} of {self.training.plan.epochs}; the best epoch is kept"
        if alarm.remedy == "boost":
            care.boosts[alarm.of] = 2 * care.boosts.get(alarm.of, 1.0)
        care.boosted[alarm.of] = epoch
        return f"its images count {care.boosts[alarm.of]:g} times as much" if alarm.remedy == "boost" else "nothing more: training goes on"

    def objective(self) -> Objective:
        """What the stage under way lowers now."""
        plan = self.training.plan
        return self.progress.care.objective(plan.objective_of(plan.stage_of(self.progress.place)), plan.stands_in)

    def _go_back(self) -> str:
        """To the last good weights, with the rate as it is now; where that is, in words."""
        progress, good, rate = self.progress, self.progress.good, self.learner.rate
        assert good is not None
        self.learner.restore(copy.deepcopy(good.learner))
        self.learner.rate = rate
        progress.spent += sum(progress.seconds[good.epoch :])  # the time is gone all the same
        del progress.curve[good.epoch :], progress.seconds[good.epoch :]
        progress.epoch, progress.batch, progress.loss = good.epoch, 0, 0.0
        return f"went back to the weights after epoch {good.epoch}" if good.epoch else "went back to the first weights"

    def _note(self, monitor: str, seen: str, done: str, step: int | None = None, epoch: int | None = None) -> None:
        event = {"epoch": epoch or self.progress.epoch + 1, "step": self.learner.step if step is None else step, "monitor": monitor}
        self.progress.care.events.append({**event, "seen": seen, "done": done})
        self.on_event(self.progress.care.events[-1])
