"""robustdx export: a network, with a purifier before it, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from robustdx.cli import app
from robustdx.cli.audit import ModelText
from robustdx.cli.screen import Screen
from robustdx.errors import PlanError


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The file to write: FILE.onnx, or FILE.pt2 for torch.export.")],
    model: Annotated[str, typer.Option(help=ModelText)],
    data: Annotated[str, typer.Option(help="Data that the network was made for: they name the classes. No image is read.")],
    weights: Annotated[str | None, typer.Option(help="File with weights: safetensors, or a state dict.")] = None,
    defence: Annotated[
        list[str] | None, typer.Option(help="Purifier before the network: median, or with settings: gaussian,sigma=2. Repeat for a chain.")
    ] = None,
    task: Annotated[str, typer.Option(help="binary, multiclass, multilabel or ordinal; left out, what the data say.")] = "auto",
    size: Annotated[str | None, typer.Option(help="Height and width that the network takes: 224 or 150x200.")] = None,
    mean: Annotated[str | None, typer.Option(help="Mean per channel, with commas, for pixels in [0, 1].")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation per channel, with commas.")] = None,
    fixed_draws: Annotated[
        bool, typer.Option("--fixed-draws", help="Write one draw of a random purifier into the file, the same for every image.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of that draw.")] = 0,
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Allow formats that run code when they are opened.")] = False,
) -> None:
    """Write a network and the purifier before it as one file, and check that it answers as they do.

    robustdx export --model timm:resnet18 --weights model.safetensors --data folder:scans --defence median --out model.onnx
    """
    from robustdx.auditing.defence import defended
    from robustdx.auditing.files.programs import export_onnx, export_program
    from robustdx.catalogue import build
    from robustdx.cli import words
    from robustdx.data import load_dataset
    from robustdx.models import ModelSpec, load

    writers = {".onnx": export_onnx, ".pt2": export_program}
    if out.suffix not in writers:
        raise PlanError(f"expected a file that ends in .onnx or .pt2, got {out}")
    numbers = {"size": words.size(size), "mean": words.several(mean), "std": words.several(std)}
    spec: dict[str, Any] = words.merged({}, {"source": model, "weights": weights, **numbers})
    whole = load_dataset(data).as_task(task)
    loaded = load(build(ModelSpec, spec, where="export"), whole.kind, whole.classes, trust_code=trust_code)
    chosen = [words.method(d) for d in defence or []]
    named = chosen[0] if len(chosen) == 1 else {"name": "chain", "members": chosen} if chosen else None
    made = writers[out.suffix](defended(named, loaded, trust_code=trust_code), out, seed=seed, fixed_draws=fixed_draws)
    taken = "any number of images" if made.batch is None else f"{made.batch} image at a time"
    Screen().say(f"{out} takes {taken} and answers as the model does, to {made.difference:.1g} on the images tried")
