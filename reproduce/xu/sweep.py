"""PGD swept over eps and iterations, and GAP over lambda, on one of the three victims of Xu et al.: audits that claims.py reads.

python -m reproduce.xu.sweep --model RUN --data DATA --out FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from robustdx.api import run
from robustdx.attacks import ATTACKS, GAP
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.prepare import prepare
from robustdx.data import load_dataset
from robustdx.data.split import subset, with_splits
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, ModelSpec
from robustdx.threats import Linf

EPS = (1, 2, 5, 10)
"""Of PGD in 255ths of the normalised input, as the authors' code takes them: in pixels each channel's times its standard deviation."""
STEPS = (1, 2, 4, 8, 16)
"""Of PGD at 5/255 normalised, each of 1/255 normalised, as published."""
LAMBDA = (5, 7, 10, 13)
"""Of GAP, in 255ths of pixels."""
UNIVERSAL = (10,)
PGD: dict[str, Any] = {"name": "pgd", "early_stop": False}
"""No early stop: the scores are driven to the end, so that the AUC means something."""


def in_pixels(eps: float, model: DiagnosticModel) -> tuple[float, ...]:
    """What eps / 255 in normalised units is in pixels, for each channel."""
    return tuple(eps / 255 * float(s) for s in model.std.flatten())


def learned(model: DiagnosticModel, data: str, args: argparse.Namespace, eps: int, universal: bool) -> dict[str, Any]:
    """A generator that learned on training images, as the words of an attack."""
    out = args.out / f"gap{'-universal' if universal else ''}-{eps}.safetensors"
    if not out.is_file():
        attack = GAP(width=args.width, epochs=args.epochs, universal=universal)
        train = subset(with_splits(load_dataset(data)).only("train").as_task(args.task), args.learn)
        with Progress() as bar:
            line = bar.add_task("", total=None)
            attack.fit(
                model,
                train,
                Linf(eps / 255),
                Draws(0, ("gap",)),
                out=out,
                progress=lambda what, n, whole: bar.update(line, description=f"{out.stem}: {what}", completed=n, total=whole),
            )
    return {**ATTACKS.dump(GAP(weights=str(out), early_stop=False)), "label": "gap universal" if universal else "gap"}


def audited(args: argparse.Namespace, name: str, attacks: Sequence[dict[str, Any]], eps: Sequence[Any]) -> None:
    plan = AuditPlan(
        model=ModelSpec(args.model), data=args.data, task=args.task, images=args.images, attacks=tuple(attacks), eps=tuple(eps), pictures=1
    )
    with Progress() as bar:
        line = bar.add_task(name, total=None)
        command = f"python -m reproduce.xu.sweep --out {args.out}"
        run(prepare(plan), args.out / name, command=command, progress=lambda what, n, whole: bar.update(line, completed=n, total=whole))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--task", default="auto")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200, help="test images, drawn by patient")
    parser.add_argument("--learn", type=int, default=400, help="training images that the generators learn from")
    parser.add_argument("--epochs", type=int, default=20, help="of 8 images at a time: 1,000 steps, as the authors take 800 to 1,300")
    parser.add_argument("--width", type=int, default=32)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = prepare(AuditPlan(model=ModelSpec(args.model), data=args.data, task=args.task)).model
    audited(args, "eps", [{**PGD, "steps": 10, "label": "pgd"}], [in_pixels(e, model) for e in EPS])
    steps = [{**PGD, "steps": n, "step_size": 0.2, "label": f"pgd {n}"} for n in STEPS]
    audited(args, "steps", steps, [in_pixels(5, model)])
    for eps in LAMBDA:
        kinds = (False, True) if eps in UNIVERSAL else (False,)
        attacks = [learned(model, args.data, args, eps, universal) for universal in kinds]
        audited(args, f"lambda-{eps}", [*attacks, {**PGD, "steps": 10, "label": "pgd"}], [eps / 255])


if __name__ == "__main__":
    main()
