"""How good a model is on the validation images: the numbers that choose the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from robustdx.attacks import Attack
from robustdx.data import Dataset
from robustdx.data.batches import batch, labels
from robustdx.draws import Draws
from robustdx.metrics import Answers, Resamples, accuracy_metrics, answers
from robustdx.models import DiagnosticModel, still
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat
from robustdx.training.care import Record
from robustdx.training.precision import computing


@dataclass(frozen=True)
class Judge:
    """Validation images, and the attack that the model must stand where there is one."""

    attack: Attack | None
    threat: Threat
    seed: int
    batch_size: int
    precision: str

    @property
    def criterion(self) -> str:
        """The number that chooses."""
        return "balanced_accuracy" if self.attack is None else "robust_balanced_accuracy"

    def __call__(self, model: DiagnosticModel, dataset: Dataset, size: tuple[int, int], *, attacked: bool = True) -> Record:
        """Accuracy and balanced accuracy, and under the attack unless not `attacked`; a number that has no meaning here is left out.

        `never_predicted` names the classes that occur and are said of no image, where there are any.
        """
        clean, robust = [], []
        with still(model), computing(model, self.precision):
            for x, y, draws in self._batches(model, dataset, size):
                with torch.no_grad():
                    clean.append(model.task.decide(model(x, draws)))
                if attacked and self.attack is not None:
                    x_adv = self.attack(model, x, y, self.threat, draws)
                    with torch.no_grad():
                        robust.append(model.task.decide(model(x_adv, draws)))
        found: Record = _numbers(_said(dataset, clean))
        if robust:
            found |= {f"robust_{name}": value for name, value in _numbers(_said(dataset, robust)).items()}
        silent = _never(_said(dataset, clean))
        return found | ({"never_predicted": silent} if silent else {})

    def _batches(self, model: DiagnosticModel, dataset: Dataset, size: tuple[int, int]) -> Iterator[tuple[Images, Labels, Draws]]:
        device = model.mean.device
        for start in range(0, len(dataset), self.batch_size):
            indices = range(start, min(start + self.batch_size, len(dataset)))
            pixels, y = batch(dataset, indices, size, model.channels)
            x = (pixels.to(device).float() / 255).contiguous(memory_format=torch.channels_last)
            yield x, y.to(device), Draws(self.seed, tuple(dataset.examples[i].id for i in indices), ("judge",))


def _said(dataset: Dataset, decisions: list[torch.Tensor]) -> Answers:
    return answers(dataset.kind, dataset.classes, labels(dataset).numpy(), torch.cat(decisions).cpu().numpy())


def _numbers(said: Answers) -> dict[str, float]:
    found = accuracy_metrics(said, Resamples.draw(np.arange(len(said.truth)), 0, seed=0))
    wanted = {name: found[name] for name in ("accuracy", "balanced_accuracy")}
    return {name: round(statistic.value, 6) for name, statistic in wanted.items() if statistic.defined}


def _never(said: Answers) -> list[str]:
    silent = (said.truth == 1).any(0) & ~said.decided.any(0)
    return [name for name, never in zip(said.classes, silent, strict=True) if never]
