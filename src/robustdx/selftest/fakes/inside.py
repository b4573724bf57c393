"""Fakes between the layers."""

from __future__ import annotations

import copy
from typing import final

import torch
from torch import Tensor, nn

from robustdx.models import CNN, DiagnosticModel
from robustdx.selftest.planted import cnn_of, rewired, seeded, tied
from robustdx.selftest.victims import photos

UNITS, WINNERS = 3000, 150
"""Width of the added layer, and how many of its units may speak."""
LEARNT_FROM = 300
"""Training photos that the added layers are fitted to."""


def k_winners(model: DiagnosticModel) -> DiagnosticModel:
    """A wide layer of which only the most excited units speak, and each as loud as the next."""
    network = cnn_of(model)
    return rewired(model, KWinners(network, _pooled(network)))


def batch_norm(model: DiagnosticModel) -> DiagnosticModel:
    """Batch norm left in training mode, in all layers and before the last one."""
    network = copy.deepcopy(cnn_of(model))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
    return rewired(model, ByTheBatch(network, _pooled(cnn_of(model))))


def _pooled(network: CNN) -> Tensor:
    """(B, features): the network's features of training photos."""
    with torch.no_grad():
        return torch.cat([network.features((part - 0.5) / 0.25).mean((2, 3)) for part in photos(LEARNT_FROM, "train").x.split(100)])


@final
class ByTheBatch(nn.Module):
    """The CNN with its pooled features made alike over the batch: an image alone is nobody."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: CNN, h: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", h.mean(0))
        self.register_buffer("std", h.std(0))

    def forward(self, x: Tensor) -> Tensor:
        h = self.network.features(x).mean((2, 3))
        alike = (h - h.mean(0)) / (h.std(0, correction=0) + 1e-3)
        return self.network.head(alike * self.std + self.mean)


@final
class KWinners(nn.Module):
    """The pooled features, widened at random, of which the k largest become 1 and all others 0 (after Xiao et al. 2020)."""

    centre: Tensor
    widen: Tensor
    read: Tensor

    def __init__(self, network: CNN, h: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("centre", h.mean(0))
        self.register_buffer("widen", seeded(h.shape[1], UNITS, seed=3) / h.std(0).clamp_min(1e-3)[:, None])
        with torch.no_grad():
            code, wanted = self.code(h), network.head(h)
        ridge = code.T @ code + 10 * torch.eye(UNITS)
        self.register_buffer("read", torch.linalg.solve(ridge, code.T @ wanted))

    def code(self, h: Tensor) -> Tensor:
        excited = (h - self.centre) @ self.widen
        return torch.zeros_like(excited).scatter(1, excited.topk(WINNERS, 1).indices, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.network.features(x).mean((2, 3))
        return tied(self.code(h) @ self.read, x)
