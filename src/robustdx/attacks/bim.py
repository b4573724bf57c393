"""The basic iterative method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from robustdx.attacks.pgd import PGD, require_positive
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.tensors import Images, Labels
from robustdx.threats import Threat


@final
@dataclass(frozen=True, kw_only=True)
class BIM:
    """Iterated FGSM from the image itself (Kurakin et al. 2017, section 2.2): PGD without a random start.

    Cost per image: steps forward and backward passes, and one forward pass to judge the last image.
    """

    steps: int = 10
    """Gradient steps."""
    step_size: float | None = None
    """Length of a step as a fraction of eps; left out, 1 / steps."""
    early_stop: bool = True
    """Leave an image as soon as every decision on it is wrong: right for accuracy, wrong for AUROC and other rankings."""

    def __post_init__(self) -> None:
        require_positive(self.steps, 1, self.step_size)

    def __call__(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Images:
        return self._pgd(model, x, y, threat, draws)

    def path(self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws) -> Iterator[Images]:
        """The images step by step, from x itself: steps + 1 times (B, C, H, W), none of them leaving early."""
        return self._pgd.path(model, x, y, threat, draws)

    @property
    def _pgd(self) -> PGD:
        step_size = 1 / self.steps if self.step_size is None else self.step_size
        return PGD(steps=self.steps, step_size=step_size, random_start=False, early_stop=self.early_stop)
