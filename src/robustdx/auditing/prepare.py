"""From words to things: load the data and the network, check that they fit, and say what a run belongs to."""

from __future__ import annotations

import inspect
import json
import platform
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from robustdx.attacks import Attack, follows_gradient, is_minimal
from robustdx.auditing.defence import Outside, defended
from robustdx.auditing.natural.cells import require_natural
from robustdx.auditing.natural.facts import natural_facts
from robustdx.auditing.natural.groups import subgroups
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.requirements import gives_gradient, require_images, require_masks
from robustdx.auditing.run import Audit
from robustdx.catalogue import document, dump, key
from robustdx.data import Dataset, Example, load_dataset
from robustdx.data.batches import labels
from robustdx.data.split import cut_groups, subset, with_splits
from robustdx.errors import PlanError
from robustdx.models import Defended, DiagnosticModel, Ensemble, Smoothed, load
from robustdx.models.device import require_device
from robustdx.models.guarded import Guarded
from robustdx.models.precision import resolve
from robustdx.models.wrapper import Wrapper
from robustdx.purifiers import PURIFIERS
from robustdx.tasks import Aimed


def prepare(plan: AuditPlan, *, trust_code: bool = False, device: str = "cpu") -> Audit:
    """Load what a plan names.

    Raises:
        PlanError, DataError, ModelError: what does not exist or does not fit.
    """
    whole = load_dataset(plan.data).as_task(plan.task)
    model, *surrogates = (load(spec, whole.kind, whole.classes, trust_code=trust_code) for spec in (plan.model, *(plan.surrogates or ())))
    return assemble(plan, defended(plan.defence, model, trust_code=trust_code), whole, device, surrogates)


def assemble(
    plan: AuditPlan, model: DiagnosticModel, whole: Dataset, device: str = "cpu", surrogates: Sequence[DiagnosticModel] = ()
) -> Audit:
    """An audit of a model and data that are loaded already; with surrogates, images are crafted on those."""
    require_images(whole)
    for network in (model, *surrogates):
        if not network.resize and network.size is None:
            raise PlanError("the size of the network's images is not known: give size = [height, width]")
    where = require_device(device)
    crafted_on = _surrogate(model, surrogates)
    own = True
    if any(follows_gradient(attack) for _, attack in plan.methods()):
        own = gives_gradient(crafted_on or model, refuse=not plan.escalation)
    split, data = choose(plan, whole)
    model = aimed(plan, model, data[split])
    crafted_on = crafted_on and crafted_on.with_task(model.task)
    require_masks(plan, data[split])
    require_natural(plan, model)
    subgroups(data[split], plan.subgroups or ())
    cut = len(cut_groups(whole))
    return Audit(plan, model, data, split, resolve(plan.precision, where), where, whole.name, cut, crafted_on, own)


def _surrogate(model: DiagnosticModel, surrogates: Sequence[DiagnosticModel]) -> DiagnosticModel | None:
    """What images are crafted on in place of the model.

    Raises:
        PlanError: it does not take the model's images.
    """
    if not surrogates:
        return None
    made = surrogates[0] if len(surrogates) == 1 else Ensemble(surrogates)
    if not made.resize and (made.size, made.channels) != (model.size, model.channels):
        raise PlanError(
            f"expected a surrogate that takes the model's images, {_shape(model)}, got one for {_shape(made)}: give it resize = true"
        )
    return made


def _shape(model: DiagnosticModel) -> str:
    height, width = model.size or (0, 0)
    return f"{height}x{width} with {model.channels} channels"


def aimed(plan: AuditPlan, model: DiagnosticModel, dataset: Dataset) -> DiagnosticModel:
    """The model as an adversary with the plan's goal sees it.

    Raises:
        PlanError: the goal has no meaning for the task, or can be asked of none of the images.
    """
    goal = plan.aim()
    if goal is None:
        return model
    task = Aimed(model.task, goal)
    y = labels(dataset)
    if not bool(task.asked(y).any()):
        raise PlanError(
            f"the goal {plan.goal} can be asked of none of the {len(dataset)} images: each of them is what is wanted already, "
            "or has no label that it could be asked of; take another goal or other images"
        )
    return model.with_task(task)


def choose(plan: AuditPlan, whole: Dataset) -> tuple[str, dict[str, Dataset]]:
    """The images to audit, and the validation images that fix the operating point, where there are any."""
    if plan.split == "all" or not (whole.splits or _trained_on(plan)):
        split, data = "all", {"all": whole}
    else:
        parts = with_splits(whole)
        split = plan.split
        if split not in parts.splits:
            raise PlanError(f"{whole.name} has no split named {split!r}: take one of {', '.join(parts.splits)}, or all")
        data = {split: parts.only(split)}
        if split != "val" and "val" in parts.splits:
            data["val"] = parts.only("val")
    if plan.images is not None:
        data = {name: subset(d, plan.images, plan.seed) for name, d in data.items()}
    return split, data


def _trained_on(plan: AuditPlan) -> bool:
    """Whether the network was hardened on these data: then only the images that it never saw may be audited."""
    made = Path(plan.model.source) / "plan.json"
    return made.is_file() and json.dumps(plan.data)[1:-1] in made.read_text(encoding="utf-8")


