"""Weights in the wrong mode: a network that learns as if it were being examined."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

Modes = Mapping[str, bool]
"""For each module by name whether it is in training mode, and for each parameter whether it is learned."""


def modes_of(model: nn.Module) -> Modes:
    """What the modes are now. Taken from a model that was set to train: one that keeps a part frozen by itself is as it should be."""
    modules = {f"{name or 'the model'} (mode)": module.training for name, module in model.named_modules()}
    return modules | {name: p.requires_grad for name, p in model.named_parameters()}


def put_right(model: nn.Module, wanted: Modes) -> str:
    """Set the modes as they should be; what was wrong in words, or nothing."""
    found = modes_of(model)
    wrong = [name for name, mode in found.items() if mode != wanted[name]]
    if not wrong:
        return ""
    for name, module in model.named_modules():
        module.training = wanted[f"{name or 'the model'} (mode)"]
    for name, p in model.named_parameters():
        p.requires_grad_(wanted[name])
    frozen = sum(not name.endswith("(mode)") for name in wrong)
    normalised = sum(isinstance(m, nn.modules.batchnorm._BatchNorm) and f"{n} (mode)" in wrong for n, m in model.named_modules())
    return (
        f"wrong mode: at the beginning of a step {len(wrong) - frozen} modules, {normalised} of them batch norms, "
        f"and {frozen} weights were not as training needs them"
    )
