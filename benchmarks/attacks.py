"""PGD-40 at 8/255: robustdx and its peers in one run, time and robust accuracy, beside what was aimed at.

python -m benchmarks.attacks                                               networks trained on the built-in data
python -m benchmarks.attacks --undefended RUN --robust RUN --data ham10000:PATH     your own, from robustdx harden
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.contenders import Budget, Contender, Result, contenders
from benchmarks.floor import recorded, replay
from benchmarks.victims import CHANNELS_LAST, Victim, trained, victim
from robustdx.threats import Linf

OURS, FLOOR = "robustdx", "bare calls"
FORMS = ("float32", "bfloat16", CHANNELS_LAST)
TARGETS = {("undefended", "float32"): 0.25, ("undefended", "bfloat16"): 0.6, ("robust", "float32"): 0.6, ("any", FLOOR): 1.10}
RESULTS = Path(__file__).parent / "results" / "attacks.json"


@dataclass
class Measured:
    """All repeats of all contenders on one network."""

    name: str
    images: int
    results: dict[str, list[Result]] = field(default_factory=dict)
    floor: list[tuple[float, float]] = field(default_factory=list)
    passes: list[dict[str, int]] = field(default_factory=list)

    def median(self, who: str, clock: str) -> float:
        return statistics.median(getattr(r, clock) for r in self.results[who])

    def fastest(self, form: str, clock: str) -> str:
        """The fastest peer in one form; "" where none was run in it."""
        return min((w for w in self.results if w.endswith(form)), key=lambda w: self.median(w, clock), default="")

    def standing(self, who: str, form: str) -> torch.Tensor:
        """(images,): share of the repeats in which each image still stands."""
        return torch.stack([getattr(r, form).double() for r in self.results[who]]).mean(0)

    def lag(self, who: str, form: str) -> tuple[float, float]:
        """By how much our robust accuracy is above a peer's (below 0: ours is the stronger attack), and its standard error."""
        behind = self.standing(OURS, form) - self.standing(who, form)
        return float(behind.mean()), float(behind.std() / len(behind) ** 0.5)

    def above_floor(self, clock: int) -> float:
        times = [(getattr(r, ("cpu", "wall")[clock]), f[clock]) for r, f in zip(self.results[OURS], self.floor, strict=True)]
        return statistics.median(a / b for a, b in times)


def measure(v: Victim, budget: Budget, repeats: int, handed: bool) -> Measured:
    """The PGD of every contender."""
    return rounds(v, contenders(v, budget, handed), repeats)


def rounds(v: Victim, runners: dict[str, Contender], repeats: int) -> Measured:
    """Every contender once in each round, ours first and its bare calls right after it."""
    measured = Measured(v.name, sum(len(b.x) for b in v.batches), {who: [] for who in runners})
    for seed in range(repeats):
        for who, run in runners.items():
            with recorded(v) as calls:
                result = run(seed)
            measured.results[who].append(result)
            if who == OURS:
                measured.floor.append(replay(v, calls))
                measured.passes.append(counted(v, calls))
            print(f"  {v.name} {seed + 1}/{repeats} {who:22s} {result.cpu:8.1f} s CPU {result.wall:8.1f} s", flush=True)
    return measured


def counted(v: Victim, calls: list[Any]) -> dict[str, int]:
    """Image passes of ours, by kind."""
    fast = [c for c in calls if c.model is v.fast]
    exact = [c for c in calls if c.model is v.exact]
    return {
        "search forward": sum(c.images for c in fast),
        "search backward": sum(c.images for c in fast if c.backward),
        "float32 forward": sum(c.images for c in exact),
    }


def ratios(m: Measured, targets: Mapping[tuple[str, str], float] = TARGETS) -> list[dict[str, Any]]:
    """Ours against the fastest peer of each form and against the floor, by both clocks, with the target."""
    found = []
    for form in FORMS:
        if m.fastest(form, "cpu"):
            by = {clock: m.median(OURS, clock) / m.median(m.fastest(form, clock), clock) for clock in ("cpu", "wall")}
            peer = m.fastest(form, "wall")
            found.append({"ours to": f"fastest peer ({peer})", **by, "target": targets.get((m.name, form))})
    found.append({"ours to": FLOOR, "cpu": m.above_floor(0), "wall": m.above_floor(1), "target": targets["any", FLOOR]})
    return found


