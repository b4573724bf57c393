"""What a monitor is: a judgement on the numbers of the epochs so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from robustdx.training.care import Care, Record

Remedy = Literal["switch", "lower", "stop", "boost", "tell"]
"""switch: go back to the last good weights and take another objective; lower: lower the learning rate; stop: end the training;
boost: let the images of a class count more; tell: say it and go on."""


@dataclass(frozen=True)
class Alarm:
    """Something that should not be left as it is."""

    monitor: str
    """Which monitor raised it."""
    seen: str
    """What it saw, with the numbers."""
    remedy: Remedy
    of: str = ""
    """The class that the remedy is for."""


class Monitor(Protocol):
    """Settings only. Looks at the records of the curve, the epoch that has just ended last, and at what was done before."""

    def __call__(self, curve: Sequence[Record], care: Care) -> Alarm | None: ...
