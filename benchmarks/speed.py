"""C&W, MI, Square and AutoAttack: robustdx and its peers in one run, time and robust accuracy; and every attack over its floor.

python -m benchmarks.speed                                    all of it (hours); each part is kept when it is done
python -m benchmarks.speed --attack mi --repeats 5
python -m benchmarks.speed --attack floor                     ours alone: our time over the bare calls that we made
python -m benchmarks.speed --undefended RUN --robust RUN --data ham10000:PATH     networks of your own, from robustdx harden
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import arenas
from benchmarks.attacks import FLOOR, FORMS, OURS, Measured, machine, rounds, shown, weaker, written
from benchmarks.contenders import Contender, audited, timed
from benchmarks.floor import recorded, replay
from benchmarks.matches import MATCHES, Match
from benchmarks.speed_table import page
from benchmarks.victims import Victim, trained, victim
from robustdx.attacks import ATTACKS
from robustdx.threats import L2, Linf, Threat

AIMS = {
    "cw": {"undefended": 0.5, "robust": 0.5},
    "mi": {"undefended": 0.5, "robust": 0.5},
    "square": {"undefended": 0.4, "robust": 0.4},
    "autoattack": {"undefended": 0.2, "robust": 0.5},
}
"""Our time as a share of the fastest peer's, of those as shipped and of those handed the network we search with."""
IMAGES = {"cw": 32, "mi": 64, "square": 32, "autoattack": 16}
PEERS = {"cw": ("foolbox", "adv-lib"), "mi": ("torchattacks", "foolbox")}
"""Left out: every peer. torchattacks' C&W does not search its weight, and finds less."""
SLOW = {"queries": 500}
FLOORS: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("fgsm", "bim", "pgd", "apgd", "apgd-targeted", "mi", "ni", "di", "ti", "si", "vmi", "smia")},
    **{name: {} for name in ("deepfool", "ddn", "fmn", "fab", "cw")},
    **dict.fromkeys(("square", "simba", "nes", "hopskipjump", "boundary"), SLOW),
}
EUCLIDEAN = ("cw", "ddn", "boundary")


def runners(v: Victim, name: str, threat: Threat) -> dict[str, Contender]:
    """Ours, each peer as its users get it, and each with the network that we search with."""
    match = next(m for m in MATCHES if m.attack == name)
    attack, classes = ATTACKS.parse(match.ours), len(v.exact.task.classes)
    found: dict[str, Contender] = {OURS: lambda seed: audited(v, attack, threat, name, seed)}
    for form, network in {"float32": v.shipped, v.form: v.handed}.items():
        for peer in PEERS.get(name, tuple(match.peers)):
            found[f"{peer} {form}"] = _theirs(v, match, peer, network, threat, classes)
    return found


def _theirs(v: Victim, match: Match, peer: str, network: torch.nn.Module, threat: Threat, classes: int) -> Contender:
    return lambda seed: timed(v, lambda x, y: match.peers[peer](network, x, y, threat, classes), threat, seed)


def budget(v: Victim, name: str) -> Threat:
    """Of an undefended network what the literature attacks it with; of a robust one that under which half of the images stand."""
    return Linf(8 / 255) if v.name == "undefended" and name not in EUCLIDEAN else halving(v, name)


def halving(v: Victim, name: str) -> Threat:
    """Under which about half of the images that the network decides rightly stand."""
    b, kind = v.batches[0], "l2" if name in EUCLIDEAN else "linf"
    with torch.no_grad():
        at = ~v.exact.task.fooled(v.exact(b.x), b.y)
    eps = arenas.gauged(v.exact, b.x[at], b.y[at], tuple(i for i, right in zip(b.ids, at.tolist(), strict=True) if right), kind)
    return L2(eps) if kind == "l2" else Linf(eps)


def told(threat: Threat) -> str:
    return f"Linf at {255 * threat.eps:.2g}/255" if isinstance(threat, Linf) else f"L2 at {threat.eps:.2g}"


