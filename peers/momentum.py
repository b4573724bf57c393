"""The momentum attacks of torchattacks, called as their users call them, with the settings of ours.

torchattacks takes decay 0 for DI and TI, shrinks within TI too, and looks at 5 neighbours in VMI: here all keep the momentum of
MI, TI only blurs, and the neighbours are those of the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

Transfer = Callable[[nn.Module, Tensor, Tensor, float, int], Tensor]
"""(network, x, y, eps, steps) -> x_adv under Linf, with steps of eps / steps."""

BLUR = 5
"""Width of the kernel of TI, in pixels: the 15 of the paper are wider than the small images here."""


def attack(name: str, **settings: Any) -> Transfer:
    """One of torchattacks' attacks by the name of its class."""

    def run(network: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int) -> Tensor:
        import torchattacks

        made = getattr(torchattacks, name)(network, eps=eps, alpha=eps / steps, steps=steps, decay=1.0, **settings)
        found: Tensor = made(x.contiguous(), y)
        return found

    return run


PEERS: Mapping[str, Transfer] = {
    "mi": attack("MIFGSM"),
    "ni": attack("NIFGSM"),
    "di": attack("DIFGSM", resize_rate=0.9, diversity_prob=0.5),
    "ti": attack("TIFGSM", len_kernel=BLUR, nsig=3, diversity_prob=0.0),
    "si-ni": attack("SINIFGSM", m=5),
    "vmi": attack("VMIFGSM", N=20, beta=1.5),
    "vni": attack("VNIFGSM", N=20, beta=1.5),
}
