"""robustdx certify: what can be proved of a model under noise?"""

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
def certify(
    out: Annotated[Path, typer.Option(help="Folder of the run. The same command goes on where it stopped.")],
    model: Annotated[str, typer.Option(help=ModelText)],
    data: Annotated[str, typer.Option(help="synthetic, folder:PATH, csv:PATH, medmnist:PATH, ham10000:PATH, ...")],
    sigma: Annotated[str, typer.Option(help="Standard deviation of the noise on pixels in [0, 1]: 0.25.")] = "0.25",
    samples: Annotated[str, typer.Option(help="Draws that choose the class, and others that bound its share: 100,1000.")] = "100,1000",
    alpha: Annotated[str, typer.Option(help="Probability with which one certificate may be wrong.")] = "0.001",
    purifier: Annotated[str | None, typer.Option(help="Clean the noisy image first (denoised smoothing): NAME,setting=value.")] = None,
    attack: Annotated[list[str] | None, typer.Option(help="Attack the same smoothed model under L2 beside it: pgd,steps=20.")] = None,
    eps: Annotated[str | None, typer.Option(help="Budgets of those attacks, lengths in pixel units: 0.25,0.5.")] = None,
    draws: Annotated[int | None, typer.Option(help="Draws behind each answer that an attack is given.")] = None,
    weights: Annotated[str | None, typer.Option(help="File with weights: safetensors, or a state dict.")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass, multilabel or ordinal; left out, what the data say.")] = None,
    split: Annotated[str | None, typer.Option(help="Images to certify: test (default), another split, or all.")] = None,
    images: Annotated[int | None, typer.Option(help="At most about this many images, drawn by patient.")] = None,
    size: Annotated[str | None, typer.Option(help="Height and width that the network takes: 224 or 150x200.")] = None,
    mean: Annotated[str | None, typer.Option(help="Mean per channel, with commas, for pixels in [0, 1].")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation per channel, with commas.")] = None,
    outputs: Annotated[str | None, typer.Option(help="logits (default) or probabilities.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is drawn.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images whose votes are kept at a time.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Allow formats that run code when they are opened.")] = False,
) -> None:
    """Prove around how many images the model's vote under noise cannot be turned, and how far (randomised smoothing).

    robustdx certify --model timm:resnet18 --weights model.safetensors --data folder:scans --sigma 0.25 --samples 100,1000 --out run
    """
    from robustdx import api
    from robustdx.auditing.certificates.plan import CertifyPlan
    from robustdx.auditing.certificates.votes import Certification
    from robustdx.catalogue import build
    from robustdx.cli import words

    network = {"source": model, "weights": weights, "size": words.size(size), "mean": words.several(mean), "std": words.several(std)}
    chosen: dict[str, Any] = {
        "model": {**network, "outputs": outputs},
        "data": data,
        "task": task,
        "split": split,
        "purifier": words.method(purifier) if purifier else None,
        "sigma": sigma,
        "samples": words.whole(samples),
        "alpha": alpha,
        "attacks": [words.method(a) for a in attack] if attack else None,
        "eps": words.several(eps),
        "draws": draws,
        "images": images,
        "seed": seed,
        "batch_size": batch_size,
    }
    plan: CertifyPlan = build(CertifyPlan, words.merged({}, chosen), where="certify")
    ready = Certification.prepare(plan, trust_code=trust_code, device=device)
    screen = Screen()
    with screen.progress() as progress:
        results = api.certify(ready, out, command=shlex.join(["robustdx", *sys.argv[1:]]), progress=progress)
    screen.certified(results)
    screen.say(f"The report is {out / 'certificate.html'}, each image's certificate in {out / 'certificates.csv'}")
