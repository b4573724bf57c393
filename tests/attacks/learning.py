"""A small world for attacks that learn: four kinds of blurred pattern in noise, and a network that tells them apart."""

import functools

import torch
from torch import nn

from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass, MultiLabel

K, SIDE, N = 4, 16, 64


def images(seed, count=N):
    """8-bit images and their class."""
    g = torch.Generator().manual_seed(seed)
    patterns = torch.rand(K, 3, 4, 4, generator=torch.Generator().manual_seed(9))
    y = torch.arange(count) % K
    smooth = nn.functional.interpolate(patterns[y], SIDE, mode="bilinear") - 0.5
    x = (0.5 + 0.15 * smooth + 0.1 * torch.randn(count, 3, SIDE, SIDE, generator=g)).clamp(0, 1)
    return (x * 255).round() / 255, y


def draws(count=N):
    return Draws(0, tuple(f"{i:06d}" for i in range(count)))


@functools.cache
def victim(findings=False):
    """A trained classifier of the patterns; with `findings`, one yes or no for each of them."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()
    network = nn.Sequential(*layers, nn.Linear(256, K))
    x, y = images(0)
    targets = nn.functional.one_hot(y, K).float() if findings else y
    loss = nn.functional.binary_cross_entropy_with_logits if findings else nn.functional.cross_entropy
    optimiser = torch.optim.Adam(network.parameters(), 1e-2 if findings else 3e-3)
    for _ in range(200 if findings else 120):
        some = torch.randint(0, N, (32,))
        optimiser.zero_grad()
        loss(network(x[some]), targets[some]).backward()
        optimiser.step()
    optimiser.zero_grad()
    names = tuple("abcd")
    return DiagnosticModel(network, MultiLabel(names) if findings else MultiClass(names), size=(SIDE, SIDE)).eval()


@functools.cache
def dataset(findings=False, count=N):
    """The training images as a data set."""
    x, y = images(0)
    labels = nn.functional.one_hot(y, K).float() if findings else y
    pairs = [(image, label if findings else int(label)) for image, label in zip(x[:count], labels, strict=False)]
    return from_torch(pairs, classes="abcd", task="multilabel" if findings else "multiclass")


@torch.no_grad()
def accuracy(model, x, y):
    return float((1 - model.task.errors(model(x), y)).mean())
