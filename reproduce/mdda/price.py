"""What a purifier costs an image: milliseconds of one core, and memory at its largest. Linux only: it reads /proc."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from robustdx.draws import Draws
from robustdx.purifiers import PURIFIERS

SIZES = ((48, 64), (224, 224))
IMAGES = 16
"""At a time."""
ROUNDS = 5


def priced(settings: dict[str, Any]) -> list[dict[str, float]]:
    """The price at each size, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return [pool.submit(_measured, settings, *size).result() for size in SIZES]


def _measured(settings: dict[str, Any], height: int, width: int) -> dict[str, float]:
    """CPU time for an image, the least of a few rounds; and by how much the process grew, an image's share of it."""
    torch.set_num_threads(1)
    method, x = PURIFIERS.parse(settings), torch.rand(IMAGES, 3, height, width)
    draws, took = Draws(0, tuple(map(str, range(IMAGES)))), []
    with torch.no_grad():
        method(x[:1, :, :16, :16], draws.take([0]))  # what is compiled or imported once is no part of the price
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _mebibytes("VmRSS")
        for _ in range(ROUNDS):
            began = time.process_time()
            method(x, draws)
            took.append(time.process_time() - began)
    grown = _mebibytes("VmHWM") - before
    return {"height": height, "width": width, "milliseconds": min(took) / IMAGES * 1000, "mebibytes": grown / IMAGES}


def _mebibytes(what: str) -> float:
    """A line of what the kernel says of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024
