"""What a plan needs of data and network, tried before anything runs, and refused in words where it is not there."""

from __future__ import annotations

import warnings

import torch

from robustdx.auditing.plan import AuditPlan
from robustdx.data import Dataset
from robustdx.errors import DataError, ModelError, PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.models.reconnected import Reconnected


def require_images(whole: Dataset) -> None:
    """Refuse a data set without images."""
    if not len(whole):
        raise DataError(f"{whole.name}: expected images, found none: check the path")


def require_masks(plan: AuditPlan, dataset: Dataset) -> None:
    """Refuse a region where images have no mask, before any image is read.

    Raises:
        PlanError: the data set has no masks, or some of its images have none.
    """
    if plan.region is None:
        return
    without = [e.id for e in dataset.examples if not e.mask] if any(e.file for e in dataset.examples) else []
    if dataset.mask is None or without:
        lacks = f"{len(without)} of {len(dataset)} images have none, such as {without[0]!r}" if without else "it has none"
        raise PlanError(
            f"region {plan.region} needs the mask of every image from {dataset.name}, and {lacks}: give masks (a column mask in csv:, the "
            "folder of segmentations beside the images), audit images that have one, or leave region out"
        )


def gives_gradient(model: DiagnosticModel, *, refuse: bool = True) -> bool:
    """Whether attacks that follow the gradient can follow the model's own, or only one that is put in its place (`Reconnected`).

    Raises:
        ModelError: the network passes none back, and none can be put in its place; with refuse=False that is a warning, for an audit that
            doubts itself goes on without a gradient and says what that is worth.
    """
    reason = _refusal(model)
    if not reason or not _refusal(Reconnected(model)):
        return not reason
    sentence = (
        f"the attacks follow the gradient of the outputs back to the pixels, and this network passes none back ({reason}): "
        "take out what cuts it (detach, no_grad, argmax, rounding), export the network itself, or take attacks that only ask "
        "(square, hopskipjump)"
    )
    if refuse:
        raise ModelError(sentence)
    warnings.warn(sentence, stacklevel=2)
    return False


def _refusal(model: DiagnosticModel) -> str:
    """Why one backward pass fails; empty where it does not."""
    assert model.size is not None
    x = torch.full((1, model.channels, *model.size), 0.5, device=model.mean.device, requires_grad=True)
    try:
        with still(model):
            torch.autograd.grad(model(x).sum(), x)
    except RuntimeError as error:
        return str(error).partition("\n")[0]
    return ""
