"""The escalation beside attacks that were put together by hand, with all there is to know of the defence: docs/experts.md.

python -m benchmarks.experts --model RUN --data ham10000:PATH --diffusion WEIGHTS [--images 100] [--eps 2] [--only jpeg]

RUN is a network of `robustdx harden`, WEIGHTS a diffusion purifier that has learned from the training images. What is in
`results/experts.jsonl` is not measured again, so it can be stopped at any moment.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robustdx.attacks import APGD, PGD, APGDTargeted, Attack, Square
from robustdx.auditing.cell import Batch, Row, clean_rows
from robustdx.auditing.escalation.climb import Escalation, badness
from robustdx.auditing.escalation.examine import examine
from robustdx.auditing.escalation.steps import Step
from robustdx.auditing.escalation.trial import VERDICT
from robustdx.auditing.escalation.views import View, averaged, known
from robustdx.data import load_dataset
from robustdx.data.batches import batch
from robustdx.data.split import subset
from robustdx.models import Defended, DiagnosticModel, ModelSpec, load, still
from robustdx.models.jittered import Jittered
from robustdx.purifiers import JPEG, MDDA, Diffusion, JPEGDifferentiable, Purifier, ResizePad, StraightThrough, is_random
from robustdx.records import ESCALATION, Cell
from robustdx.threats import Linf

RESULTS = Path(__file__).parent / "results" / "experts.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "experts.md"
TOGETHER = 25
"""Images that are attacked together."""
QUALITY = 60

Rungs = Callable[[DiagnosticModel, float], list[Step]]


@dataclass(frozen=True)
class Line:
    """What one attacker left of the images."""

    defence: str
    eps: float
    """In 255ths."""
    who: str
    """"claimed" (PGD with the gradient as it is), "escalation", "by hand", "AutoAttack rand"."""
    right: list[str]
    """Ids of the images that were answered rightly."""
    standing: list[str]
    passes: float
    """Forwards and backwards of the network, for each image that was right."""
    seconds: float
    steps: dict[str, int]
    """How many images each step broke."""
    verdict: str = ""


def strong(view: View, *, steps: int, restarts: int, targets: int = 6) -> list[Step]:
    """Three losses from several starts on one view."""
    attacks: list[Attack] = [
        APGD(loss="ce", steps=steps, restarts=restarts),
        APGD(loss="dlr-or-margin", steps=steps, restarts=restarts),
        APGDTargeted(targets=targets, steps=steps),
    ]
    return [Step(f"{view.name}, {name}", view, attack, "") for name, attack in zip(("ce", "dlr", "targeted"), attacks, strict=True)]


def jpeg_by_hand(model: DiagnosticModel, eps: float) -> list[Step]:
    """Pillow's JPEG forward, the same quality with a gradient on the way back; its mean around the image; and queries."""
    assert isinstance(model, Defended)
    view = View("twin", Defended(model.model, StraightThrough(model.purifier, JPEGDifferentiable(quality=QUALITY))), answers=True)
    around = View("twin around", Jittered(view.model, eps / 2, 16), answers=False)
    driven = Step("twin around", around, PGD(steps=100, early_stop=False), "")
    return [*strong(view, steps=200, restarts=5), driven, Step("queries", View("own", model, answers=True), Square(queries=2000), "")]


def drawn_by_hand(draws: int, steps: int, restarts: int) -> Rungs:
    """The exact gradient with the very draws of the verdict, then the mean over many others."""

    def made(model: DiagnosticModel, eps: float) -> list[Step]:
        own = View("own", model, answers=True)
        mean = Step(f"mean over {draws} draws", averaged(own, draws), PGD(steps=100, early_stop=False), "")
        return [*strong(known(own, VERDICT), steps=steps, restarts=restarts), mean]

    return made


