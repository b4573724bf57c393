"""How strong our attacks are beside those of torchattacks, foolbox, ART, adv-lib and AutoAttack's authors: docs/strength.md.

python -m benchmarks.strength                           all that is not measured yet; it can be stopped and goes on
python -m benchmarks.strength --only deepfool --images 16
python -m benchmarks.strength --again fab               after a change to our attack; the peers' rows stay

Needs the real images (ROBUSTDX_DATA or --data): it trains six small networks on them, kept in runs/bench/strength.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.arenas import FAR, RECIPES, Arena, arena
from benchmarks.ledger import Ledger, Row
from benchmarks.matches import MATCHES, Match
from benchmarks.strength_table import OURS, page
from robustdx.attacks import ATTACKS
from robustdx.draws import Draws
from robustdx.models import Subject
from robustdx.threats import Threat

LIBRARIES = {"art": "adversarial-robustness-toolbox", "reference": "pyautoattack"}
SLACK = 1 + 1e-4
"""An answer may be so much outside of eps: float32."""


class Counted(nn.Module):
    """A network that counts the images it is shown, and those it is led back through."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.forwards, self.backwards = network, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.network(x)
        self.forwards += len(x)
        if outputs.requires_grad:
            outputs.register_hook(lambda grad: self._back(len(grad)))
        return outputs

    def _back(self, images: int) -> None:
        self.backwards += images


def measured(match: Match, a: Arena, who: str) -> Row:
    """All runs of one side; what a peer refuses is written down as well."""
    threat = FAR[match.threat] if match.kind == "distance" else a.threat(match.threat)
    eps = 0.0 if match.kind == "distance" else threat.eps
    start = Row(a.name, match.attack, match.threat, who, eps, len(a.x), match.kind, versions=versions(who), weights=a.weights)
    try:
        return run(match, a, who, threat, start)
    except Exception as error:
        if who == OURS:
            raise
        said = (str(error).strip().splitlines() or [""])[0]
        return Row(**{**vars(start), "refused": f"{type(error).__name__}: {said[:80]}".replace("|", "/")})


def run(match: Match, a: Arena, who: str, threat: Threat, start: Row) -> Row:
    standing, far, forwards, backwards, cpu = [], [], 0, 0, 0.0
    for seed in range(match.repeats):
        clock = time.process_time()
        x_adv, f, b = ours(match, a, threat, seed) if who == OURS else theirs(match, a, threat, seed, who)
        cpu += time.process_time() - clock
        stands, distance = judged(a, x_adv, threat)
        standing.append("".join("01"[int(s)] for s in stands))
        far = [None if s else round(d, 7) for s, d in zip(stands.tolist(), distance.tolist(), strict=True)]
        forwards, backwards = forwards + f, backwards + b
    per_image = len(a.x) * match.repeats
    told = {"forwards": round(forwards / per_image, 1), "backwards": round(backwards / per_image, 1), "cpu": round(cpu / match.repeats, 2)}
    return Row(**{**vars(start), **told, "standing": standing, "distances": far if match.kind == "distance" else []})


def ours(match: Match, a: Arena, threat: Threat, seed: int) -> tuple[Tensor, int, int]:
    subject = Subject(a.model)
    x_adv = ATTACKS.parse(match.ours)(subject, a.x, a.y, threat, Draws(seed, a.ids))
    return x_adv.detach(), sum(subject.forwards.values()), sum(subject.backwards.values())


def theirs(match: Match, a: Arena, threat: Threat, seed: int, who: str) -> tuple[Tensor, int, int]:
    torch.manual_seed(seed)
    network = Counted(a.plain).eval()
    with torch.no_grad():
        classes = a.plain(a.x[:1]).shape[1]
    x_adv = match.peers[who](network, a.x.clone(), a.classes.clone(), threat, classes)
    return x_adv.detach(), network.forwards, network.backwards


