"""A model is shown two images of noise before anything else is: what does not fit is refused there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robustdx.errors import ModelError, RobustdxError, WeightsError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.logits import Activations, looks_like_probabilities
from robustdx.models.programs import for_any_batch
from robustdx.tensors import Outputs

ALIKE = 1e-2
"""How far the logits of an image may move when it stands in another batch, next to the largest logit."""


def require_sound(model: DiagnosticModel, source: str) -> None:
    """Run a model on noise, in eval mode, and refuse what cannot be audited; a traced network learns to take any batch.

    Raises:
        ModelError: the images or the classes do not fit, or an image's answer depends on the images beside it.
        WeightsError: the answer is not a number.
    """
    assert model.size is not None
    x = torch.rand((2, model.channels, *model.size), generator=torch.Generator().manual_seed(0))
    x[1] **= 4
    with _eval(model), torch.no_grad():
        if isinstance(model.network, torch.jit.ScriptModule):
            model.network = for_any_batch(model.network, x)
        both, again, first = (_answer(model, images, source) for images in (x, x, x[:1]))
        if not bool(both.isfinite().all()):
            raise WeightsError(f"{source} answers NaN or infinity on an image of noise: check weights, mean and std")
        largest = max(1e-4, ALIKE * float(both.abs().max()))
        if float((both - again).abs().max()) > largest:
            warnings.warn(f"{source} answers differently each time it is asked: its numbers cannot be made again exactly", stacklevel=2)
            return
        moved = float((both[:1] - first).abs().max())
        if moved > largest:
            raise ModelError(
                f"{source} answers differently when an image stands in another batch (by {moved:.3g}): it is in training mode; "
                "export it after model.eval()"
            )


def warn_of_probabilities(model: DiagnosticModel, source: str) -> None:
    """Warn, and change nothing, where outputs that are said to be logits look like probabilities."""
    assert model.size is not None
    if model.outputs == "probabilities":
        return
    noise = torch.rand((6, model.channels, *model.size), generator=torch.Generator().manual_seed(1))
    x = torch.cat((noise[:2], noise[2:4] ** 4, torch.zeros_like(noise[4:5]), torch.ones_like(noise[5:])))
    with _eval(model), torch.no_grad():
        with Activations() as seen:
            outputs = model.network(model.prepared(x))
        why = looks_like_probabilities(model.checked(outputs), seen)
    if why:
        warnings.warn(
            f'{source} is read as giving logits, but {why}: if they are probabilities, say outputs = "probabilities"', stacklevel=2
        )


def _answer(model: DiagnosticModel, x: Tensor, source: str) -> Outputs:
    try:
        return model(x)
    except RobustdxError:
        raise
    except Exception as error:
        shape, reason = " x ".join(map(str, x.shape[1:])), str(error).strip().split("\n")[0][:200]
        raise ModelError(f"{source} cannot take images of {shape} (channels, height, width): {reason}: give another size") from error


@contextmanager
def _eval(model: nn.Module) -> Iterator[None]:
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)
