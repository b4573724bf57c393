"""Training against one step collapses: robust to that step, and to no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from robustdx.training.care import Care, Record
from robustdx.training.monitors.protocol import Alarm


@final
@dataclass(frozen=True, kw_only=True)
class CatastrophicOverfitting:
    """FGSM's images are told rightly where PGD's are not, or the gradient turns within the ball (Wong et al. 2020, section 5.1;
    Andriushchenko and Flammarion 2020, section 4).

    On a sound network several steps find little more than one. A large gap alarms where PGD accuracy has fallen to half of what
    it was, or the gap has lasted for two epochs: weights in their first epoch are in flux. Half of that gap alarms where the
    gradient cosine has fallen with it. Remedy: back to the last good weights, and on with the plan's `fallback`, whose steps
    double should it collapse too.
    """

    gap: float = 0.25
    """How far FGSM accuracy may lie above PGD accuracy."""
    fall: float = 0.5
    """To what share of its highest value PGD accuracy, or the gradient cosine, has fallen when something is lost."""
    switches: int = 3
    """How often another objective is tried."""

    def __call__(self, curve: Sequence[Record], care: Care) -> Alarm | None:
        now = curve[-1]
        if "one_step_accuracy" not in now:
            return None
        alike = [r for r in curve if r["objective"] == now["objective"] and "one_step_accuracy" in r]
        gaps = [r["one_step_accuracy"] - r["several_step_accuracy"] for r in alike]
        held, straight = (max(r[name] for r in alike) for name in ("several_step_accuracy", "gradient_cosine"))
        lasts = len(gaps) > 1 and min(gaps[-2:]) > self.gap
        lost = now["several_step_accuracy"] < self.fall * held
        turned = now["gradient_cosine"] < self.fall * straight
        if not ((gaps[-1] > self.gap and (lost or lasts)) or (gaps[-1] > self.gap / 2 and turned)):
            return None
        seen = (
            f"catastrophic overfitting: accuracy {now['one_step_accuracy']:.2f} under one step and {now['several_step_accuracy']:.2f} "
            f"under several, gradient cosine {now['gradient_cosine']:.2f} (at best {straight:.2f}), "
            f"gradient spread {now['gradient_spread']:.2f}"
        )
        return Alarm("catastrophic_overfitting", seen, "switch" if len(care.replaced) < self.switches else "tell")
