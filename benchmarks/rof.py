"""ROF beside scikit-image, MDDA over its floor, and the memory of its gradient: docs/purifiers-speed.md.

python -m benchmarks.rof                     minutes
python -m benchmarks.rof --repeats 9
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from skimage.restoration import denoise_tv_chambolle

from robustdx.draws import Draws
from robustdx.purifiers import MDDA, mdda
from robustdx.purifiers.rof import denoised
from robustdx.purifiers.rof.backward import checkpointed

Clock = tuple[float, float]
WEIGHT, ITERATIONS, SIDE = 0.05, 40, 224
HEADING = """
# How long the purifiers take

Written by `python -m benchmarks.rof`; every number is measured, none is edited. Contenders take turns on the same images of noise;
times are medians over the rounds, CPU seconds of all threads and wall. What is compiled once on a machine is compiled before.
"""


def timed(work: Callable[[], Any]) -> Clock:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def alternating(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Clock]]:
    """Each once in every round, one after the other; a first round is not counted."""
    times: dict[str, list[Clock]] = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, work in contenders.items():
            clock = timed(work)
            if i:
                times[name].append(clock)
    return times


def median(clocks: list[Clock]) -> Clock:
    cpu, wall = (statistics.median(t) for t in zip(*clocks, strict=True))
    return cpu, wall


def ratio(ours: list[Clock], theirs: list[Clock]) -> Clock:
    """The median over the rounds of the ratio within a round: what else the machine does hits both."""
    return median([(a[0] / b[0], a[1] / b[1]) for a, b in zip(ours, theirs, strict=True)])


def beside_skimage(rounds: int, batch: int) -> Iterator[str]:
    x = torch.rand(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    contenders = {
        "scikit-image": lambda: [denoise_tv_chambolle(im, WEIGHT, 0, ITERATIONS, channel_axis=0) for im in x.numpy()],
        "robustdx": lambda: denoised(x, WEIGHT, ITERATIONS),
        "robustdx, coupled": lambda: denoised(x, WEIGHT, ITERATIONS, coupled=True),
    }
    yield f"## ROF: {batch} images of 3 x {SIDE} x {SIDE}, {ITERATIONS} iterations, {rounds} rounds"
    yield "\nAimed at, channel by channel: 1/6 of scikit-image's CPU time and, on two threads, 1/8 of its wall time.\n"
    yield "| threads | who | CPU s | wall s | scikit-image / it, CPU | wall |\n|--:|---|--:|--:|--:|--:|"
    for threads in (1, 2):
        torch.set_num_threads(threads)
        times = alternating(contenders, rounds)
        for who, clocks in times.items():
            (cpu, wall), (less_cpu, less_wall) = median(clocks), ratio(times["scikit-image"], clocks)
            yield f"| {threads} | {who} | {cpu:.2f} | {wall:.2f} | {less_cpu:.1f} | {less_wall:.1f} |"


@contextmanager
def recorded() -> Iterator[list[tuple[Callable[..., Any], tuple[Any, ...]]]]:
    """The calls of denoising and resizing that MDDA makes."""
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
    before = {name: getattr(mdda, name) for name in ("denoised", "resized")}
    for name, function in before.items():
        setattr(mdda, name, lambda *args, f=function: (calls.append((f, args)), f(*args))[1])
    try:
        yield calls
    finally:
        for name, function in before.items():
            setattr(mdda, name, function)


def over_floor(rounds: int, batch: int) -> Iterator[str]:
    x, draws, purifier = torch.rand(batch, 3, SIDE, SIDE), Draws(0, tuple(map(str, range(batch)))), MDDA()
    with recorded() as calls:
        purifier(x, draws)
    noises = [torch.empty_like(args[0]) for f, args in calls if f is denoised]
    names = tuple(map(str, range(mdda.CHUNK)))
    contenders = {
        "MDDA": lambda: purifier(x, draws),
        "its denoising and resizing": lambda: [f(*args) for f, args in calls],
        "its resizing": lambda: [f(*args) for f, args in calls if f is not denoised],
        "its noise": lambda: [mdda.noise(Draws(0, names[: len(like)]), like) for like in noises],
    }
    yield f"\n## MDDA over its floor: {batch} images of 3 x {SIDE} x {SIDE}, as it is by default, {rounds} rounds"
    yield "\nThe floor is the same calls of the denoising and of the resizing, one after the other and nothing else. Aimed at: 1.2.\n"
    yield "| threads | what | CPU ms for an image | wall ms | over the floor, CPU | wall |\n|--:|---|--:|--:|--:|--:|"
    for threads in (1, 2):
        torch.set_num_threads(threads)
        times = alternating(contenders, rounds)
        for what, clocks in times.items():
            (cpu, wall), (over_cpu, over_wall) = median(clocks), ratio(clocks, times["its denoising and resizing"])
            yield f"| {threads} | {what} | {1000 * cpu / batch:.0f} | {1000 * wall / batch:.0f} | {over_cpu:.2f} | {over_wall:.2f} |"


FORMS = {"fused, unrolled": "unrolled", "fused, implicit": "implicit", "plain torch, unrolled": "unrolled"}


def memory() -> Iterator[str]:
    yield f"\n## The gradient through MDDA: 16 images of 3 x {SIDE} x {SIDE}, as it is by default, one thread"
    yield "\nThe peak is of the whole process, torch and all, each in a process of its own. Aimed at: 4 GiB.\n"
    yield "| form | peak GiB | CPU s for an image |\n|---|--:|--:|"
    for form in FORMS:
        command = [sys.executable, "-m", "benchmarks.rof", "--gradient", form]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            yield f"| {form} | not measured: ended with status {done.returncode} | |"
            continue
        peak, cpu = map(float, done.stdout.split()[-2:])
        yield f"| {form} | {peak:.2f} | {cpu:.2f} |"


def gradient(form: str, images: int) -> None:
    """One gradient; prints the peak memory of this process and the time."""
    torch.set_num_threads(1)
    if form.startswith("plain"):
        mdda.denoised = lambda x, weight, iterations, coupled, _: checkpointed(x, weight, iterations - 1, coupled)  # type: ignore[assignment]
    purifier = MDDA(gradient=FORMS[form])  # type: ignore[arg-type]
    small = torch.rand(1, 3, 16, 16).requires_grad_()
    purifier(small, Draws(0, ("a",))).sum().backward()
    x = torch.rand(images, 3, SIDE, SIDE).requires_grad_()
    cpu, _ = timed(lambda: purifier(x, Draws(0, tuple(map(str, range(16))))).square().sum().backward())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, cpu / images)


def machine() -> str:
    """What the times belong to."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numba", "scikit-image"))
    busy = os.getloadavg()[0]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {busy:.0f} processes at work at the start; {versions}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--page", type=Path, default=Path(__file__).parents[1] / "docs" / "purifiers-speed.md")
    parser.add_argument("--images", type=int, default=16, help="of the gradient")
    parser.add_argument("--gradient", choices=list(FORMS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.gradient:
        return gradient(args.gradient, args.images)
    lines = [HEADING.strip(), "", machine(), ""]
    for part in (beside_skimage(args.repeats, args.batch), over_floor(args.repeats, args.batch // 2), memory()):
        for line in part:
            print(line, flush=True)
            lines.append(line)
            args.page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