def weaker(m: Measured) -> list[str]:
    """The peers whose attack left fewer images standing than ours, by more than the noise: there must be none."""
    said = []
    for who in m.results:
        for form in ("found", "saved") if who != OURS else ():
            lag, noise = m.lag(who, form)
            if lag > max(2 * noise, 1 / m.images):
                said.append(f"{m.name}: {who} leaves {lag:.3f} fewer of the images standing than robustdx ({form}, noise {noise:.3f})")
    return said


def shown(m: Measured, targets: Mapping[tuple[str, str], float] = TARGETS) -> str:
    """The table that is printed."""
    lines = [f"\n{m.name}: {m.images} images", f"{'':24s}{'CPU s':>9s}{'wall s':>9s}{'robust acc.':>13s}{'saved':>8s}   ours minus theirs"]
    for who in m.results:
        line = f"{who:24s}{m.median(who, 'cpu'):9.1f}{m.median(who, 'wall'):9.1f}"
        line += f"{float(m.standing(who, 'found').mean()):13.3f}{float(m.standing(who, 'saved').mean()):8.3f}"
        lines.append(line + ("" if who == OURS else "   {:+.3f} (noise {:.3f})".format(*m.lag(who, "found"))))
    for r in ratios(m, targets):
        aim = (
            ""
            if r["target"] is None
            else f"   target at most {r['target']:g}: {'met' if max(r['cpu'], r['wall']) <= r['target'] else 'MISSED'}"
        )
        lines.append(f"ours / {r['ours to']:36s} CPU {r['cpu']:.3f}   wall {r['wall']:.3f}{aim}")
    return "\n".join(lines)


def written(m: Measured, targets: Mapping[tuple[str, str], float] = TARGETS) -> dict[str, Any]:
    """What goes into attacks.json."""
    rows = {
        who: {
            "cpu_s": [round(r.cpu, 2) for r in results],
            "wall_s": [round(r.wall, 2) for r in results],
            "robust_accuracy": {form: round(float(m.standing(who, form).mean()), 4) for form in ("found", "saved")},
            **({} if who == OURS else {"ours_minus_theirs": [round(v, 4) for v in m.lag(who, "found")]}),
        }
        for who, results in m.results.items()
    }
    exact = [{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in ratios(m, targets)]
    return {"network": m.name, "images": m.images, "contenders": rows, "ratios": exact, "passes_of_ours": m.passes[0]}


def machine() -> dict[str, Any]:
    """What the times belong to."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    peers = {
        name: version(name) for name in ("torch", "torchattacks", "foolbox", "adversarial-robustness-toolbox", "adv-lib", "pyautoattack")
    }
    return {"processor": names[0] if names else platform.processor(), "threads": torch.get_num_threads(), "versions": peers}


def main() -> None:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    budget = Budget(Linf(args.eps / 255), args.steps)
    told = {}
    for name in args.only or ("undefended", "robust"):
        folder = getattr(args, name) or trained(name, Path("runs/bench") / name, args.source, args.train_size)
        v = victim(name, folder, args.data, args.split, (args.size, args.size), args.images, args.batch_size)
        told[name] = measure(v, budget, args.repeats, handed=name == "undefended")
    for m in told.values():
        print(shown(m))
    how = {k: str(v) for k, v in vars(args).items() if k in ("steps", "eps", "size", "images", "batch_size", "repeats", "split")}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine(), "settings": how, "networks": [written(m) for m in told.values()]}, indent=1))
    print(f"\nwritten to {args.out}")
    said = [line for m in told.values() for line in weaker(m)]
    if said:
        raise SystemExit("\n".join(said))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--undefended", type=Path, help="run folder of a plainly trained network; left out, one is trained")
    parser.add_argument("--robust", type=Path, help="run folder of a robustly trained network; left out, one is trained")
    parser.add_argument("--data", help="the images, where the run folders' own path is not this machine's")
    parser.add_argument("--split", default="val", help="which images; validation, since test images are for audits")
    parser.add_argument("--only", action="append", choices=("undefended", "robust"))
    parser.add_argument("--source", default="timm:resnet18", help="the network that is trained where none is given")
    parser.add_argument("--train-size", type=int, default=112)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--eps", type=float, default=8.0, help="in 255ths")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="left out, as many as torch takes")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
