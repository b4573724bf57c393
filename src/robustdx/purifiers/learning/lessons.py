"""How the network of a purifier is taught: images of a data set, batch by batch, and what it is to lower on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from robustdx.data import Dataset
from robustdx.data.batches import batch, decoded
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError, RunError
from robustdx.tensors import Images, PerImage

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many steps have been made."""

Cost = Callable[[nn.Module, Images, Draws], PerImage]
"""What the network is to lower on clean images."""

REMEMBERED = 0.99
"""How much of the running mean of the weights each step keeps, in the end; the mean is what purifies."""


class Lessons:
    """Clean images in [0, 1] at one size, in an order drawn for each epoch, in memory with 8 bits a pixel."""

    def __init__(self, data: Dataset, draws: Draws, batch_size: int, size: tuple[int, int], channels: int, device: str) -> None:
        if not len(data):
            raise DataError(f"{data.name}: expected images to learn from, found none: check the path and the split")
        self.data, self.batch_size, self.size, self.channels = decoded(data, size, channels), batch_size, size, channels
        self.device = torch.device(device)
        self.draws = Draws(draws.seed, tuple(e.id for e in data.examples), draws.path)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.data) // self.batch_size)

    def epoch(self, n: int) -> Iterator[tuple[Images, Draws]]:
        """(images, draws) of each batch; the order follows from the seed and n."""
        order = self.draws.fork("epoch", n).uniform(0, 1, like=torch.empty(len(self.data), 1))[:, 0].argsort()
        for some in order.split(self.batch_size):
            pixels, _ = batch(self.data, some.tolist(), self.size, self.channels)
            yield pixels.to(self.device).float() / 255, self.draws.take(some).fork("pass", n)

    def teach(self, network: nn.Module, cost: Cost, epochs: int, lr: float, what: str, progress: Progress | None) -> nn.Module:
        """Lower the mean cost with Adam, its step falling to 0 along a cosine; the answer is the running mean of the weights.

        Raises:
            RunError: the learning has diverged.
        """
        network = network.to(self.device).train()
        mean = AveragedModel(network, avg_fn=_remembered)
        optimiser = torch.optim.Adam(network.parameters(), lr=lr)
        whole, step = epochs * len(self), 0
        for n in range(epochs):
            for x, draws in self.epoch(n):
                optimiser.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / whole)) / 2
                loss = cost(network, x, draws).mean()
                if not bool(loss.isfinite()):
                    raise RunError(f"the training of {what} has diverged (its loss is not a number): give a smaller lr")
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                mean.update_parameters(network)
                step += 1
                if progress is not None:
                    progress(f"training {what}, epoch {n + 1} of {epochs}", step, whole)
        return mean.module.eval()


def _remembered(mean: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
    """The running mean after one more step; the first ones, which know least, are soon forgotten."""
    return torch.lerp(mean, now, 1 - min(REMEMBERED, (1 + int(steps)) / (10 + int(steps))))


@contextmanager
def seeded(draws: Draws) -> Iterator[None]:
    """torch's own random numbers follow from the draws inside the block (first weights), and go on as before after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(Draws(draws.seed, ("learning",), draws.path).integers(0, 2**31)))
        yield


def require_learning(width: int, epochs: int, lr: float, batch_size: int) -> None:
    """Refuse settings that would learn nothing."""
    if not 1 <= width <= 1024:
        raise PlanError(f"width must lie between 1 and 1024, got {width}")
    if epochs < 1 or batch_size < 1:
        raise PlanError(f"epochs and batch_size must be at least 1, got epochs {epochs} and batch_size {batch_size}")
    if not 0 < lr < float("inf"):
        raise PlanError(f"lr must be above 0, got {lr:g}")
