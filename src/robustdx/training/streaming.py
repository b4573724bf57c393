"""Images held in memory where they fit, else read from disk while the network computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from robustdx.data import Dataset
from robustdx.data.batches import decoded
from robustdx.data.protocol import Example, Pixels
from robustdx.errors import ImageError

SHARE = 0.5
"""Share of the memory that is free which decoded images may take."""

Read = Callable[[Example, tuple[int, int] | None, int], Pixels]


class Ahead:
    """`Dataset.read` of a set that stays on disk: what is expected is read by threads beforehand."""

    def __init__(self, read: Read, size: tuple[int, int], channels: int) -> None:
        self.read, self.size, self.channels = read, size, channels
        self.pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="images")
        self.coming: dict[str, Future[Pixels]] = {}

    def expect(self, examples: Iterable[Example]) -> None:
        """These come next; what was expected before and is not among them is forgotten."""
        before, self.coming = self.coming, {}
        for e in examples:
            if e.id not in self.coming:
                self.coming[e.id] = before.get(e.id) or self.pool.submit(self.read, e, self.size, self.channels)

    def __call__(self, example: Example, size: tuple[int, int] | None, channels: int) -> Pixels:
        """The pixels, from the threads where they have been asked to.

        Raises:
            ImageError: the image cannot be read; training can go on from its last checkpoint once it can.
        """
        try:
            if example.id in self.coming and (size, channels) == (self.size, self.channels):
                return self.coming[example.id].result()
            return self.read(example, size, channels)
        except ImageError as error:
            raise ImageError(f"{error}; then run the same command again to go on") from error


def in_memory_or_ahead(dataset: Dataset, size: tuple[int, int], channels: int, on_read: Callable[[int], None]) -> Dataset:
    """The set decoded in memory, or to be streamed where that would take more than its share of what is free by then."""
    free = free_memory()
    if free is None or weight(dataset, size, channels) <= SHARE * free:
        return decoded(dataset, size, channels, on_read=on_read)
    return replace(dataset, read=Ahead(dataset.read, size, channels))


def weight(dataset: Dataset, size: tuple[int, int], channels: int) -> int:
    """Bytes of the decoded images."""
    return len(dataset) * size[0] * size[1] * channels


def free_memory() -> int | None:
    """Bytes that can still be had: of the machine, or of the control group where that allows less; None where nobody says."""
    found = [_available(Path("/proc/meminfo")), _left_in_group(Path("/sys/fs/cgroup"))]
    return min((n for n in found if n is not None), default=None)


def _available(meminfo: Path) -> int | None:
    try:
        line = next(line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024


def _left_in_group(folder: Path) -> int | None:
    """What a container may still take; file pages that the kernel would give up do not count as taken."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        taken = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) - taken + int(stat.get("inactive_file", 0))
