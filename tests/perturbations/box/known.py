"""Models whose worst image in a box is known, and images to show them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal, Task

B, SIDE = 6, 16
DRAWS = Draws(0, tuple(f"img{i}" for i in range(B)))
TASKS: dict[str, tuple[Task, int]] = {
    "one logit": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "multi-class": (MultiClass(tuple("abcd")), 4),
    "multi-label": (MultiLabel(tuple("abc")), 3),
    "grades": (Ordinal(tuple("abcd")), 4),
    "cumulative grades": (Ordinal(tuple("abcd"), cumulative=True), 3),
}


def images(channels: int = 3, count: int = B) -> Tensor:
    """Smooth 8-bit images away from black and white."""
    coarse = torch.rand(count, channels, 4, 4, generator=torch.Generator().manual_seed(1))
    x = nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=True)
    return (0.25 + 0.5 * x.clamp(0, 1)).mul(255).round().div(255)


class Layers(nn.Module):
    """A network that is one function of its images."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def model(function, task: Task | None = None) -> DiagnosticModel:
    """The function (B, C, H, W) -> (B,) or (B, K) as a model, with one logit for "positive" where nothing else is said."""
    return DiagnosticModel(Layers(function), task or Binary()).eval()


def network(name: str = "multi-class", seed: int = 0) -> DiagnosticModel:
    """A small convolutional network that turns easily: its outputs differ on average by little over the images above."""
    task, outputs = TASKS[name]
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.Tanh(), nn.Conv2d(8, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(128, outputs))
    for p in layers.parameters():
        if p.dim() > 1:
            nn.init.normal_(p, std=2 / p[0].numel() ** 0.5)
    with torch.no_grad():
        layers[-1].bias -= layers(images()).mean(0) - layers[-1].bias
    return DiagnosticModel(layers, task).eval()


def as_decided(model: DiagnosticModel, x: Tensor) -> Tensor:
    """Labels under which every image is right."""
    with torch.no_grad():
        return model.task.decide(model(x))