def words(audit: Audit) -> dict[str, Any]:
    """What a run folder belongs to: the plan, and the weights and images that it named when it began."""
    images: dict[str, Any] = {split: [(e.id, str(e.label), content(d, e)) for e in d.examples] for split, d in audit.data.items()}
    if audit.plan.region:
        shown = audit.data[audit.split]
        images["masks"] = [_told_apart(e.mask, shown.mask, e) for e in shown.examples]
    clips = audit.data[audit.split].clips
    if clips is not None:
        images["clips"] = clips.digest
    found = {"weights_sha256": fingerprint(audit.model), "images_key": key(images), "shown": _shown(audit.model)}
    if audit.surrogate is not None:
        found |= {"surrogate_sha256": fingerprint(audit.surrogate), "surrogate_shown": _shown(audit.surrogate)}
    return {**asked(audit.plan), "precision": audit.precision, **found}


def asked(plan: AuditPlan) -> dict[str, Any]:
    """A plan in words, with its attacks spelt out: what a preset stands for may change from one version to the next."""
    return {**dump(plan), "attacks": [dict(spec) for spec in plan.chosen], **plan.spelt()}


def content(dataset: Dataset, example: Example) -> Any:
    """What tells other pixels under the same name: a hash where they are in memory, the size of the file where not."""
    return _told_apart(example.file, dataset.read, example)


def _told_apart(file: str, read: object, example: Example) -> Any:
    if file:
        return Path(file).stat().st_size
    fingerprint = getattr(read, "fingerprint", None)
    return fingerprint(example) if fingerprint else None


def _shown(model: DiagnosticModel) -> dict[str, Any]:
    """What the network is shown of an image: with a network in memory, the plan does not say."""
    if isinstance(model, Smoothed):
        return {**_shown(model.model), "smoothed": {"sigma": model.sigma, "samples": model.samples}}
    if isinstance(model, Ensemble):
        return {"members": [_shown(member) for member in model.models]}
    mean, std = model.mean.flatten().tolist(), model.std.flatten().tolist()
    words = {"size": list(model.size or ()), "mean": mean, "std": std, "outputs": model.outputs}
    return {**words, "purifier": repr(model.purifier)} if isinstance(model, Defended) else words


def facts(audit: Audit, command: str) -> dict[str, Any]:
    """What the report says about a run (run.json)."""
    data = audit.data[audit.split]
    patients = {e.patient for e in data.examples}
    network = audit.model.network
    return {
        "robustdx": version("robustdx"),
        "command": command,
        "model": {
            "name": _name(audit),
            "defence": defences(audit.model),
            "source": audit.plan.model.source,
            "weights": audit.plan.model.weights,
            "sha256": fingerprint(audit.model),
            "parameters": sum(p.numel() for p in network.parameters()),
            "size": list(audit.model.size or ()),
            "classes": list(audit.model.task.classes),
        },
        "data": {
            "source": audit.plan.data,
            "name": audit.data_name,
            "kind": data.kind,
            "classes": list(data.classes),
            "split": audit.split,
            "images": len(data),
            "patients": len(patients) if data.grouped else None,
            "grouped": data.grouped,
            "groups": data.groups,
            "cut_groups": audit.cut_groups,
        },
        "plan": asked(audit.plan),
        "surrogates": [_called(spec.source, m) for spec, m in zip(audit.plan.surrogates or (), _members(audit.surrogate), strict=True)],
        "precision": audit.precision,
        "device": str(audit.device),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": version("timm")},
        "seed": audit.plan.seed,
        "bootstrap": audit.plan.bootstrap,
        "documents": {label: _documented(attack) for label, attack in audit.plan.methods()},
        **natural_facts(audit),
    }


def _name(audit: Audit) -> str:
    """What a reader calls the network: the part of its source that names it, or its class where it is in memory."""
    name = _called(audit.plan.model.source, audit.model)
    return f"{name}, smoothed at sigma {audit.model.sigma:g}" if isinstance(audit.model, Smoothed) else name


def defences(model: DiagnosticModel) -> list[str]:
    """What stands before or around a network, the first to see an image first; empty where nothing does."""
    if isinstance(model, Guarded):
        return [_class_of(model.network)]
    if isinstance(model, Defended):
        known = type(model.purifier) in PURIFIERS.methods.values()
        return [PURIFIERS.told(model.purifier) if known else _class_of(model.purifier), *defences(model.model)]
    return defences(model.model) if isinstance(model, Wrapper) else []


def _class_of(made: object) -> str:
    """What a user calls something of their own."""
    return made.name if isinstance(made, Outside) else type(made).__name__


def _members(surrogate: DiagnosticModel | None) -> Sequence[DiagnosticModel]:
    return surrogate.models if isinstance(surrogate, Ensemble) else [surrogate] if surrogate else []


def _called(source: str, model: DiagnosticModel) -> str:
    return type(model.network).__name__ if source == "memory" else Path(source.rpartition(":")[2]).name


def _documented(attack: Attack) -> dict[str, Any]:
    """What an attack and its settings mean, for the report, which knows no attack."""
    about = (inspect.getdoc(type(attack)) or "").partition("\n")[0]
    kind = {"black_box": not follows_gradient(attack), "minimal": is_minimal(attack)}
    return {"about": about, "fields": document(type(attack)), **kind}


def fingerprint(model: DiagnosticModel) -> str:
    """SHA-256 of a network's weights, by name."""
    digest = sha256()
    for name, value in sorted(model.network.state_dict().items()):
        if isinstance(value, torch.Tensor):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return digest.hexdigest()
