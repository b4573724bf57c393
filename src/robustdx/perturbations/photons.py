"""How many photons hit a pixel: Poisson numbers, one stream for each image."""

from __future__ import annotations

import torch
from torch import Tensor

from robustdx.draws import Draws
from robustdx.perturbations.normal import normal
from robustdx.perturbations.piecewise import piecewise

FEW = 10.0
"""Below this mean the numbers are counted out; above, the expansion is exact to about a thousandth of the probabilities."""
MOST = 40
"""No pixel with a mean below `FEW` reaches so many: its chance is under 1e-12."""


def photons(mean: Tensor, draws: Draws) -> Tensor:
    """Poisson numbers of these means (B, ...), each from a normal one of the image's own stream (Giles 2016, section 2).

    With z normal and m the mean, floor(m + sqrt(m) z + 1/3 + z^2/6 - (z/36 + z^3/72) / sqrt(m)) is the quantile of the
    Poisson distribution at the probability of z. It takes a third of the time of drawing Poisson numbers one by one.
    Few photons are counted from the distribution itself. A mean of 0 gives 0.
    """
    z = normal(mean, draws)
    return piecewise(lambda both: _quantile(both[:, 0], both[:, 1]), torch.stack((mean, z), 1))


def _quantile(mean: Tensor, z: Tensor) -> Tensor:
    few = (mean < FEW) & (mean > 0)
    root = mean.clamp(min=FEW).sqrt_()
    count = z.square().add_(2).div_(root).mul_(-1 / 72).add_(root)  # in place: new memory costs more than the sums
    count.add_(z, alpha=1 / 6).mul_(z).add_(mean).add_(1 / 3).floor_().clamp_(min=0).mul_(mean > 0)
    if few.any():
        count[few] = _counted(mean[few], z[few])
    return count


def _counted(mean: Tensor, z: Tensor) -> Tensor:
    """How often the distribution function, summed up term by term, lies below the probability of z."""
    at = torch.special.ndtr(z.double())
    term = torch.exp(-mean.double())
    below, count = term.clone(), torch.zeros_like(mean)
    for n in range(1, MOST):
        more = at > below
        if not more.any():
            break
        count += more
        term *= mean / n
        below += term
    return count