def rand(model: DiagnosticModel, eps: float) -> list[Step]:
    """AutoAttack's version for defences that draw: two losses of 100 steps, on the mean over 20 draws where anything is drawn."""
    assert isinstance(model, Defended)
    own = View("own", model, answers=True)
    view = averaged(own, 20) if is_random(model.purifier) else own
    return [Step(loss, view, APGD(loss=loss, early_stop=False), "") for loss in ("ce", "dlr-or-margin")]  # type: ignore[arg-type]


def defences(diffusion: str | None) -> dict[str, tuple[Purifier, Rungs]]:
    """Each defence, and the attack on it that was put together by hand."""
    found: dict[str, tuple[Purifier, Rungs]] = {
        "jpeg": (JPEG(quality=QUALITY), jpeg_by_hand),
        "resize-pad": (ResizePad(), drawn_by_hand(32, 200, 3)),
        "mdda": (MDDA(blocks=1, sigma=0.02, rof_weight=0.03), drawn_by_hand(16, 150, 2)),
    }
    return found | ({"diffusion": (Diffusion(weights=diffusion, time=0.05, steps=4), drawn_by_hand(16, 100, 2))} if diffusion else {})


def escalated(name: str, model: DiagnosticModel, parts: Sequence[Batch], eps: float) -> Iterator[Line]:
    """What PGD claims of the defended model, and what the escalation leaves."""
    began, found = time.process_time(), [examine(model, part, PGD(), Linf(eps / 255)) for part in parts]
    seconds = time.process_time() - began
    clean = [row for f in found for row in f.clean]
    verdicts = " and ".join(sorted({f.judgement["verdict"] for f in found}))
    for who, rows in (("claimed", [r for f in found for r in f.claimed]), ("escalation", [r for f in found for r in f.rows])):
        yield line(name, eps, who, clean, rows, seconds if who == "escalation" else 0.0, verdicts if who == "escalation" else "")


def by_hand(name: str, model: DiagnosticModel, parts: Sequence[Batch], eps: float, who: str, rungs: Rungs) -> Line:
    """What steps leave that were chosen by one who knows the defence; judged as the escalation is."""
    began, clean, rows = time.process_time(), list[Row](), list[Row]()
    with still(model):
        made = rungs(model, eps / 255)
        cell = Cell(ESCALATION, "linf", eps / 255, "test", {}, early_stop=True, verdict="saved")
        for part in parts:
            clean += (own := clean_rows(model, part, 0))
            rows += Escalation(model, made, Linf(eps / 255), cell, 0, {row["id"]: row for row in own}, [])(part, 0)
    return line(name, eps, who, clean, rows, time.process_time() - began, "")


def line(name: str, eps: float, who: str, clean: Sequence[Row], rows: Sequence[Row], seconds: float, verdict: str) -> Line:
    right = [row["id"] for row in clean if badness(row) < 1]
    standing = [row["id"] for row in rows if badness(row) < 1]
    fell = [row.get("member") or "attacks of the plan" for row in rows if row["id"] in right and badness(row) == 1]
    passes = sum(row["forwards"] + row["backwards"] for row in rows if row["id"] in right) / max(1, len(right))
    return Line(name, eps, who, right, standing, passes, seconds, {step: fell.count(step) for step in dict.fromkeys(fell)}, verdict)


