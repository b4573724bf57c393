"""The defence that a plan names, put before its model: a purifier of ours, or anything that a user wrote."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from robustdx.draws import Draws
from robustdx.errors import ModelError, PlanError
from robustdx.models import Defended, DiagnosticModel, still
from robustdx.models.guarded import Guarded
from robustdx.models.programs import imported
from robustdx.purifiers import PURIFIERS
from robustdx.tensors import Images


@dataclass(frozen=True)
class Outside:
    """A user's function of images as a purifier; one without `draws` is called without them."""

    name: str
    function: Callable[..., Tensor]

    def __call__(self, x: Images, draws: Draws) -> Images:
        return _called(self.function, x, draws)

    def __repr__(self) -> str:
        return self.name


def defended(words: Mapping[str, Any] | None, model: DiagnosticModel, *, trust_code: bool) -> DiagnosticModel:
    """The model behind the defence in words: `{"name": "jpeg", "quality": 75}`, or `{"name": "module:callable"}` for one's own.

    A callable of one's own is tried with an image: it is a purifier if a tensor comes back (a second argument is handed the draws),
    and otherwise it is handed the model and gives back the module that answers in its place.

    Raises:
        PlanError: no such purifier, or settings that do not fit.
        ModelError: the callable is neither.
    """
    if words is None:
        return model
    name = str(words.get("name", ""))
    if ":" not in name:
        return checked(Defended(model, PURIFIERS.parse(words)), name)
    if not trust_code:
        raise PlanError(f"the defence {name} is code of your own, which runs when it is imported: add --trust-code if you trust it")
    settings = {key: value for key, value in words.items() if key != "name"}
    return checked(behind(model, imported(name), name, settings), name)


def behind(model: DiagnosticModel, found: Callable[..., Any], name: str, settings: Mapping[str, Any]) -> DiagnosticModel:
    """The model behind a callable of unknown kind."""
    function: Callable[..., Any] = partial(found, **settings) if settings else found
    reasons = []
    if inspect.isclass(found) and not issubclass(found, nn.Module):
        try:
            function = cast(Callable[..., Any], found(**settings))
        except TypeError as error:
            reasons.append(str(error))
    x, draws = _grey(model)
    try:
        answer = _called(function, x, draws)
    except Exception as error:
        answer = None
        reasons.append(f"on an image: {_line(error)}")
    if isinstance(answer, Tensor):
        return Defended(model, Outside(name, function))
    try:
        made = function(model)
    except Exception as error:
        reasons.append(f"on the model: {_line(error)}")
        made = None
    if isinstance(made, nn.Module):
        return Guarded(made, model)
    raise ModelError(
        f"expected {name} to be a function of images (x, or x and draws) that returns images, or one of the model that returns the module "
        f"answering in its place; {'; '.join(reasons) or f'got {type(made).__name__}'}"
    )


def checked(model: DiagnosticModel, name: str) -> DiagnosticModel:
    """Show a defended model one image, so that what does not fit is said before anything runs."""
    x, draws = _grey(model)
    try:
        with still(model), torch.no_grad():
            outputs = model(x, draws)
    except (ModelError, PlanError):
        raise
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        raise ModelError(f"the defence {name} does not take images of {tuple(x.shape[1:])}: {_line(error)}") from error
    if not bool(outputs.isfinite().all()):
        raise ModelError(f"behind the defence {name} the model answers NaN or infinity: check what the defence returns")
    return model


def _called(function: Callable[..., Any], x: Images, draws: Draws) -> Any:
    """A function of x, or of x and draws."""
    try:
        parameters = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
        takes_draws = len(parameters) > 1 or "draws" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        takes_draws = False
    return function(x, draws) if takes_draws else function(x)


def _grey(model: DiagnosticModel) -> tuple[Images, Draws]:
    height, width = model.size or (64, 64)
    return torch.full((2, model.channels, height, width), 0.5, device=model.mean.device), Draws(0, ("trial a", "trial b"))


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:160] or type(error).__name__
