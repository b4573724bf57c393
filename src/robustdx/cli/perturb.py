"""robustdx perturb: images in, and out as they might have been taken on a worse day."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

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
    preset: Annotated[
        str | None,
        typer.Option(help="Write a benchmark instead, for `audit --data frozen:OUT`: xu2021, imagenet-p or centred."),
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="Only this sequence of the preset (centred where none is named). Repeat.")
    ] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of each sequence; left out, those of the preset.")] = None,
    video: Annotated[bool, typer.Option("--video", help="Send frames through H.264, as released (pip install 'robustdx[video]').")] = False,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="One picture instead: a row for each, its severities or frames as columns; --out names a .png.")
    ] = False,
    image: Annotated[str | None, typer.Option(help="With --sheet: the id of the image to show; the first where left out.")] = None,
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
    from robustdx.auditing.files.contact_sheet import write_sheet
    from robustdx.auditing.files.freezing import Freezing
    from robustdx.auditing.files.perturbed import Perturbing
    from robustdx.cli import words
    from robustdx.data.frozen.source import digest_of
    from robustdx.errors import PlanError
    from robustdx.models.device import require_device

    command = shlex.join(["robustdx", *sys.argv[1:]])
    given: dict[str, Any] = {"split": split, "images": images, "size": words.pair(size), "seed": seed, "channels": channels}
    given["device"] = str(require_device(device))
    screen = Screen()
    if preset or sequence:
        if perturbation:
            raise PlanError("expected perturbations (single images) or sequences (frames), got both: run the command once for each")
        ready: Freezing | Perturbing = Freezing.of(data, preset or "centred", sequences=sequence or (), count=frames, video=video, **given)
    else:
        asked = [words.method(p) for p in perturbation or ()]
        ready = Perturbing.of(data, asked, severities=words.whole(severity), modality=modality, **given)
    with screen.progress() as progress:
        if sheet:
            fresh, told = write_sheet(ready, out, image=image, progress=progress), f"The contact sheet is {out}"
        elif isinstance(ready, Freezing):
            fresh = api.freeze(ready, out, command=command, progress=progress)
            told = f"The benchmark is in {out}: robustdx audit --data frozen:{out} ...; its digest is {digest_of(out)}"
        else:
            fresh = api.perturb(ready, out, command=command, progress=progress)
            told = f"The images are in {out / 'images'}, what changed in each in {out / 'manifest.csv'}"
    screen.say(told if fresh else f"Nothing to do: {out} holds this already")
