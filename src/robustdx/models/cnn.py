"""The plain CNN of Jogani et al. 2022, as far as it is known."""

from itertools import pairwise
from typing import final

from torch import Tensor, nn


@final
class CNN(nn.Module):
    """A small "vanilla" network for skin lesions: five times convolution, batch norm and ReLU, then the mean over the image.

    Jogani et al. (arXiv 2212.06822) attack and harden a "vanilla CNN"; its architecture was not found, so depth, width and
    pooling are ours: channels width, 2 width, 4 width, 8 width, 8 width, halving the image after each but the last. Images of
    any size from 16 pixels; meant for 64 to 128.
    """

    def __init__(self, classes: int, width: int = 32, channels: int = 3) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.features = nn.Sequential(*(_block(a, b, last=i == 4) for i, (a, b) in enumerate(pairwise(widths))))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, classes) logits."""
        return self.head(self.features(x).mean((2, 3)))


def _block(inputs: int, outputs: int, last: bool) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    halve = nn.Identity() if last else nn.MaxPool2d(2)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True), halve)
