"""A small network on colours, and data whose classes are colours: what detectors are shown."""

import pytest
import torch
from torch import nn

from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass

SIZE = (16, 18)
DRAWS = Draws(3, tuple(f"img{i}" for i in range(6)))


class Colours(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(inplace=True))
        self.drop, self.head = nn.Dropout(), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.drop(self.features(x).mean((2, 3))))


def images(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = 0.25 + 0.2 * nn.functional.one_hot(y, 3)[:, :, None, None] + 0.3 * torch.rand(n, 3, *SIZE, generator=g)
    return (x * 255).round() / 255, y


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DiagnosticModel(Colours(), MultiClass(tuple("abc")), size=SIZE, mean=(0.5,) * 3, std=(0.3,) * 3).eval()


@pytest.fixture(scope="session")
def data():
    x, y = images(60, 0)
    return from_torch([(image, int(label)) for image, label in zip(x, y, strict=True)], classes="abc", task="multiclass")


@pytest.fixture
def x():
    return images(6, 1)[0]
