"""What a purifier costs an image: milliseconds of one core, and memory at its largest."""

from __future__ import annotations

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch

from robustdx.draws import Draws
from robustdx.purifiers import PURIFIERS

SIZES = ((16, 48, 64), (4, 224, 224))
"""Images at a time, height and width."""
ROUNDS = 5


def priced(settings: dict[str, Any]) -> list[dict[str, float]]:
    """The price at each size, each in a process of its own."""
    found = []
    for size in SIZES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            milliseconds, mebibytes = pool.submit(_measured, settings, *size).result()
        found.append({"images": size[0], "height": size[1], "width": size[2], "milliseconds": milliseconds, "mebibytes": mebibytes})
    return found


def _measured(settings: dict[str, Any], images: int, height: int, width: int) -> tuple[float, float]:
    """CPU time for an image, the least of a few rounds, and by how much the process grew at its largest, for all images together."""
    torch.set_num_threads(1)
    method, x = PURIFIERS.parse(settings), torch.rand(images, 3, height, width)
    draws, took = Draws(0, tuple(map(str, range(images)))), []
    with torch.no_grad():
        method(x[:1, :, :16, :16], draws.take([0]))  # what is compiled or imported once is no part of the price
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(ROUNDS):
            began = time.process_time()
            method(x, draws)
            took.append(time.process_time() - began)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return min(took) / images * 1000, grown / 1024
