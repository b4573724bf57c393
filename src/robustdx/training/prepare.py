"""From words to things: load the data and the network that a plan names, and say what a run belongs to."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from robustdx.catalogue import dump, key
from robustdx.data import Dataset, load_dataset
from robustdx.data.split import cut_groups, with_splits
from robustdx.errors import DataError, ModelError, PlanError, RobustdxError, WeightsError
from robustdx.models import DiagnosticModel, folder, new, still, weights
from robustdx.models.device import require_device
from robustdx.models.precision import resolve
from robustdx.store import Store
from robustdx.training.loaded import Training
from robustdx.training.loop import Loop
from robustdx.training.objectives import require_meaning
from robustdx.training.plan import HardenPlan
from robustdx.training.team import Team, joined


def prepare(plan: HardenPlan, *, trust_code: bool = False, device: str = "cpu") -> Training:
    """Load what a plan names.

    Raises:
        PlanError, DataError, ModelError: what does not exist or does not fit, an objective without a meaning for the task.
    """
    loaded = load_dataset(plan.data)
    data = with_splits(loaded).as_task(plan.task)
    plan = _with_batch(plan, len(data.only("train")))
    _require_images(data, plan, dealt=not loaded.splits)
    where = require_device(device)
    model = _begun(plan, data, trust_code)
    for stage in range(len(plan.stages)):
        require_meaning(plan.objective_of(stage), model)
        _require_size(model, plan.size_of(stage), plan.model.source)
    return Training(plan, model, data.only("train"), data.only("val"), resolve(plan.precision, where), where, len(cut_groups(data)))


def words(training: Training) -> dict[str, Any]:
    """What a run folder belongs to: the plan, and the images and the first weights that it named when it began."""
    images = {d.examples[0].split: [(e.id, str(e.label)) for e in d.examples] for d in (training.train, training.val)}
    start = training.plan.start
    begun = {} if start is None else {"start_sha256": sha256(_weights_file(start).read_bytes()).hexdigest()}
    return {**dump(training.plan), **begun, "precision": training.precision, "images_key": key(images)}


def _with_batch(plan: HardenPlan, images: int) -> HardenPlan:
    """The plan with a number in place of "auto": the usual one, or as many as give two steps an epoch."""
    if plan.batch_size != "auto":
        return plan
    return replace(plan, batch_size=min(plan.batch, max(2, images // (2 * plan.accumulate))))


def _require_images(data: Dataset, plan: HardenPlan, dealt: bool) -> None:
    """Refuse data without images to learn from or to choose by, or with fewer than a step shows."""
    for split in ("train", "val"):
        if not len(data.only(split)) and dealt:
            groups = len({e.patient or e.id for e in data.examples})
            what = data.groups if data.grouped else "images"
            raise DataError(
                f"{data.name}: expected enough {what} for the splits train, val and test, which never share one; the {len(data)} images "
                f"are of {groups} {what}, and {split} is left without: give more (a few dozen at least), or a split of your own"
            )
        if not len(data.only(split)):
            raise DataError(f"{data.name}: expected images in the split {split}, found none: training learns on train and chooses on val")
    images = len(data.only("train"))
    if images < 2:
        raise DataError(f"{data.name}: expected at least 2 training images, got 1: batch norm cannot learn from one")
    if plan.step_images > images:
        asked = f"batch_size {plan.batch}" + (f" times accumulate {plan.accumulate}" if plan.accumulate > 1 else "")
        raise PlanError(
            f"{asked} is more than the {images} training images of {data.name}: give a batch_size of about {max(2, images // 8)}"
        )


def _begun(plan: HardenPlan, data: Dataset, trust_code: bool) -> DiagnosticModel:
    """Fresh weights drawn by the seed, or those that training starts from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        model = new(plan.model, data.kind, data.classes, trust_code=trust_code)
    if plan.start is not None:
        _require_classes(plan.start, data)
        weights.fill(model.network, weights.read(_weights_file(plan.start)), plan.start, fresh_head=True)
    return model


def _weights_file(start: str) -> Path:
    path = Path(start)
    file = path / folder.WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise WeightsError(f"start: expected a file of weights or a finished run folder, {start} is neither")
    return file


def _require_classes(start: str, data: Dataset) -> None:
    """Refuse a run folder with as many outputs that stand for other classes, or for these in another order."""
    if (Path(start) / folder.FACTS).is_file():
        classes = folder.facts_of(Path(start))["classes"]
        if len(classes) == len(data.classes) and list(classes) != list(data.classes):
            raise ModelError(f"start: {start} tells apart {', '.join(classes)}, the data {', '.join(data.classes)}: both must be the same")


def takes_size(model: DiagnosticModel, size: tuple[int, int]) -> bool:
    """Whether the network can be shown images of that height and width."""
    try:
        _require_size(model, size, "")
    except RobustdxError:
        return False
    return True


def _require_size(model: DiagnosticModel, size: tuple[int, int] | None, source: str) -> None:
    """Refuse a stage whose images the network cannot take, before anything runs."""
    if size is None:
        return
    try:
        with torch.no_grad(), still(model):
            model(torch.zeros(1, model.channels, *size))
    except RobustdxError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{source} cannot take images of {size[0]} x {size[1]} ({reason}): leave size out of that stage") from error


def help_train(team: Team, meeting: Path, plan: HardenPlan, trust_code: bool, folder: Path) -> None:
    """What another process than the first does: the same training, of which it writes nothing."""
    with joined(team, meeting):
        Loop(prepare(plan, trust_code=trust_code), Store(folder), lambda what, done, whole: None, team=team).run()
