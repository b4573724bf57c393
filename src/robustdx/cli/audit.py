"""robustdx audit: how far can this model be fooled?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from robustdx.cli import app
from robustdx.cli.screen import Screen
from robustdx.errors import PlanError

ModelText = (
    "timm:NAME, torchvision:NAME, cnn, attnmel, chexnet, a run folder, a Hugging Face folder, a .pt2 or TorchScript file, module:callable"
)


@app.command()
def audit(
    plan: Annotated[Path | None, typer.Argument(help="Plan in TOML; flags change single keys of it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. The same command goes on where it stopped.")] = None,
    model: Annotated[str | None, typer.Option(help=ModelText)] = None,
    weights: Annotated[str | None, typer.Option(help="File with weights: safetensors, or a state dict.")] = None,
    data: Annotated[str | None, typer.Option(help="synthetic, folder:PATH, csv:PATH, medmnist:PATH, ham10000:PATH, ...")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass, multilabel or ordinal; left out, what the data say.")] = None,
    goal: Annotated[str | None, typer.Option(help="What the adversary is after: finding,finding=Effusion,wanted=hidden.")] = None,
    defence: Annotated[
        str | None, typer.Option(help="What stands before the network: mdda, jpeg,quality=75, or module:callable (with --trust-code).")
    ] = None,
    surrogate: Annotated[
        list[str] | None, typer.Option(help="Craft on this network instead: timm:resnet18,weights=FILE. Repeat for an ensemble.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Images to audit: test (default), another split, or all.")] = None,
    attack: Annotated[list[str] | None, typer.Option(help="fgsm, pgd, or with settings: pgd,steps=20,restarts=5. Repeat for more.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="In place of attacks: quick, standard, thorough or clinical. `robustdx describe preset` tells their price."),
    ] = None,
    threat: Annotated[str | None, typer.Option(help="linf or l2.")] = None,
    region: Annotated[str | None, typer.Option(help="Change pixels only inside, or only outside, the masks of the images.")] = None,
    eps: Annotated[str | None, typer.Option(help="Budgets in pixel units, with commas: 1/255,2/255,4/255.")] = None,
    perturbation: Annotated[
        list[str] | None,
        typer.Option(help="Without an adversary: gaussian_noise; corruptions or artefacts for all of them. Repeat for more."),
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="Clips, for flip probability: centred, xu2021, or one with settings: rotate,count=31. Repeat.")
    ] = None,
    worst_case: Annotated[bool, typer.Option("--worst-case", help="Look for the worst that plausible handling makes of an image.")] = False,
    modality: Annotated[str | None, typer.Option(help="dermoscopy, x-ray, fundus, ct or mr: which artefacts are believable.")] = None,
    images: Annotated[int | None, typer.Option(help="At most about this many images, drawn by patient: a quick look.")] = None,
    size: Annotated[str | None, typer.Option(help="Height and width that the network takes: 224 or 150x200.")] = None,
    mean: Annotated[str | None, typer.Option(help="Mean per channel, with commas, for pixels in [0, 1].")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation per channel, with commas.")] = None,
    outputs: Annotated[str | None, typer.Option(help="logits (default) or probabilities.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is drawn.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images at a time.")] = None,
    precision: Annotated[str | None, typer.Option(help="Precision of the search: auto, float32 or bfloat16.")] = None,
    ranking: Annotated[bool, typer.Option("--ranking", help="Drive every attack to its end, so that AUROC can be reported.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Allow formats that run code when they are opened.")] = False,
    no_before: Annotated[
        bool, typer.Option("--no-before", help="Of a model that robustdx hardened: do not audit the network before it as well.")
    ] = False,
    no_escalation: Annotated[
        bool, typer.Option("--no-escalation", help="Believe the attacks as they are: the report then says that nothing was questioned.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and about how long; write nothing.")] = False,
) -> None:
    """Attack a model on labelled images and write an honest report.

    robustdx audit --model timm:resnet18 --weights model.safetensors --data folder:scans --out run

    A model that `robustdx harden` made is enough: `robustdx audit --model hardened` takes the data, the task and the threat of its
    training, audits the network before it as well, and writes to hardened/audit-test.
    """
    from robustdx.auditing import before, estimate, prepare
    from robustdx.auditing.plan import AuditPlan
    from robustdx.catalogue import build, read_words
    from robustdx.cli import words

    changes = {
        "data": data,
        "task": task,
        "goal": words.method(goal) if goal else None,
        "defence": words.method(defence) if defence else None,
        "escalation": False if no_escalation else None,
        "surrogates": [words.network(s) for s in surrogate] if surrogate else None,
        "split": split,
        "threat": threat,
        "region": region,
        "eps": words.several(eps),
        "perturbations": [words.method(p) for p in perturbation] if perturbation else None,
        "sequences": [words.method(s) for s in sequence] if sequence else None,
        "modality": modality,
        "images": images,
        "seed": seed,
        "batch_size": batch_size,
        "precision": precision,
        "attacks": [words.method(a) for a in attack] if attack else None,
        "preset": preset,
        "model": {
            "source": model,
            "weights": weights,
            "size": words.size(size),
            "mean": words.several(mean),
            "std": words.several(std),
            "outputs": outputs,
        },
    }
    read = words.merged(read_words(plan) if plan else {}, changes)
    if worst_case:
        read.setdefault("worst_case", {})
    source = str(dict(read.get("model") or {}).get("source", ""))
    made: AuditPlan = build(AuditPlan, {**({} if "data" in read else before.asked_of(source)), **read}, where=str(plan or "audit"))
    made = made.driven() if ranking else made
    screen = Screen()
    if dry_run:
        ready = prepare.prepare(made, trust_code=trust_code, device=device)
        first, about = _first(ready, trust_code=trust_code, wanted=not no_before)
        screen.say(estimate.outlook(ready))
        if about:
            screen.say(f"Before hardening: {about}")
        if first:
            screen.say(estimate.outlook(first))
        return
    if out is None and not before.is_hardened(source):
        raise PlanError("expected the folder of the run, which is missing: give --out FOLDER")
    carry_out(made, out or Path(source) / f"audit-{made.split}", screen, trust_code=trust_code, device=device, before=not no_before)


def carry_out(plan: Any, out: Path, screen: Screen, *, trust_code: bool = False, device: str = "cpu", before: bool = True) -> None:
    """Run a plan with progress on the screen, and say where the report is."""
    from robustdx import api
    from robustdx.auditing import prepare
    from robustdx.report.before import before_and_after

    ready = prepare.prepare(plan, trust_code=trust_code, device=device)
    first, about = _first(ready, trust_code=trust_code, wanted=before)
    if api.finished(ready, out, before=first):
        screen.say(f"Nothing to do: {out} holds this audit, finished. The report is {out / 'report.html'}")
        return
    if ready.cut_groups:
        screen.warn(f"{ready.cut_groups} patients or lesions lie in more than one split: results on the test images will be too good")
    with screen.progress() as progress:
        results = api.run(ready, out, command=shlex.join(["robustdx", *sys.argv[1:]]), progress=progress, before=first, about=about)
    screen.results(results)
    for sentence in before_and_after(out):
        screen.say(sentence)
    screen.say(f"The report is {out / 'report.html'}")


def _first(ready: Any, *, trust_code: bool, wanted: bool) -> tuple[Any, str]:
    """The audit of the network before hardening, and in words which that is, or why there is none."""
    from robustdx.auditing import before

    first = before.first_of(ready.plan.model.source)
    if first is None:
        return None, ""
    return before.beside(ready, first, trust_code=trust_code) if wanted else (None, before.LEFT_OUT)
