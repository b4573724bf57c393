"""Training goes on to lower its loss while robustness on validation images is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from robustdx.training.care import Care, Record
from robustdx.training.monitors.protocol import Alarm

NUMBER = "robust_balanced_accuracy"


@final
@dataclass(frozen=True, kw_only=True)
class RobustOverfitting:
    """Validation robust accuracy falls for epochs while the training loss falls (Rice et al. 2020, section 3).

    A validation set is small, so means over `window` epochs are compared. Epochs under one objective at one size count, and
    only where the plan has a judge. Remedy: lower the learning rate; if that does not help, stop, since the best epoch is kept.
    """

    patience: int = 5
    """Epochs in a row that must lie below the best."""
    fall: float = 0.02
    """How far below."""
    window: int = 3
    """Epochs whose mean is taken."""

    def __call__(self, curve: Sequence[Record], care: Care) -> Alarm | None:
        now = curve[-1]
        alike = [r for r in curve if (r["objective"], r["size"]) == (now["objective"], now["size"]) and NUMBER in r]
        means = [sum(r[NUMBER] for r in alike[i - self.window : i]) / self.window for i in range(self.window, len(alike) + 1)]
        if len(means) <= self.patience or now["epoch"] - care.lowered < self.patience:
            return None
        best = max(range(len(means)), key=means.__getitem__)
        worse = all(mean < means[best] - self.fall for mean in means[-self.patience :])
        then = alike[best + self.window - 1]
        if not (worse and now["loss"] < then["loss"]):
            return None
        seen = (
            f"robust overfitting: robust balanced accuracy fell from {means[best]:.3f} (epoch {then['epoch']}) to {means[-1]:.3f}, "
            f"means of {self.window} epochs, while the training loss fell from {then['loss']:.3f} to {now['loss']:.3f}"
        )
        return Alarm("robust_overfitting", seen, "stop" if care.lowered else "lower")
