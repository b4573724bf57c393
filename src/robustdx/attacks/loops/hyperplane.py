"""The nearest image at which a linear margin is 0: what DeepFool and FAB step to."""

from __future__ import annotations

import torch
from torch import Tensor

from robustdx.attacks.loops.uphill import uphill
from robustdx.tensors import Images, Outputs, PerImage, per_image, total
from robustdx.threats import Threat

ROUNDS = 40
"""Rounds of the projection at most; one is enough where no pixel meets 0 or 1, a handful where many do."""

TINY = 1e-12


def dot(a: Images, b: Images) -> PerImage:
    """The inner product of two images, for each pair."""
    return total(a * b)


def onto(threat: Threat, point: Images, value: PerImage, slope: Images) -> Images:
    """The nearest image z to `point`, in [0, 1], with value + slope * (z - point) = 0, where the threat measures the distance.

    Each pixel goes along the threat's steepest direction until it meets its edge: z = clamp(point + t * direction). What is
    gained is a concave, piecewise linear function of t, so that Newton's method from below ends exactly at the right t after
    finitely many rounds: no sorting of pixels, which would cost more than a pass through the network. Exact for Linf and L2
    (Croce & Hein 2020, section 3.1); where no image in [0, 1] has the value 0, the one with the least is given.
    """
    direction = threat.steepest(slope) * -per_image(value.sign(), point)
    pace, weight, need = direction.abs(), slope.abs(), value.abs()
    room = torch.where(direction > 0, 1 - point, point).clamp_min_(0)
    gain = weight * pace
    t = need / total(gain).clamp_min(TINY)
    for _ in range(ROUNDS):
        far = pace * per_image(t, point)
        missing = need - dot(weight, torch.minimum(far, room))
        rate = total(gain * (far < room))
        go_on = (missing > 1e-6 * need) & (rate > TINY)
        if not bool(go_on.any()):
            break
        t = torch.where(go_on, t + missing / rate.clamp_min(TINY), t)
    return point + direction.sign() * torch.minimum(pace * per_image(t, point), room)


def closest(threat: Threat, values: Tensor, slopes: Tensor) -> tuple[PerImage, Images]:
    """Of the hyperplanes values (B, R) and slopes (R, B, C, H, W), the nearest one: |value| / dual norm of the slope, at its least."""
    count, b = slopes.shape[:2]
    if count == 1:
        return values[:, 0].nan_to_num(posinf=0.0), slopes[0]
    steep = torch.stack([dot(slope, threat.steepest(slope)) for slope in slopes], dim=1)
    far = torch.where(values.isinf() | (steep <= TINY), torch.inf, values.abs() / steep.clamp_min(TINY))
    which, row = far.argmin(1), torch.arange(b, device=values.device)
    return values[row, which].nan_to_num(posinf=0.0), slopes[which, row]


def slopes(gaps: Outputs, x_t: Images, rivals: int) -> tuple[Tensor, Tensor]:
    """The smallest gaps (B, R) and their gradients (R, B, C, H, W), at most `rivals` of them. Cost: R backward passes."""
    least, _ = gaps.topk(min(rivals, gaps.shape[1]), dim=1, largest=False)
    count = least.shape[1]
    grads = [uphill(least[:, j], x_t, keep=j + 1 < count) for j in range(count)]
    return least.detach(), torch.stack(grads)
