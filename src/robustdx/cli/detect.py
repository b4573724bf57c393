"""robustdx detect: does a detector of adversarial images stop an attacker who knows it?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from robustdx.cli import app
from robustdx.cli.audit import ModelText
from robustdx.cli.screen import Screen


@app.command()
def detect(
    out: Annotated[Path, typer.Option(help="Folder of the run. The same command goes on where it stopped.")],
    model: Annotated[str, typer.Option(help=ModelText)],
    data: Annotated[str, typer.Option(help="synthetic, folder:PATH, csv:PATH, medmnist:PATH, ham10000:PATH, ...")],
    eps: Annotated[str, typer.Option(help="Budgets in pixel units, with commas: 2/255,4/255. At least 1/255.")],
    weights: Annotated[str | None, typer.Option(help="File with weights: safetensors, or a state dict.")] = None,
    detector: Annotated[
        list[str] | None, typer.Option(help="mahalanobis, or with settings: lid,neighbours=10. Repeat for more; left out, all there are.")
    ] = None,
    attack: Annotated[
        list[str] | None, typer.Option(help="pgd (40 steps, default), or with settings: apgd,steps=20. Repeat for more.")
    ] = None,
    threat: Annotated[str, typer.Option(help="linf or l2.")] = "linf",
    task: Annotated[str, typer.Option(help="binary, multiclass, multilabel or ordinal; left out, what the data say.")] = "auto",
    split: Annotated[str, typer.Option(help="Images to judge on.")] = "test",
    images: Annotated[int | None, typer.Option(help="At most about this many images, drawn by patient: a quick look.")] = None,
    learn: Annotated[int, typer.Option(min=1, help="At most about this many clean training images for detectors that learn.")] = 2000,
    size: Annotated[str | None, typer.Option(help="Height and width that the network takes: 224 or 150x200.")] = None,
    mean: Annotated[str | None, typer.Option(help="Mean per channel, with commas, for pixels in [0, 1].")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation per channel, with commas.")] = None,
    outputs: Annotated[str | None, typer.Option(help="logits (default) or probabilities.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Images at a time.")] = 32,
    precision: Annotated[str, typer.Option(help="Precision of the search: auto, float32 or bfloat16.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Allow formats that run code when they are opened.")] = False,
) -> None:
    """Test detectors of adversarial images, also against an attacker who knows them.

    robustdx detect --model timm:resnet18 --weights model.safetensors --data folder:scans --detector mahalanobis --eps 4/255 --out run
    """
    from robustdx import api
    from robustdx.auditing.detection.alarms import prepare_alarms
    from robustdx.auditing.plan import AuditPlan
    from robustdx.catalogue import build
    from robustdx.cli import words

    numbers = {"size": words.size(size), "mean": words.several(mean), "std": words.several(std)}
    spec: dict[str, Any] = {"source": model, "weights": weights, "outputs": outputs, **numbers}
    chosen: dict[str, Any] = {"data": data, "task": task, "split": split, "threat": threat, "eps": words.several(eps), "images": images}
    chosen |= {"seed": seed, "batch_size": batch_size, "precision": precision, "model": spec}
    chosen["attacks"] = [words.method(a) for a in attack or ["pgd"]]
    plan: AuditPlan = build(AuditPlan, words.merged({}, chosen), where="detect")
    named = [words.method(d) for d in detector or []]
    ready = prepare_alarms(plan, named, learn=learn, trust_code=trust_code, device=device)
    screen = Screen()
    with screen.progress() as progress:
        results = api.detect(ready, out, command=shlex.join(["robustdx", *sys.argv[1:]]), progress=progress)
    screen.alarms(results)
    screen.say(f"The report is {out / 'report.html'}")
