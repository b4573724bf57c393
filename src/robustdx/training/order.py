"""Which images an epoch shows, in which order, and how much each counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from robustdx.data import Dataset
from robustdx.draws import Draws


@dataclass(frozen=True)
class Showing:
    """One image in one batch."""

    index: int
    """Where it stands in the data set."""
    times: int
    """How often it was shown before."""


class Order:
    """Deals out the images class by class, each class in rounds, so that every image of a class has its turn.

    With n_c images of class c, an epoch shows a number of them proportional to n_c ** (1 - sampling), as many in all as
    the set has; and an image of class c counts proportionally to n_c ** -weighting, 1 on average. The two powers together
    say how far classes are balanced: 0 not at all, 1 fully. `effective` puts the effective number of images, which hardly grows
    any more once a class is large, in place of n_c. Everything follows from the seed and the epoch.
    """

    def __init__(self, dataset: Dataset, seed: int, sampling: float, weighting: float, effective: float | None = None) -> None:
        self.seed, self.length = seed, len(dataset)
        classes = classes_of(dataset)
        self.members = {c: [i for i, k in enumerate(classes) if k == c] for c in sorted(set(classes))}
        sizes = {c: len(m) if effective is None else effective_number(len(m), effective) for c, m in self.members.items()}
        self.quota = quotas({c: len(m) / sizes[c] ** sampling for c, m in self.members.items()}, self.length)
        raw = {c: size**-weighting for c, size in sizes.items()}
        mean = sum(self.quota[c] * raw[c] for c in raw) / self.length
        self.weights: Tensor = torch.tensor([raw[c] / mean for c in classes])
        """(N,): what the loss of each image is multiplied by."""

    def batches(self, epoch: int, size: int) -> list[Sequence[Showing]]:
        """What epoch 0, 1, 2, ... shows: batches of at least `size` images (no small one is left over), or one of all."""
        dealt = [showing for c in self.members for showing in self._dealt(c, epoch)]
        shown = [dealt[i] for i in _shuffled(len(dealt), self.seed, "epoch", epoch)]
        return cut(shown, batches_in(len(shown), size))

    def boosted(self, boosts: Mapping[int, float]) -> Tensor:
        """The weights, with the images of some classes counting so many times as much."""
        weights = self.weights.clone()
        for c, boost in boosts.items():
            weights[self.members.get(c, [])] *= boost
        return weights

    def _dealt(self, c: int, epoch: int) -> list[Showing]:
        """Like cards: the class is shuffled, dealt to the last image, and shuffled anew."""
        members, quota = self.members[c], self.quota[c]
        dealt = []
        for card in range(epoch * quota, (epoch + 1) * quota):
            times, place = divmod(card, len(members))
            dealt.append(Showing(members[_shuffled(len(members), self.seed, "class", c, times)[place]], times))
        return dealt


def effective_number(images: int, effective: float) -> float:
    """How many images a class has that are not alike: 1 + effective + .. + effective^(n - 1) (Cui et al. 2019, proposition 1)."""
    return (1 - effective**images) / (1 - effective)


def batches_in(images: int, size: int) -> int:
    """How many batches an epoch has."""
    return max(1, images // size)


def cut(shown: Sequence[Showing], count: int) -> list[Sequence[Showing]]:
    """So many parts in a row, of sizes as equal as they can be."""
    return [shown[a:b] for a, b in pairwise(len(shown) * n // count for n in range(count + 1))]


def classes_of(dataset: Dataset) -> list[int]:
    """The class of each image; of several findings the rarest that is present, or one more class where none is."""
    labels = [e.label for e in dataset.examples]
    present = [[label] if isinstance(label, int) else [k for k, v in enumerate(label) if v == 1] for label in labels]
    frequency = Counter(k for found in present for k in found)
    return [min(found, key=lambda k: (frequency[k], k), default=len(dataset.classes)) for found in present]


def quotas(shares: dict[int, float], length: int) -> dict[int, int]:
    """Whole numbers proportional to the shares, at least 1 each, that add up to `length`."""
    whole = sum(shares.values())
    found = {c: max(1, round(share / whole * length)) for c, share in shares.items()}
    found[max(found, key=lambda c: (found[c], c))] -= sum(found.values()) - length
    return found


@lru_cache(maxsize=256)
def _shuffled(length: int, seed: int, *names: object) -> tuple[int, ...]:
    """0 .. length - 1 in an order drawn under these names."""
    numbers = Draws(seed, ("order",)).fork(*names).uniform(0, 1, like=torch.empty(1, length))
    return tuple(numbers[0].argsort(stable=True).tolist())
