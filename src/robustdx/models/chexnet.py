"""CheXNet, the chest X-ray network of Xu et al. (2021)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import densenet121

OLD_NAMES = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""Layers as torchvision called them until 2018, when the published checkpoint was written: norm.1 and not norm1."""


class CheXNet(nn.Module):
    """DenseNet-121 with one sigmoid for each finding inside (Rajpurkar et al. 2017; names of the published checkpoint).

    Takes (B, 3, 224, 224) normalised with ImageNet's mean and std, any size from 32 on; gives (B, findings) probabilities.
    """

    def __init__(self, outputs: int = 14) -> None:
        super().__init__()
        self.densenet121 = densenet121(weights=None)
        self.densenet121.classifier = nn.Sequential(nn.Linear(self.densenet121.classifier.in_features, outputs), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.densenet121(x)

    @staticmethod
    def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the published checkpoint under the names of today's torchvision."""
        return {OLD_NAMES.sub(r"\1\2", name): value for name, value in state.items()}
