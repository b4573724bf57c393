"""How long a training may take: as time, or as work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

from robustdx.errors import PlanError

SECONDS = {"s": 1, "m": 60, "h": 3600}
FLOPS = {"G": 1e9, "T": 1e12, "P": 1e15}
FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|[GTP]FLOP)\s*")


@final
@dataclass(frozen=True)
class Budget:
    """Time as one waits for it, or floating-point operations, which are the same on every machine."""

    seconds: float | None = None
    flop: float | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.flop is None):
            raise PlanError("a budget is either time or work: give one of the two")
        if not (self.seconds or self.flop or 0) > 0:
            raise PlanError("a budget must be above 0")

    def __str__(self) -> str:
        if self.flop is not None:
            return f"{self.flop / 1e12:g}TFLOP"
        assert self.seconds is not None
        return f"{self.seconds / 60:g}m"


def read_budget(text: str) -> Budget:
    """A budget as it is typed.

    >>> read_budget("20m"), read_budget("1.5h"), read_budget("40TFLOP")
    (Budget(seconds=1200.0, flop=None), Budget(seconds=5400.0, flop=None), Budget(seconds=None, flop=40000000000000.0))

    Raises:
        PlanError: neither a time nor an amount of work.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise PlanError(f"budget: expected a time such as 20m or 2h, or an amount of work such as 400TFLOP, got {text!r}")
    number, unit = float(found[1]), found[2]
    return Budget(seconds=number * SECONDS[unit]) if unit in SECONDS else Budget(flop=number * FLOPS[unit[0]])