def page(lines: Mapping[tuple[str, float, str], Line], about: str) -> Iterator[str]:
    """The table: what each attacker left of each defence."""
    yield "# The escalation beside attacks made by hand\n"
    yield f"Written by `python -m benchmarks.experts`; every number is measured, none is edited. {about}\n"
    yield "*Claimed*: PGD of 40 steps on the defence as it is. *By hand*: steps chosen with all there is to know of the defence, in"
    yield "`benchmarks/experts.py`. *More*: images that the one broke and the other did not. Passes are the network's, for each image"
    yield "that was right; seconds are the processor's, for all of them. The escalation judges 25 images at a time, each with a verdict."
    yield "Each defence stands before one training of the same plan; another row may belong to another training, made on another processor."
    yield "Where answers are drawn, the escalation also hands each image in ten times; the attacks by hand do so once."
    yield "Aimed at: at most 2 of 100 images more than either.\n"
    yield (
        "| defence | eps | right | claimed | escalation | by hand | AutoAttack `rand` | "
        "more by hand | more by escalation | verdict | passes: ours | by hand |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|"
    for name, eps in dict.fromkeys((k[0], k[1]) for k in lines):
        own = {who: found for (n, e, who), found in lines.items() if (n, e) == (name, eps)}
        if {"claimed", "escalation", "by hand"} <= set(own):
            yield row(name, eps, own)
    yield "\n## Which steps broke them\n"
    for (name, eps, who), found in lines.items():
        if who in ("escalation", "by hand"):
            steps = "; ".join(f"{step} {n}" for step, n in found.steps.items())
            yield f"- {name} at {eps:g}/255, {who} ({found.seconds:.0f} s): {steps}"


def row(name: str, eps: float, own: Mapping[str, Line]) -> str:
    mine, hand = set(own["escalation"].standing), set(own["by hand"].standing)
    aa = str(len(own["AutoAttack rand"].standing)) if "AutoAttack rand" in own else ""
    cells = [name, f"{eps:g}/255", len(own["escalation"].right), len(own["claimed"].standing), len(mine), len(hand), aa]
    cells += [len(mine - hand), len(hand - mine), own["escalation"].verdict]
    return "| " + " | ".join(map(str, [*cells, f"{own['escalation'].passes:,.0f}", f"{own['by hand'].passes:,.0f}"])) + " |"


def read() -> dict[tuple[str, float, str], Line]:
    """What was measured; the last line of a stopped process may be half."""
    found = {}
    for text in RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.is_file() else []:
        try:
            made = Line(**json.loads(text))
        except (ValueError, TypeError):
            continue
        found[(made.defence, made.eps, made.who)] = made
    return found


def keep(made: Line) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(made)) + "\n")


def shown(model: DiagnosticModel, source: str, images: int) -> list[Batch]:
    """Test images of whole lesions, in parts."""
    data = load_dataset(source).only("test")
    some = subset(data, images, 0)
    assert model.size is not None
    places = range(min(images, len(some)))
    parts = [places[i : i + TOGETHER] for i in places[::TOGETHER]]
    found = []
    for at in parts:
        pixels, y = batch(some, at, model.size, model.channels)
        found.append(Batch(pixels.float() / 255, y, tuple(some.examples[i].id for i in at), (None,) * len(at)))
    return found


def measure(bare: DiagnosticModel, parts: Sequence[Batch], args: Any) -> None:
    """Whatever is not there yet."""
    for name, (purifier, rungs) in defences(args.diffusion).items():
        if args.only and name not in args.only:
            continue
        model = Defended(bare, purifier)
        for eps in args.eps:
            done = read()
            if (name, eps, "escalation") not in done:
                for made in escalated(name, model, parts, eps):
                    keep(made)
            for who, own in (("by hand", rungs), *((("AutoAttack rand", rand),) if name in ("jpeg", "resize-pad") else ())):
                if (name, eps, who) not in done:
                    keep(by_hand(name, model, parts, eps, who, own))
            print(f"{name} at {eps:g}/255: " + ", ".join(f"{k[2]} {len(v.standing)}" for k, v in read().items() if k[:2] == (name, eps)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--diffusion")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--eps", type=float, nargs="+", default=[2.0])
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--page", action="store_true", help="measure nothing: write the page from what is there")
    args = parser.parse_args()
    data = load_dataset(args.data)
    bare = load(ModelSpec(source=args.model), data.kind, data.classes)
    parts = shown(bare, args.data, args.images)
    if not args.page:
        measure(bare, parts, args)
    size = " x ".join(map(str, bare.size or ()))
    about = f"{sum(len(p.ids) for p in parts)} test images of {data.name}, {type(bare.network).__name__} at {size} pixels."
    PAGE.write_text("\n".join(page(read(), about)) + "\n", encoding="utf-8")
    print(f"The table is in {PAGE}")


if __name__ == "__main__":
    main()
