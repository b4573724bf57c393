"""robustdx perturb: images in, and out as they might have been taken on a worse day."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from robustdx.cli import app
from robustdx.cli.screen import Screen


@app.command()
def perturb(
    out: Annotated[Path, typer.Option(help="Folder for what is made; with --sheet, a .png. The same command goes on where it stopped.")],
    data: Annotated[str, typer.Option(help="folder:PATH, csv:PATH, medmnist:PATH, ham10000:PATH, ...; or a folder of any images.")],
    perturbation: Annotated[
        list[str] | None,
        typer.Option(help="hair, or with settings: hair,name=value. Repeat for several; all: those believable on --modality."),
    ] = None,
    severity: Annotated[str, typer.Option(help="From 1 (hardly seen) to 5 (hardly readable), several with commas.")] = "1,2,3,4,5",
    modality: Annotated[str | None, typer.Option(help="dermoscopy, x-ray, fundus, ct or mr: what `all` stands for.")] = None,
    split: Annotated[str, typer.Option(help="all (default), or a split.")] = "all",
    images: Annotated[int | None, typer.Option(help="At most about this many images, drawn by patient.")] = None,
    size: Annotated[str | None, typer.Option(help="Height and width to bring images to first: 224 or 150x200.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, max=3, help="1: all as grey, 3: all as colour. Left out, as they are.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Write images with natural perturbations, as lossless PNG, with a manifest. No network is asked.

    robustdx perturb --data folder:scans --perturbation hair --severity 3 --out perturbed
    """
    from robustdx import api
    from robustdx.auditing.files.perturbed import Perturbing
    from robustdx.cli import words
    from robustdx.models.device import require_device

    where, command = str(require_device(device)), shlex.join(["robustdx", *sys.argv[1:]])
    ready = Perturbing.of(
        data,
        [words.method(p) for p in perturbation or ()],
        severities=words.whole(severity),
        modality=modality,
        split=split,
        images=images,
        size=words.pair(size),
        seed=seed,
        channels=channels,
        device=where,
    )
    screen = Screen()
    with screen.progress() as progress:
        fresh = api.perturb(ready, out, command=command, progress=progress)
    told = f"The images are in {out / 'images'}, what changed in each in {out / 'manifest.csv'}"
    screen.say(told if fresh else f"Nothing to do: {out} holds these images already")