def over_floor(v: Victim, repeats: int, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Ours alone, each attack by name: its time over that of the same calls of the bare network."""
    audited(v, ATTACKS.parse("fgsm"), Linf(1 / 255), "warm", 0)  # what is set up once in a process belongs to no attack
    for name in names:
        attack, threat, times = ATTACKS.parse({"name": name, **FLOORS[name]}), halving(v, name), []
        for seed in range(repeats):
            with recorded(v) as calls:
                result = audited(v, attack, threat, name, seed)
            bare = replay(v, calls)
            times.append((result.cpu / bare[0], result.wall / bare[1]))
        cpu, wall = (round(statistics.median(t), 3) for t in zip(*times, strict=True))
        print(f"  {v.name} {name:14s} over its floor: CPU {cpu:.3f}, wall {wall:.3f}", flush=True)
        yield {
            "attack": name,
            "threat": told(threat),
            "cpu": cpu,
            "wall": wall,
            "calls": len(calls),
            "bare_cpu_s": round(bare[0], 2),
            "rounds": repeats,
        }


def aims(name: str) -> dict[tuple[str, str], float]:
    by = {(network, form): share for network, share in AIMS[name].items() for form in FORMS}
    return {**by, ("any", FLOOR): 1.10}


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    kept = json.loads(args.out.read_text()) if args.out.is_file() else {}
    said: list[str] = []
    for name in args.attack or [*AIMS, "floor"]:
        for network in args.only or ("undefended", "robust"):
            v = _victim(args, network, args.images or IMAGES.get(name, 16))
            if name == "floor":
                part: dict[str, Any] = {
                    "floor": list(over_floor(v, args.repeats, args.over or list(FLOORS))),
                    "images": sum(len(b.x) for b in v.batches),
                }
            else:
                part, m = compared(v, name, args.repeats)
                said += weaker(m)
            kept[f"{name} {network}, {v.form}"] = {**part, "machine": machine(), "size": args.size, "repeats": args.repeats}
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(kept, indent=1))
            args.page.write_text(page(kept), encoding="utf-8")
    if said:
        raise SystemExit("\n".join(said))


def compared(v: Victim, name: str, repeats: int) -> tuple[dict[str, Any], Measured]:
    threat = budget(v, name)
    print(f"{name} on {v.name} under {told(threat)}", flush=True)
    m = rounds(v, runners(v, name, threat), repeats)
    print(shown(m, aims(name)), flush=True)
    return {**written(m, aims(name)), "threat": told(threat)}, m


def _victim(args: argparse.Namespace, network: str, images: int) -> Victim:
    """A network of one's own, or the ResNet-18 of the strength table, or where there are no real images one on those built in."""
    folder, data, split = getattr(args, network), args.data, args.split
    if folder is None and args.real:
        recipe = "resnet18" if network == "undefended" else "resnet18 robust"
        folder, data = arenas.trained(recipe, args.real, Path("runs/bench/strength")), arenas.HAM.format(root=args.real)
    folder = folder or trained(network, Path("runs/bench") / network, "timm:resnet18", 112)
    return victim(network, folder, data, split, (args.size, args.size), images, images, right=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("ROBUSTDX_DATA")
    parser.add_argument("--attack", action="append", choices=[*AIMS, "floor"])
    parser.add_argument("--only", action="append", choices=("undefended", "robust"))
    parser.add_argument("--over", action="append", choices=list(FLOORS), help="with --attack floor: these alone")
    parser.add_argument("--undefended", type=Path, help="run folder of a plainly trained network")
    parser.add_argument("--robust", type=Path, help="run folder of a robustly trained network")
    parser.add_argument("--data", help="the images, where the run folders' own path is not this machine's")
    parser.add_argument("--split", default="val", help="which images; validation, since test images are for audits")
    parser.add_argument("--real", type=Path, default=Path(root) if root else None, help="the folder of the real images (ROBUSTDX_DATA)")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=int, help="left out, as many as take minutes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "speed.json")
    parser.add_argument("--page", type=Path, default=Path(__file__).parents[1] / "docs" / "speed.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
