"""The attacks of adversarial-library (adv-lib), called as its users call them."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from peers.auto import Auto
from robustdx.threats import Linf, Threat


def attack(module: str, name: str, *, norm: bool = False, budget: bool = False, **settings: Any) -> Auto:
    """One of its functions: `attack("fast_minimum_norm", "fmn", norm=True, steps=100)`. `budget`: it also takes eps."""

    def run(network: nn.Module, x: Tensor, y: Tensor, threat: Threat, classes: int) -> Tensor:
        sys.modules.setdefault("visdom", ModuleType("visdom"))  # for curves in a browser; imported by its attacks, never called
        call = getattr(importlib.import_module(f"adv_lib.attacks.{module}"), name)
        own = {"norm": float("inf") if isinstance(threat, Linf) else 2.0} if norm else {}
        own |= {"eps": threat.eps} if budget else {}
        found: Tensor = call(network, x.contiguous(), y, **own, **settings)
        return torch.where(found.isfinite(), found, x).detach()

    return run
