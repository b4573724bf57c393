"""What a training tells while it runs: epochs and events on the screen, the progress line, and whoever else follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robustdx.cli.screen import Screen

PACE = 3600.0
"""Seconds over which the pace of a training is taken: one step may take minutes, and judging an epoch is no step."""


@dataclass(frozen=True)
class Helpers:
    """Processes that share every batch."""

    workers: int
    trust_code: bool


def train(
    training: Any,
    store: Any,
    told: Mapping[str, Any],
    screen: Screen,
    follow: Mapping[str, Any],
    begin: Callable[[], None],
    helpers: Helpers,
) -> None:
    """The loop, with its progress on the screen and wherever else it is followed."""
    from robustdx.store import Store
    from robustdx.training import prepare, team, tracking
    from robustdx.training.loop import Loop

    with screen.progress(PACE, counted=False) as progress:
        bar = Bar(progress)
        loop = Loop(training, store, bar, team=team.Team(0, helpers.workers))
        if not loop.read():  # before the folder is touched: an image that cannot be read leaves nothing behind
            screen.warn("decoded, the images would take more than half of the free memory: they are read from disk again and again")
        Store.open(store.path, told)
        begin()
        before = loop.progress.curve
        bar.last = before[-1] if before else {}
        with tracking.following(store, told, before, **follow) as tracker:

            def on_epoch(record: dict[str, Any]) -> None:
                bar.last = record
                tracker.epoch(record)
                screen.say(line(record))

            with team.led(helpers.workers, prepare.help_train, training.plan, helpers.trust_code, store.path):
                loop.run(on_epoch=on_epoch, on_event=lambda event: screen.warn(event_line(event)))


def follow_finished(store: Any, told: Mapping[str, Any], follow: Mapping[str, Any]) -> None:
    """Tell the epochs of a training that is over to whoever is to follow it now."""
    from robustdx.training import tracking

    if any(follow.values()):
        with tracking.following(store, told, store.read_json("curve.json")["epochs"], **follow):
            pass


@dataclass
class Bar:
    """The progress line: what is being done, and how good the last epoch was."""

    tell: Callable[[str, int, int], None]
    last: Mapping[str, Any] = field(default_factory=dict)
    """The record of the last epoch."""

    def __call__(self, what: str, done: int, total: int) -> None:
        self.tell(f"{what}{self.standing()}", done, total)

    def standing(self) -> str:
        """Balanced accuracy on the validation images after the last epoch, or accuracy where there is none."""
        key = "balanced_accuracy" if "balanced_accuracy" in self.last else "accuracy"
        known = {name: self.last.get(prefix + key) for name, prefix in (("clean", ""), ("robust", "robust_"))}
        said = ", ".join(f"{name} {value:.3f}" for name, value in known.items() if value is not None)
        return f": {said}" if said else ""


def line(record: dict[str, Any]) -> str:
    """One epoch in one line."""
    numbers = {k: v for k, v in record.items() if isinstance(v, float)}
    told = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in numbers.items())
    silent = f"; never predicted: {', '.join(record['never_predicted'])}" if "never_predicted" in record else ""
    return f"epoch {record['epoch']} ({record['objective']}, {'x'.join(map(str, record['size']))}): {told}{silent}"


def event_line(event: dict[str, Any]) -> str:
    """What a monitor saw and did, in one line."""
    return f"epoch {event['epoch']}, step {event['step']}: {event['seen']}. Monitors: {event['done']}"
