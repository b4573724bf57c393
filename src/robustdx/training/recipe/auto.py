"""The recipe that chooses for the user: `robustdx harden --recipe auto --budget 20m`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from robustdx.catalogue import build, dump
from robustdx.errors import PlanError
from robustdx.threats import Threat
from robustdx.training.loaded import Training
from robustdx.training.plan import HardenPlan
from robustdx.training.prepare import prepare, takes_size
from robustdx.training.recipe import price
from robustdx.training.recipe.budget import Budget
from robustdx.training.recipe.choice import Choice
from robustdx.training.recipe.trials import Candidate, Ground, Trial, better

Words = Mapping[str, Any]
Tell = Callable[[str, int, int], None]
Again = Callable[[HardenPlan], Training]

STANDARD: Words = {"name": "standard"}
USUAL: Words = {"name": "n-fgsm"}
"""One step from strong noise, at a fifth of the price of ten: what a budget lacks is epochs. A monitor watches for its collapse."""
OTHERS: tuple[Words, ...] = (
    {"name": "madry", "steps": 2, "step_size": 0.75},
    {"name": "trades", "steps": 2, "step_size": 0.75, "beta": 4.0},
)
RATE, RATE_AFTER_START = 0.05, 0.02
"""Learning rate at a batch of 64: from random weights, and from trained ones."""
FASTER_OR_SLOWER = (2.0, 0.4)
TRIALS = 1 + len(OTHERS) + len(FASTER_OR_SLOWER)
ON_TRIALS = 0.15
"""Share of the budget that trials may take, all together."""
SHORTEST, LONGEST = 40, 640
"""Steps of a trial: fewer tell nothing, more tell no more."""
SMALLEST = 24
"""Pixels of the shorter side below which images are not halved."""
ENOUGH, SMALLEST_WHOLE = 12, 64
"""Epochs below which images are made smaller where nobody named their size, and pixels of the shorter side below which they are not."""
LARGE = 4 / 255
"""Budget above which training begins with half of it."""
CLEAN = 0.1
"""Share of the work on clean images, where training starts from random weights; the rest is attacked."""
JUDGING = {"name": "pgd", "steps": 5, "early_stop": True}


@dataclass(frozen=True)
class Recipe:
    """A plan, and why it is this one."""

    plan: HardenPlan
    choices: tuple[Choice, ...]


class Auto:
    """Chooses a plan for the network, the images, the threat and the budget that a user named.

    `workers` processes will share every batch; `after` is what follows the training, in passes of all images together; `again` loads
    another plan of the same training.
    """

    def __init__(
        self,
        training: Training,
        budget: Budget,
        tell: Tell = lambda what, done, total: None,
        *,
        workers: int = 1,
        after: int = 0,
        again: Again = prepare,
    ) -> None:
        self.training, self.plan, self.tell = training, training.plan, tell
        self.workers, self.after, self.again = workers, after, again
        self.began, self.budget, self.choices = time.monotonic(), budget, list[Choice]()
        self.tried = 0
        assert training.model.size is not None
        self.size = training.model.size

    def __call__(self, *, try_out: bool = True) -> Recipe:
        """Look, try, choose; without trials, for a look ahead, the usual objective and rate are taken.

        Raises:
            PlanError: a budget too short for one epoch; it says what is needed.
        """
        self.batch = self._batch()
        self.work = self._work()
        if self._shrunk():
            self.choices = [c for c in self.choices if c.what != "work"]
            self.work = self._work()
        self.small = self._small()
        self._require_an_epoch()
        self.objective, self.rate = self._tried(try_out)
        stages = self._stages()
        words = {
            **dump(self.plan),
            "objective": dict(self.objective),
            "learning_rate": self.rate,
            "batch_size": self.batch,
            "stages": stages,
            "judge": JUDGING if self.plan.eps > 0 else None,
            "warm_up": min(1.0, stages[0]["epochs"] / 2),
        }
        if self.budget.seconds is not None:
            words["seconds"] = round(max(1.0, self.budget.seconds - self.ending - (time.monotonic() - self.began)), 1)
        return Recipe(build(HardenPlan, {k: v for k, v in words.items() if v is not None}, where="recipe"), tuple(self.choices))

    def _batch(self) -> int:
        images = len(self.training.train)
        batch = 64 if images >= 1000 else 32 if images >= 300 else 16
        self._chose("batch", f"{batch} images", "an epoch should have at least about ten steps", images=images)
        return batch

    def _small(self) -> tuple[int, int] | None:
        """Half the height and width, where the network takes it."""
        half = (round(self.size[0] / 2), round(self.size[1] / 2))
        if min(half) < SMALLEST or not takes_size(self.training.model, half):
            self._chose("resolution", "full size throughout", "images of half the size are too small for this network", smallest=SMALLEST)
            return None
        ratio = price.flop(self.training, STANDARD, half, self.plan.adversary) / self._flop(STANDARD, self.size)
        why = f"a step on images of half the height and width costs {ratio:.2f} of one at full size"
        told = f"{half[0]}x{half[1]} while images are clean, then {self.size[0]}x{self.size[1]}"
        self._chose("resolution", told, why, cost_of_small=round(ratio, 3))
        return half

    def _work(self) -> float:
        """Floating-point operations that may be spent, trials included."""
        if self.budget.flop is not None:
            work, told = self.budget.flop, {"flop": self.budget.flop}
        else:
            assert self.budget.seconds is not None
            speed = price.speed(self.training, self.size) * self.workers
            self.ending = self.after * self._flop(STANDARD, self.size) / 3 / speed  # forward, back to the image, back to the weights
            work = speed * max(0.0, self.budget.seconds - self.ending)
            told = {"seconds": self.budget.seconds, "of_these_for_the_audit_at_the_end": self.ending, "flop_per_second": speed}
        epochs = work / (self._flop(STANDARD, self.size) * len(self.training.train))
        self._chose("work", f"{work / 1e12:.3g} TFLOP", f"that is what {self.budget} holds: {epochs:.3g} plain epochs at full size", **told)
        return work

    def _shrunk(self) -> bool:
        """Whether images are made smaller: where the user named no size and the budget holds few epochs of the network's own."""
        own = size = self.size
        while self._epochs(size) < ENOUGH and min(size) >= 2 * SMALLEST_WHOLE:
            size = (size[0] // 2, size[1] // 2)
        if self.plan.model.size is not None or size == own or not takes_size(self.training.model, size):
            return False
        held = f"at {own[0]}x{own[1]} the budget holds {self._epochs(own):.2g} epochs, at this size {self._epochs(size):.2g}"
        self.size, self.plan = size, replace(self.plan, model=replace(self.plan.model, size=size))
        self.training = self.again(self.plan)
        self._chose("size", f"{size[0]}x{size[1]}", f"{held}; --size takes another", enough=ENOUGH)
        return True

    def _epochs(self, size: tuple[int, int]) -> float:
        """How many the work holds, at one size throughout."""
        return self.work / (self._flop(STANDARD if self.plan.eps == 0 else USUAL, size) * len(self.training.train))

    def _require_an_epoch(self) -> None:
        least = self._epochs(self.size)
        if least < 1:
            given = self.budget.flop or self.budget.seconds or 0.0
            need = given / max(least, 1e-9) * 1.05
            asked = f"{need / 1e12:.2g}TFLOP" if self.budget.seconds is None else f"{need / 60:.1f}m"
            raise PlanError(f"a budget of {self.budget} is too short for one epoch of these images: give at least --budget {asked}")

    def _tried(self, try_out: bool) -> tuple[Words, float]:
        """The objective, then the learning rate: the usual ones, unless a trial shows better."""
        rate = (RATE if self.plan.start is None else RATE_AFTER_START) * self.batch / 64
        if self.plan.eps == 0:
            self._chose("objective", "standard", "eps is 0: there is no adversary")
            return STANDARD, rate
        candidates = [Candidate(o, rate) for o in (USUAL, *OTHERS)]
        costs = [self._flop(c.objective, self.size) for c in candidates]
        if not try_out:
            self._chose("objective", candidates[0].name, "that is usual; short trials come before the training and may change it")
            return USUAL, rate
        each = ON_TRIALS * self.work / TRIALS
        if each / (self.batch * max(costs)) < SHORTEST:
            why = f"the budget is too short for trials of {SHORTEST} steps"
            self._chose("objective", candidates[0].name, why, steps_that_fit=int(each / (self.batch * max(costs))))
            return USUAL, rate
        self.ground = Ground.of(replace(self.training, plan=replace(self.plan, batch_size=self.batch)), self.size)
        best = self._best("objective", [self._trial(c, each) for c in candidates])
        others = [Candidate(best.candidate.objective, rate * factor) for factor in FASTER_OR_SLOWER]
        best = self._best("learning rate", [best, *(self._trial(c, each) for c in others)])
        return best.candidate.objective, best.candidate.learning_rate

    def _trial(self, candidate: Candidate, work: float) -> Trial:
        """As many steps as that work holds; it is taken from the budget."""
        self.tell(f"trial: {candidate.name}", self.tried, TRIALS)
        self.tried += 1
        each = self.batch * self._flop(candidate.objective, self.ground.size)
        steps = _whole(work / each)
        self.work -= steps * each
        return self.ground.run(candidate, steps)

    def _best(self, what: str, trials: list[Trial]) -> Trial:
        """The first, which is usual, unless another is above it by more than chance."""
        chosen, p = better(self.ground, trials[0], trials[1:])
        told = {t.candidate.name: self._result(t, p.get(t.candidate.name)) for t in trials}
        usual = chosen is trials[0]
        why = "no trial was above it by more than chance" if usual else "its trial was above the usual one's by more than chance"
        self._chose(what, chosen.candidate.name, f"{why} ({len(self.ground.judged)} images held out of the training data)", **told)
        return chosen

    def _result(self, trial: Trial, p: float | None) -> dict[str, Any]:
        found = {"steps": trial.steps, "balanced_accuracy": round(self.ground.balanced(trial.clean), 4)}
        found["robust_balanced_accuracy"] = round(self.ground.balanced(trial.robust), 4)
        return found if p is None else {**found, "p": round(p, 4)}

    def _stages(self) -> list[dict[str, Any]]:
        """Clean images, then attacked ones; as many epochs of each as its share of the work holds."""
        clean = CLEAN if self.plan.eps > 0 and self.plan.start is None else 0.0
        stages = [self._stage(clean, STANDARD, self.small)] if clean else []
        stages += [self._stage(1 - clean, self.objective, None)]
        told = {f"stage {n + 1}": stage for n, stage in enumerate(stages)}
        self._chose("stages", f"{len(stages)}", "what is easy and cheap comes first; the shares of the work are fixed", **told)
        return self._eps_rises(stages)

    def _stage(self, share: float, objective: Words, size: tuple[int, int] | None) -> dict[str, Any]:
        epochs = share * self.work / (self._flop(objective, size or self.size) * len(self.training.train))
        stage: dict[str, Any] = {"epochs": max(0.1, round(epochs, 2)), "objective": dict(objective)}
        return stage if size is None else {**stage, "size": list(size)}

    def _eps_rises(self, stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With a large budget the first attacked stage begins with half of it."""
        if not self.plan.eps > LARGE:
            return stages
        first = next(i for i, stage in enumerate(stages) if stage["objective"] != STANDARD)
        half = {**stages[first], "epochs": round(stages[first]["epochs"] / 3, 2), "eps": self.plan.eps / 2}
        rest = {**stages[first], "epochs": round(stages[first]["epochs"] * 2 / 3, 2)}
        why = "training that begins at a large budget often ends with one answer to all"
        self._chose("eps", "half of it first", why, eps=self.plan.eps)
        return [*stages[:first], half, rest, *stages[first + 1 :]]

    def _flop(self, objective: Words, size: tuple[int, int]) -> float:
        threat: Threat = self.plan.adversary
        return price.flop(self.training, objective, size, threat)

    def _chose(self, what: str, chosen: str, why: str, **evidence: Any) -> None:
        self.choices.append(Choice(what, chosen, why, evidence))


def _whole(steps: float) -> int:
    """SHORTEST, twice, four times it: on a machine that is measured a little faster, the same."""
    return SHORTEST * 2 ** int(math.log2(min(max(steps, SHORTEST), LONGEST) / SHORTEST))
