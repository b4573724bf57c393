"""The 14 sequences of frames: ours in batches beside the usual code, one picture at a time (peers/frames.py).

.venv-peers/bin/python -m benchmarks.perturbations [--images 64] [--rounds 5] [--only NAME] [--threads 2]

Both start from pictures on 8 bits and end with float32 frames as a network takes them. Ours and theirs take turns. Before anything is
timed, frames without chance are compared.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from benchmarks.rof import machine
from peers.frames import USUAL, for_network
from robustdx.data import load_dataset
from robustdx.data.batches import batch
from robustdx.draws import Draws
from robustdx.perturbations import FrameSequence
from robustdx.perturbations.sequences.presets import preset

RESULTS = Path(__file__).parent / "results" / "perturbations.json"
SIDE, FRAMES = 224, 10
TOGETHER = 16
"""Images that are perturbed together."""
WHOLE, EACH = 3.0, 0.8
"""Aimed at: our throughput over theirs, of all sequences together and of each."""
SAME = 0.98
"""Structural similarity from which on two frames without chance show the same."""

Pictures = NDArray[np.uint8]


def pictures(count: int, data: str) -> Pictures:
    """(N, H, W, 3): lesions, as 8 bits hold them, again and again where there are too few."""
    found = load_dataset(data)
    x, _ = batch(found, [i % len(found) for i in range(count)], (SIDE, SIDE), 3)
    return x.permute(0, 2, 3, 1).contiguous().numpy()


def ours(sequence: FrameSequence, given: Pictures) -> Iterator[torch.Tensor]:
    """Every frame of every image, a batch at a time; nothing is kept."""
    for start in range(0, len(given), TOGETHER):
        x = torch.from_numpy(given[start : start + TOGETHER]).permute(0, 3, 1, 2).float().div_(255).contiguous()
        yield from sequence.frames(x, FRAMES, Draws(0, tuple(map(str, range(start, start + len(x))))))


def theirs(name: str, given: Pictures) -> Iterator[NDArray[np.float32]]:
    for picture in given:
        yield from map(for_network, USUAL[name](picture, FRAMES))


def timed(run: Callable[[], Iterator[Any]]) -> tuple[float, float]:
    """CPU seconds of all threads, and wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in run():
        pass
    return time.process_time() - cpu, time.perf_counter() - wall


def compared(name: str, sequence: FrameSequence, given: Pictures) -> float | None:
    """The smallest structural similarity of a frame of ours and theirs; None where chance differs."""
    if sequence.random:
        return None
    own, others = list(ours(sequence, given[:1])), list(theirs(name, given[:1]))
    return min(float(structural_similarity(a[0].numpy(), b, channel_axis=0, data_range=1)) for a, b in zip(own, others, strict=True))


def beside(name: str, sequence: FrameSequence, given: Pictures, rounds: int) -> dict[str, Any]:
    """Medians over the rounds, in milliseconds for a frame of an image."""
    alike, frames = compared(name, sequence, given), len(given) * FRAMES
    times: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}
    timed(lambda: ours(sequence, given[:TOGETHER]))
    for _ in range(rounds):
        times["ours"].append(timed(lambda: ours(sequence, given)))
        times["theirs"].append(timed(lambda: theirs(name, given)))
    found: dict[str, Any] = {"similarity": alike and round(alike, 4)}
    for at, kind in enumerate(("cpu", "wall")):
        middle = {who: statistics.median(t[at] for t in taken) / frames * 1000 for who, taken in times.items()}
        found[kind] = {**{who: round(value, 4) for who, value in middle.items()}, "ratio": round(middle["theirs"] / middle["ours"], 2)}
    return found


def together(rows: dict[str, Any], kind: str) -> float:
    """Their time for all sequences over ours."""
    return round(sum(r[kind]["theirs"] for r in rows.values()) / sum(r[kind]["ours"] for r in rows.values()), 2)


def peak(images: int, data: str) -> float:
    """Peak memory in MiB of a process that makes all sequences of so many images, less what the pictures themselves take."""
    command = [sys.executable, "-m", "benchmarks.perturbations", "--peak", "--images", str(images), "--data", data]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return round(float(done.stdout.split()[-1]) - images * SIDE * SIDE * 3 / 2**20, 1)


def made_once(images: int, data: str) -> None:
    given = pictures(images, data)
    for _, sequence in preset("xu2021")[0]:
        for _ in ours(sequence, given):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def told(rows: dict[str, Any]) -> Iterator[str]:
    yield "ms for a frame    CPU ours   theirs  ratio  wall ours   theirs  ratio   alike"
    for name, row in rows.items():
        cpu, wall = row["cpu"], row["wall"]
        alike = "" if row["similarity"] is None else f"{row['similarity']:.4f}"
        yield (
            f"{name:16s} {cpu['ours']:9.3f} {cpu['theirs']:8.3f} {cpu['ratio']:6.2f} "
            f"{wall['ours']:10.3f} {wall['theirs']:8.3f} {wall['ratio']:6.2f} {alike:>7s}"
        )
    yield f"together: CPU {together(rows, 'cpu'):.2f}, wall {together(rows, 'wall'):.2f} (aimed at {WHOLE:g}; each at least {EACH:g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", choices=list(USUAL))
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    if args.peak:
        return made_once(args.images, args.data)
    given, about = pictures(args.images, args.data), machine()
    chosen = [(n, s) for n, s in preset("xu2021")[0] if not args.only or n in args.only]
    rows = {name: beside(name, sequence, given, args.rounds) for name, sequence in chosen}
    print("\n".join(told(rows)))
    unlike = [name for name, row in rows.items() if row["similarity"] is not None and row["similarity"] < SAME]
    if not args.only:
        written(rows, args, about)
    if unlike:
        raise SystemExit(f"ours and theirs show something else: {', '.join(unlike)}")
    return None


def written(rows: dict[str, Any], args: argparse.Namespace, about: str) -> None:
    whole = {kind: together(rows, kind) for kind in ("cpu", "wall")}
    how = {"images": args.images, "rounds": args.rounds, "threads": args.threads, "data": args.data, "machine": about}
    how["opencv"] = version("opencv-python-headless")
    found: dict[str, Any] = {**how, "together": whole, "sequences": rows}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    found["peak_mib"] = {str(n): peak(n, args.data) for n in (args.images, 4 * args.images)}
    print(f"peak MiB less the pictures: {found['peak_mib']}")
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
