"""robustdx harden: train a model that holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from robustdx.cli import app
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
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is drawn.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that share every batch; each holds the images.")] = 1,
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Allow a model that runs code: module:callable.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and about how long; write nothing.")] = False,
) -> None:
    """Train a network on labelled images, plainly or against an adversary.

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
    carry_out(made, out, Screen(), trust_code=trust_code, device=device, workers=workers, dry_run=dry_run)


def carry_out(
    plan: Any, out: Path | None, screen: Screen, *, trust_code: bool = False, device: str, workers: int = 1, dry_run: bool
) -> None:
    """Run a plan with progress on the screen, or say what would run."""
    from robustdx.store import Store
    from robustdx.training import checkpoint, estimate, prepare, team
    from robustdx.training.loop import Loop

    if out is None and not dry_run:
        raise PlanError("expected the folder of the run, which is missing: give --out FOLDER")
    team.require_workers(workers, plan.batch_size, device)
    training = prepare.prepare(plan, trust_code=trust_code, device=device)
    if training.cut_groups:
        screen.warn(f"{training.cut_groups} patients or lesions lie in more than one split: validation numbers will be too good")
    if out is None or dry_run:
        screen.say(estimate.outlook(training))
        return
    store, told = Store(out), prepare.words(training)
    store.require(told)
    if store.whole:
        checkpoint.remove(store)  # of a process that died between its last two steps
        screen.say(f"Nothing to do: {out} holds this training, finished. Audit it with --model {out}")
        return
    with screen.progress() as progress:
        loop = Loop(training, store, progress, team=team.Team(0, workers))
        held = loop.read()  # before the folder is touched: an image that cannot be read leaves nothing behind
        if not held:
            screen.warn("decoded, the images would take more than half of the free memory: they are read from disk again and again")
        Store.open(out, told)
        with team.led(workers, prepare.help_train, plan, trust_code, out):
            loop.run(on_epoch=lambda record: screen.say(line(record)), on_event=lambda event: screen.warn(event_line(event)))
    screen.say(f"The model is in {out}: robustdx audit --model {out} --data {plan.data}")


def line(record: dict[str, Any]) -> str:
    """One epoch in one line."""
    numbers = {k: v for k, v in record.items() if isinstance(v, float)}
    told = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in numbers.items())
    silent = f"; never predicted: {', '.join(record['never_predicted'])}" if "never_predicted" in record else ""
    return f"epoch {record['epoch']} ({record['objective']}, {'x'.join(map(str, record['size']))}): {told}{silent}"


def event_line(event: dict[str, Any]) -> str:
    """What a monitor saw and did, in one line."""
    return f"epoch {event['epoch']}, step {event['step']}: {event['seen']}. Monitors: {event['done']}"
