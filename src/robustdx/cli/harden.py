"""robustdx harden: train a model that holds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from robustdx.cli import app
from robustdx.cli.epochs import Helpers, follow_finished, train
from robustdx.cli.screen import Screen
from robustdx.errors import PlanError


@app.command()
def harden(
    plan: Annotated[Path | None, typer.Argument(help="Plan in TOML; flags change single keys of it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. The same command goes on where it stopped.")] = None,
    model: Annotated[str | None, typer.Option(help="timm:NAME, torchvision:NAME, cnn, attnmel, chexnet, or module:callable.")] = None,
    data: Annotated[str | None, typer.Option(help="synthetic, folder:PATH, csv:PATH, medmnist:PATH, ham10000:PATH, ...")] = None,
    objective: Annotated[
        str | None, typer.Option(help="standard, madry, trades, ... or with settings: madry,steps=2,step_size=0.75.")
    ] = None,
    threat: Annotated[str | None, typer.Option(help="linf or l2.")] = None,
    eps: Annotated[str | None, typer.Option(help="Budget of the adversary in pixel units: 2/255.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs, all at the network's own size.")] = None,
    size: Annotated[str | None, typer.Option(help="Height and width of the images: 224 or 150x200.")] = None,
    start: Annotated[str | None, typer.Option(help="Run folder or file of weights from which to start.")] = None,
    judge: Annotated[str | None, typer.Option(help="Attack that chooses the epoch on validation images: pgd,steps=3.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images at a time.")] = None,
    learning_rate: Annotated[str | None, typer.Option(help="The highest learning rate.")] = None,
    recipe: Annotated[str | None, typer.Option(help="auto: objective, stages, batch and rate are chosen, after short trials.")] = None,
    budget: Annotated[str | None, typer.Option(help="What the recipe may spend: 20m, 2h, or work such as 400TFLOP.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is drawn.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that share every batch; each holds the images.")] = 1,
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Allow a model that runs code: module:callable.")] = False,
    compare: Annotated[
        str | None, typer.Option(help="Network to compare with: a run folder, or timm:NAME,weights=FILE. Left out, the one of --start.")
    ] = None,
    no_audit: Annotated[bool, typer.Option("--no-audit", help="Leave out the quick audit on validation images at the end.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write each epoch for TensorBoard, to OUT/tensorboard.")] = False,
    mlflow: Annotated[str | None, typer.Option(help="Tell each epoch to MLflow: the address of a server, or a folder.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and about how long; write nothing.")] = False,
) -> None:
    """Train a network on labelled images, plainly or against an adversary.

    robustdx harden --model timm:resnet18 --data folder:scans --budget 20m --out run

    robustdx harden --model timm:resnet18 --size 224 --data folder:scans --objective madry,steps=2 --eps 2/255 --out run
    """
    from robustdx.catalogue import build, read_words
    from robustdx.cli import words
    from robustdx.training.plan import HardenPlan

    changes: dict[str, Any] = {
        "model": {"source": model, "size": words.size(size)},
        "data": data,
        "objective": words.method(objective) if objective else None,
        "threat": threat,
        "eps": eps,
        "stages": None if epochs is None else [{"epochs": epochs}],
        "start": start,
        "judge": words.method(judge) if judge else None,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "precision": precision,
    }
    read = words.merged(read_words(plan) if plan else {}, changes)
    made: HardenPlan = build(HardenPlan, read, where=str(plan or "harden"))
    ending = {"audit": not no_audit, "compare": words.network(compare) if compare else None, "trust_code": trust_code}
    follow = {"tensorboard": tensorboard, "mlflow": mlflow}
    where: dict[str, Any] = {"device": device, "workers": workers, "trust_code": trust_code}
    screen = Screen()
    keep: Callable[[Path], None] = nothing
    if recipe or budget:
        require_open(read)
        made, keep = choose(made, recipe or "auto", budget, out, screen, dry_run=dry_run, ending=ending, **where)
    carry_out(made, out, screen, dry_run=dry_run, ending=ending, follow=follow, keep=keep, **where)


CHOSEN = ("objective", "stages", "judge", "batch_size", "learning_rate", "warm_up", "seconds")
"""Keys of a plan that a recipe chooses."""


def require_open(read: Mapping[str, Any]) -> None:
    """Refuse a plan that has chosen already what a recipe is to choose."""
    told = [name for name in CHOSEN if read.get(name) is not None]
    if told:
        raise PlanError(f"a recipe chooses {', '.join(told)} by itself: leave that out, or leave --budget and --recipe out")


def nothing(out: Path) -> None:
    """There is no recipe to keep."""


def choose(
    plan: Any,
    recipe: str,
    budget: str | None,
    out: Path | None,
    screen: Screen,
    *,
    device: str,
    workers: int,
    trust_code: bool,
    dry_run: bool,
    ending: Mapping[str, Any],
) -> tuple[Any, Callable[[Path], None]]:
    """The plan that a recipe makes of the one that was given, or has made for the same folder before; and what writes it down there."""
    from robustdx.hardening import Ending
    from robustdx.training.prepare import prepare
    from robustdx.training.recipe import Auto, kept, read_budget

    if recipe != "auto":
        raise PlanError(f"there is no recipe {recipe!r}: say --recipe auto, or name an objective")
    if budget is None:
        raise PlanError("a recipe spends a budget, which is missing: give --budget 20m")
    chosen = kept.read(out, plan, budget)
    if chosen is None:
        with screen.progress() as progress:
            load = partial(prepare, trust_code=trust_code, device=device)
            training = load(plan)
            after = Ending(**ending).passes(training)
            auto = Auto(training, read_budget(budget), progress, workers=workers, after=after, again=load)
            chosen = auto(try_out=not dry_run)
    for choice in chosen.choices:
        screen.say(str(choice))
    return chosen.plan, lambda folder: kept.write(folder, plan, budget, chosen)


def carry_out(
    plan: Any,
    out: Path | None,
    screen: Screen,
    *,
    device: str,
    dry_run: bool,
    workers: int = 1,
    trust_code: bool = False,
    ending: Mapping[str, Any] = MappingProxyType({}),
    follow: Mapping[str, Any] = MappingProxyType({"tensorboard": False, "mlflow": None}),
    keep: Callable[[Path], None] = nothing,
) -> None:
    """Run a plan with progress on the screen, or say what would run."""
    from robustdx.hardening import Ending
    from robustdx.report.before import before_and_after
    from robustdx.report.hardening.hardened import AUDIT
    from robustdx.store import Store
    from robustdx.training import checkpoint, estimate, prepare, team, tracking

    if out is None and not dry_run:
        raise PlanError("expected the folder of the run, which is missing: give --out FOLDER")
    tracking.require(**follow)
    team.require_workers(workers, plan.batch, device)
    training, after = prepare.prepare(plan, trust_code=trust_code, device=device), Ending(**ending)
    after.require(training)
    if training.cut_groups:
        screen.warn(f"{training.cut_groups} patients or lesions lie in more than one split: validation numbers will be too good")
    if out is None or dry_run:
        screen.say(f"{estimate.outlook(training)}\n{after.told(training)}")
        return
    store, told = Store(out), prepare.words(training)
    store.require(told)
    if after.done(training, out):
        checkpoint.remove(store)  # of a process that died between its last two steps
        follow_finished(store, told, follow)
        screen.say(f"Nothing to do: {out} holds this training, finished. Audit it with --model {out}")
        return
    command = tracking.written_down(["robustdx", *sys.argv[1:]])

    def begin() -> None:
        keep(out)
        after.begin(training, out, command)

    if not store.whole:
        train(training, store, told, screen, follow, begin, Helpers(workers, trust_code))
    else:
        begin()
        follow_finished(store, told, follow)
    with screen.progress() as progress:
        results = after.finish(training, out, command, progress)
    if results is not None:
        screen.say(f"A quick audit on validation images (report: {out / AUDIT / 'report.html'}):")
        screen.results(results)
        for sentence in before_and_after(out / AUDIT):
            screen.say(sentence)
    screen.say(f"The model is in {out}, its card in {out / 'README.md'}. On the test images: robustdx audit --model {out}")
