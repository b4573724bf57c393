"""robustdx purify: images in, purified images out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from robustdx.cli import app
from robustdx.cli.screen import Screen


@app.command()
def purify(
    out: Annotated[Path, typer.Option(help="Folder for images/ and manifest.csv. The same command goes on where it stopped.")],
    data: Annotated[str, typer.Option(help="folder:PATH, csv:PATH, medmnist:PATH, ham10000:PATH, ...")],
    purifier: Annotated[
        list[str],
        typer.Option(help="jpeg, or with settings: jpeg,quality=75. Repeat for a chain, in the order that images take."),
    ],
    split: Annotated[str, typer.Option(help="all (default), or a split.")] = "all",
    images: Annotated[int | None, typer.Option(help="At most about this many images, drawn by patient.")] = None,
    channels: Annotated[
        int | None,
        typer.Option(min=1, max=3, help="1: all as grey, 3: all as colour, as colour networks see them. Left out, as they are."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Write images as a purifier leaves them, as lossless PNG at their original size, with a manifest. No network is asked.

    robustdx purify --data folder:scans --purifier jpeg,quality=75 --out purified
    """
    from robustdx import api
    from robustdx.auditing.files.purified import Purification
    from robustdx.cli import words
    from robustdx.models.device import require_device

    where = str(require_device(device))
    chosen = [words.method(p) for p in purifier]
    ready = Purification.of(data, chosen, split=split, images=images, seed=seed, channels=channels, device=where)
    screen = Screen()
    with screen.progress() as progress:
        fresh = api.purify(ready, out, command=shlex.join(["robustdx", *sys.argv[1:]]), progress=progress)
    told = f"The images are in {out / 'images'}, what changed in each in {out / 'manifest.csv'}"
    screen.say(told if fresh else f"Nothing to do: {out} holds these images already")
