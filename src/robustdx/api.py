"""The audit from Python: what the command line calls, and the same for networks and images in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset as TorchDataset

from robustdx.auditing import prepare
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.run import Audit, Progress
from robustdx.catalogue import build, dump
from robustdx.data import Dataset
from robustdx.data.in_memory import channels_of, from_torch
from robustdx.models import DiagnosticModel
from robustdx.report.page import write_report
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
    size: tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    outputs: str = "logits",
    progress: Progress | None = None,
    **plan: Any,
) -> dict[str, Any]:
    """Audit a network in memory on a data set in memory, write the report to `out`, and return its results.

    `network` takes (B, C, H, W) pixels in [0, 1] after `mean` and `std` are applied, and returns logits (or probabilities,
    with outputs="probabilities"); a DiagnosticModel is taken as it is. `dataset` yields (image, label): a float tensor
    (C, H, W) in [0, 1], 8-bit values or a Pillow image, and a class index or one 0, 1 or NaN per finding. `task` is
    "binary", "multiclass" or "multilabel", read from the labels where it is left out; `patients` names the patient of each
    image. Further settings are those of AuditPlan: attacks, threat, eps, images, seed, batch_size, precision, ...

    Run twice with the same arguments, it goes on where it stopped; a finished run is not run again.

    Raises:
        RobustdxError: images outside [0, 1], outputs or labels that do not fit, a folder that holds another run.
    """
    kind = None if task in (None, "auto") else task
    whole = dataset if isinstance(dataset, Dataset) else from_torch(dataset, classes, kind, patients)  # type: ignore[arg-type]
    settings = {"model": {"source": "memory"}, "data": "memory", **plan}
    made = build(AuditPlan, settings, where="audit")
    model = _as_model(network, whole, size, mean, std, outputs)
    return run(prepare.assemble(made, model, whole), Path(out), command="robustdx.audit(network, dataset, ...)", progress=progress)


def run(ready: Audit, out: Path, *, command: str, progress: Progress | None = None) -> dict[str, Any]:
    """Run or go on with an audit that is loaded, write its report, and return results.json."""
    store = Store.open(out, prepare.words(ready))
    if not store.whole:
        store.write_json("run.json", prepare.facts(ready, command))
        ready.run(store, progress or (lambda what, done, total: None))
        write_report(store.path)
        store.finish_run()
    return store.read_json("results.json")


def finished(plan: AuditPlan, out: Path) -> bool:
    """Whether `out` holds this plan's run, whole: then nothing needs to be loaded."""
    store = Store(out)
    return store.whole and store.belongs_to(dump(plan))


def _as_model(
    network: nn.Module,
    whole: Dataset,
    size: tuple[int, int] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    outputs: str,
) -> DiagnosticModel:
    if isinstance(network, DiagnosticModel):
        return network
    channels = len(mean) if mean is not None else channels_of(whole)
    pixels = whole.read(whole.examples[0], None, channels)
    return DiagnosticModel(
        network,
        TASKS.find(whole.kind)(whole.classes),
        size=size or pixels.shape[:2],
        mean=mean or (0.0,) * channels,
        std=std or (1.0,) * channels,
        outputs=outputs,  # type: ignore[arg-type]
    )
