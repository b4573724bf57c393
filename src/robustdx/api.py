"""The audit from Python: what the command line calls, and the same for networks and images in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset as TorchDataset

from robustdx.attacks import ATTACKS
from robustdx.auditing import prepare
from robustdx.auditing.certificates.results import write_certificates
from robustdx.auditing.certificates.votes import Certification
from robustdx.auditing.detection.alarms import Alarms
from robustdx.auditing.detection.results import write_alarm_results
from robustdx.auditing.files.attacked import Export
from robustdx.auditing.files.freezing import Freezing
from robustdx.auditing.files.perturbed import Perturbing
from robustdx.auditing.files.purified import Purification
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.requirements import require_images
from robustdx.auditing.run import Audit, Progress
from robustdx.catalogue import build
from robustdx.data import Dataset
from robustdx.data.in_memory import channels_of, from_torch
from robustdx.errors import ModelError
from robustdx.models import DiagnosticModel, ModelSpec
from robustdx.models.trial import require_sound
from robustdx.report.alarms import write_alarm_report
from robustdx.report.before import BEFORE
from robustdx.report.certificate import write_certificate
from robustdx.report.page import write_report
from robustdx.report.proof import EMPIRICAL
from robustdx.store import Store
from robustdx.tasks import TASKS


def audit(
    network: nn.Module,
    dataset: TorchDataset | Dataset,
    *,
    out: str | Path,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    patients: Sequence[object] | None = None,
    masks: Sequence[Any] | None = None,
    size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    outputs: str = "logits",
    surrogates: Sequence[nn.Module] = (),
    progress: Progress | None = None,
    **plan: Any,
) -> dict[str, Any]:
    """Audit a network in memory on a data set in memory, write the report to `out`, and return its results.

    `network` takes (B, C, H, W) pixels in [0, 1] after `mean` and `std` are applied, and returns logits (or probabilities,
    with outputs="probabilities"); a DiagnosticModel is taken as it is. `dataset` yields (image, label): a float tensor
    (C, H, W) in [0, 1], 8-bit values or a Pillow image, and a class index or one 0, 1 or NaN per finding. `task` is
    "binary", "multiclass", "multilabel" or "ordinal", read from the labels where it is left out; `patients` names the patient
    of each image, and `masks` has its region, (H, W) of 0 and 1, for region="inside" or "outside". With `surrogates`, images
    are crafted on those networks (normalised as `network` is) and judged on `network`. Further settings are those of
    AuditPlan: attacks or preset, threat, region, eps, images, seed, batch_size, precision, ...

    Run twice with the same arguments, it goes on where it stopped; a finished run is not run again.

    Raises:
        RobustdxError: images outside [0, 1], outputs or labels that do not fit, a folder that holds another run.
    """
    spec = {"source": "memory", "size": size, "mean": _numbers(mean), "std": _numbers(std), "outputs": outputs}
    others = {"surrogates": [spec] * len(surrogates)} if surrogates else {}
    made = build(AuditPlan, {"model": spec, "data": "memory", "task": task or "auto", **plan, **_attacks(plan), **others}, where="audit")
    kind = None if made.task == "auto" else made.task
    if isinstance(network, DiagnosticModel):
        kind, classes = TASKS.name(network.task), classes or network.task.classes  # type: ignore[assignment]
    whole = dataset.as_task(kind or "auto") if isinstance(dataset, Dataset) else from_torch(dataset, classes, kind, patients, masks=masks)
    model, *crafted_on = (_as_model(n, whole, made.model) for n in (network, *surrogates))
    ready = prepare.assemble(made, model, whole, str(model.mean.device), crafted_on)
    return run(ready, Path(out), command="robustdx.audit(network, dataset, ...)", progress=progress)


def run(
    ready: Audit, out: Path, *, command: str, progress: Progress | None = None, before: Audit | None = None, about: str = ""
) -> dict[str, Any]:
    """Run or go on with an audit that is loaded, write its report, and return results.json.

    Every image is read before the folder is touched, so that one that cannot be read leaves nothing behind. `before` is the same
    audit of the network before hardening, which goes first, into a folder of its own; `about` says which network that is, or why
    there is none.
    """
    words, tell = prepare.words(ready), progress or (lambda what, done, total: None)
    if not finished(ready, out, before=before):
        Store(out).require(words)
        ready = ready.read(tell)
        store = Store.open(out, words)
        store.write_json("run.json", {**prepare.facts(ready, command), **({"before": about} if about else {})})
        whole = ready.images + (before.images if before else 0)
        if before:
            run(before, out / BEFORE, command=command, progress=lambda what, done, _: tell(f"before: {what}", done, whole))
        ready.run(store, lambda what, done, n: tell(what, whole - n + done, whole))
        write_report(store.path)
        store.finish_run()
    return Store(out).read_json("results.json")


def attack(ready: Audit, out: Path, *, progress: Progress) -> bool:
    """Write adversarial images and their manifest (see `auditing.files.attacked`), or go on with them; False where all was there."""
    words = {**prepare.words(ready), "made": "images"}
    if finished(ready, out, words):
        return False
    export = Export.of(ready)
    Store(out).require(words)
    ready.read(progress)
    store = Store.open(out, words)
    export.run(store, progress)
    store.finish_run()
    return True


def purify(ready: Purification, out: Path, *, command: str, progress: Progress) -> bool:
    """Write purified images and their manifest (see `auditing.files.purified`), or go on with them; False where all was there."""
    return _written(ready, out, command, progress)


def perturb(ready: Perturbing, out: Path, *, command: str, progress: Progress) -> bool:
    """Write perturbed images and their manifest (see `auditing.files.perturbed`), or go on with them; False where all was there."""
    return _written(ready, out, command, progress)


def freeze(ready: Freezing, out: Path, *, command: str, progress: Progress) -> bool:
    """Write a frozen benchmark (see `auditing.files.freezing`), or go on with it; False where all was there."""
    return _written(ready, out, command, progress)


def _written(ready: Purification | Perturbing | Freezing, out: Path, command: str, progress: Progress) -> bool:
    """Files and their manifest, or what is missing of them; False where all was there."""
    store, words = Store(out), ready.words()
    ready.require_apart(out)
    if store.whole and store.belongs_to(words) and not ready.missing(store):
        return False
    store.require(words)
    if not store.plan_file.exists():
        ready.read(progress)
    store = Store.open(out, words)
    store.write_json("run.json", ready.facts(command))
    ready.run(store, progress)
    store.finish_run()
    return True


def certify(ready: Certification, out: Path, *, command: str, progress: Progress) -> dict[str, Any]:
    """Count votes under noise, attack the same smoothed model where that was asked for, write the page, and return results.json."""
    store, words = Store(out), ready.words
    if not (store.whole and store.belongs_to(words)):
        store.require(words)
        ready = ready.read(progress)
        store = Store.open(out, words)
        store.write_json("run.json", ready.facts(command))
        ready.run(store, progress)
        write_certificates(store)  # first: the audit's report shows the proof beside its own curve
        if ready.plan.attacks:
            run(ready.attacked(), out / EMPIRICAL, command=command, progress=progress)
        write_certificate(out)
        store.finish_run()
    return dict(store.read_json("results.json"))


def detect(ready: Alarms, out: Path, *, command: str, progress: Progress | None = None) -> dict[str, Any]:
    """Put detectors to the test (see `auditing.detection.alarms`), or go on with it; write the report, and return results.json."""
    words, tell = ready.words(), progress or (lambda what, done, total: None)
    if not finished(ready.audit, out, words):
        Store(out).require(words)
        ready = replace(ready, audit=ready.audit.read(tell))
        store = Store.open(out, words)
        store.write_json("run.json", prepare.facts(ready.audit, command))
        ready.run(store, tell)
        write_alarm_results(store)
        write_alarm_report(store.path)
        store.finish_run()
    return Store(out).read_json("results.json")


def finished(ready: Audit, out: Path, words: Mapping[str, Any] | None = None, *, before: Audit | None = None) -> bool:
    """Whether `out` holds this audit, whole: of the same plan, weights and images; and, inside, that of the network `before`."""
    store = Store(out)
    own = store.whole and store.belongs_to(words or prepare.words(ready))
    return own and (before is None or finished(before, out / BEFORE))


def _as_model(network: nn.Module, whole: Dataset, spec: ModelSpec) -> DiagnosticModel:
    require_images(whole)
    model = network if isinstance(network, DiagnosticModel) else _wrapped(network, whole, spec)
    if tuple(model.task.classes) != tuple(whole.classes):
        names = [", ".join(task) for task in (model.task.classes, whole.classes)]
        raise ModelError(f"expected the model and the data to have the same classes, got {names[0]} and {names[1]}: give classes=[...]")
    if model.size is not None:
        require_sound(model, "the network")
    return model


def _wrapped(network: nn.Module, whole: Dataset, spec: ModelSpec) -> DiagnosticModel:
    channels = spec.channels if spec.mean else channels_of(whole)
    height, width = whole.read(whole.examples[0], None, channels).shape[:2]
    model = DiagnosticModel(
        network,
        TASKS.find(whole.kind)(whole.classes),
        size=spec.shape or (height, width),
        mean=spec.mean or (0.0,) * channels,
        std=spec.std or (1.0,) * channels,
        outputs=spec.outputs,
    )
    weight = next(chain(network.parameters(), network.buffers()), None)
    return model if weight is None else model.to(weight.device)


def _numbers(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [float(v) for v in values]


def _attacks(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Attacks as the tables of a plan; from Python they may also be names, or attacks: PGD(steps=20)."""
    given = plan.get("attacks") or ()
    several = given if isinstance(given, list | tuple) else [given]
    tables = [{"name": a} if isinstance(a, str) else ATTACKS.dump(a) if is_dataclass(a) else a for a in several]
    return {"attacks": tables} if tables else {}
