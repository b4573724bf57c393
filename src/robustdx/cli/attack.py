"""robustdx attack: images in, adversarial images out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from robustdx.cli import app
from robustdx.cli.audit import ModelText
from robustdx.cli.screen import Screen


@app.command()
def attack(
    out: Annotated[Path, typer.Option(help="Folder for images/, manifest.csv and the records. The same command goes on where it stopped.")],
    model: Annotated[str, typer.Option(help=ModelText)],
    data: Annotated[str, typer.Option(help="folder:PATH, csv:PATH, medmnist:PATH, ham10000:PATH, ...")],
    eps: Annotated[str, typer.Option(help="Budget in pixel units: 2/255. At least 1/255: nothing smaller survives being saved.")],
    weights: Annotated[str | None, typer.Option(help="File with weights: safetensors, or a state dict.")] = None,
    method: Annotated[str, typer.Option("--attack", help="pgd, or with settings: pgd,steps=20,restarts=5.")] = "pgd",
    threat: Annotated[str, typer.Option(help="linf or l2.")] = "linf",
    region: Annotated[str | None, typer.Option(help="Change pixels only inside, or only outside, the masks of the images.")] = None,
    task: Annotated[str, typer.Option(help="binary, multiclass, multilabel or ordinal; left out, what the data say.")] = "auto",
    goal: Annotated[str | None, typer.Option(help="What the adversary is after: finding,finding=Effusion,wanted=hidden.")] = None,
    surrogate: Annotated[
        list[str] | None, typer.Option(help="Craft on this network instead: timm:resnet18,weights=FILE. Repeat for an ensemble.")
    ] = None,
    split: Annotated[str, typer.Option(help="all (default), or a split.")] = "all",
    images: Annotated[int | None, typer.Option(help="At most about this many images, drawn by patient.")] = None,
    size: Annotated[str | None, typer.Option(help="Height and width that the network takes: 224 or 150x200.")] = None,
    mean: Annotated[str | None, typer.Option(help="Mean per channel, with commas, for pixels in [0, 1].")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation per channel, with commas.")] = None,
    outputs: Annotated[str | None, typer.Option(help="logits (default) or probabilities.")] = None,
    at_input_size: Annotated[
        bool, typer.Option("--at-input-size", help="Scale images to the network's size first and write them so; quicker.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Images at a time.")] = 32,
    precision: Annotated[str, typer.Option(help="Precision of the search: auto, float32 or bfloat16.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Allow formats that run code when they are opened.")] = False,
) -> None:
    """Write the worst images that a budget allows, as lossless PNG at their original size, with a manifest.

    robustdx attack --model timm:resnet18 --weights model.safetensors --data folder:scans --eps 2/255 --out attacked
    """
    from robustdx import api
    from robustdx.auditing import prepare
    from robustdx.auditing.plan import AuditPlan
    from robustdx.catalogue import build
    from robustdx.cli import words

    spec: dict[str, Any] = {
        "source": model,
        "weights": weights,
        "size": words.size(size),
        "mean": words.several(mean),
        "std": words.several(std),
    }
    spec |= {"outputs": outputs, "resize": None if at_input_size else True}
    chosen: dict[str, Any] = {
        "data": data,
        "task": task,
        "goal": words.method(goal) if goal else None,
        "surrogates": [words.network(s) for s in surrogate] if surrogate else None,
        "escalation": False,
        "split": split,
        "threat": threat,
        "region": region,
        "eps": words.several(eps),
        "images": images,
        "seed": seed,
    }
    chosen |= {"batch_size": batch_size, "precision": precision, "attacks": [words.method(method)], "model": spec}
    plan: AuditPlan = build(AuditPlan, words.merged({}, chosen), where="attack")
    ready = prepare.prepare(plan, trust_code=trust_code, device=device)
    screen = Screen()
    with screen.progress() as progress:
        fresh = api.attack(ready, out, progress=progress)
    told = f"The images are in {out / 'images'}, what was done to each in {out / 'manifest.csv'}"
    screen.say(told if fresh else f"Nothing to do: {out} holds these images already")