@torch.no_grad()
def judged(a: Arena, x_adv: Tensor, threat: Threat) -> tuple[Tensor, Tensor]:
    """Which images still stand, those changed by more than the budget among them, and how far each was changed."""
    x_adv = x_adv.clamp(0, 1)
    distance = threat.distance(x_adv, a.x)
    return (a.plain(x_adv).argmax(1) == a.classes) | (distance > threat.eps * SLACK), distance


def versions(who: str) -> dict[str, str]:
    names = ["torch", *([] if who == OURS else [LIBRARIES.get(who, who)])]
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def wanted(args: argparse.Namespace) -> list[Match]:
    some = [m for m in MATCHES if (not args.only or m.attack in args.only) and not (args.quick and m.slow)]
    some = [m for m in some if args.threat in (None, m.threat)]
    return [replace(m, peers={who: call for who, call in m.peers.items() if not args.peer or who in args.peer}) for m in some]


def todo(a: Arena, matches: list[Match], ledger: Ledger) -> Iterator[tuple[Match, str]]:
    """The sides of each comparison that was not made yet on any training of the network, where they are not known for this one."""
    with torch.no_grad():
        classes = a.plain(a.x[:1]).shape[1]
    for match in matches if classes >= 2 else ():

        def known(who: str, match: Match = match) -> set[str]:
            return ledger.measured(a.name, match.attack, match.threat, who, len(a.x))

        open_ = [peer for peer in match.peers if not known(OURS) & known(peer)] if classes >= match.classes else []
        yield from ((match, who) for who in ([OURS, *open_] if open_ else []) if a.weights not in known(who))


def shown(row: Row) -> str:
    if row.refused:
        return f"refused: {row.refused}"
    value = f"median {row.median:.5f}" if row.kind == "distance" else f"{row.accuracy:.3f} stand"
    return f"{value}, {row.forwards:.0f} + {row.backwards:.0f} passes, {row.cpu:.1f} s"


def main() -> None:
    args = arguments()
    ledger = Ledger(args.rows)
    ledger.forget(set(args.again or ()), OURS)
    if args.data is None and not args.table:
        print("the strength table needs the real images and is left as it is: set ROBUSTDX_DATA to their folder, or give --data")
        return
    for name in () if args.table else args.network or RECIPES:
        a = arena(name, args.data, args.home, args.images)
        left = list(todo(a, wanted(args), ledger))
        for n, (match, who) in enumerate(left, 1):
            row = measured(match, a, who)
            ledger.add(row)
            print(f"[{name} {n}/{len(left)}] {match.name}, {who}: {shown(row)}", flush=True)
        write(ledger, args.out)
    write(ledger, args.out)
    print(f"written to {args.out}")


def write(ledger: Ledger, out: Path) -> None:
    """The page, in the order of the networks and matches, whatever was measured first."""
    places = {(n, m.attack, m.threat, who): i for i, (n, m, who) in enumerate((n, m, w) for n in RECIPES for m in MATCHES for w in m.peers)}
    rows = sorted(ledger.rows.values(), key=lambda r: places.get((r.network, r.attack, r.threat, r.who), -1))
    out.write_text(page(rows, machine()), encoding="utf-8")


def machine() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("ROBUSTDX_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None, help="the folder of the real images")
    parser.add_argument("--only", action="append", choices=sorted({m.attack for m in MATCHES}), metavar="ATTACK")
    parser.add_argument("--peer", action="append", metavar="LIBRARY", help="beside this one alone")
    parser.add_argument("--threat", choices=("linf", "l2"))
    parser.add_argument("--again", action="append", metavar="ATTACK", help="measure ours anew, after a change to it")
    parser.add_argument("--network", action="append", choices=list(RECIPES))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes for each network")
    parser.add_argument("--table", action="store_true", help="measure nothing; write the page from what was measured")
    parser.add_argument("--home", type=Path, default=Path("runs/bench/strength"), help="where the networks are kept")
    parser.add_argument("--rows", type=Path, default=Path(__file__).parent / "results" / "strength.jsonl")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "strength.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
