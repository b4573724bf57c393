"""Where a network computes."""

from __future__ import annotations

import torch

from robustdx.errors import PlanError


def require_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        PlanError: there is none.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise PlanError(f"expected a device that this machine has, such as cpu or cuda, got {name!r} ({reason}): give another") from None
    return device
