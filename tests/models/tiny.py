"""A network that is enough for every kind of file. A module of its own: what is pickled must be found again by name."""

import torch
from torch import Tensor, nn


class Tiny(nn.Module):
    """Two convolutions, a batch norm and a linear layer: enough for every kind of file."""

    def __init__(self, num_classes: int = 3, ending: nn.Module | None = None) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, num_classes)
        self.ending = ending or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.ending(self.head(self.features(x).mean((2, 3))))


def tiny(num_classes: int = 3, ending: nn.Module | None = None) -> Tiny:
    torch.manual_seed(num_classes)
    network = Tiny(num_classes, ending)
    network.features[1].running_mean.uniform_(-1, 1)
    network.head.weight.data *= 5
    return network.eval()
