"""Side markers and burnt-in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.canvas import Pen, circle, painted
from robustdx.perturbations.artefacts.fields import require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images

WORDS = ("AP", "PA", "PORTABLE", "SUPINE", "ERECT", "SITTING", "MOBILE", "12:40", "3-7", "CHEST")
"""What stands beside the side marker."""


@final
@dataclass(frozen=True, kw_only=True)
class Letters:
    """The marker of the patient's side, R or L, in lead, and words burnt in by the machine.

    R stands at the left of the picture and L at the right, as one looks at a patient from the front. Side, place, slant and words are
    drawn once; with severity the marker becomes larger and brighter, a frame and then words join it.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("x-ray",)
    random: ClassVar[bool] = True

    size: Table = (0.05, 0.065, 0.085, 0.11, 0.14)
    """Height of the marker, in shorter sides of the image; words are half as high."""
    ink: Table = (0.65, 0.75, 0.85, 0.93, 1.0)
    """How far the letters are from the image towards white."""
    words: Table = (0, 1, 2, 3, 4)
    """How many words, at severities 1 to 5."""

    def __post_init__(self) -> None:
        require_tables(least=0.02, most=0.5, size=self.size)
        require_tables(least=0, most=1, ink=self.ink)
        require_tables(least=0, most=len(WORDS), words=self.words)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "letters")
        size, words = at(severity, self.size), round(at(severity, self.words))
        u = uniforms(x, draws.fork("marker"), 5).cpu().numpy()
        chosen = uniforms(x, draws.fork("words"), len(WORDS)).argsort(1).cpu().numpy()

        def paint(pen: Pen, i: int) -> None:
            right = u[i, 0] < 0.5
            across = 0.10 + 0.05 * u[i, 1]
            place = np.array([across if right else pen.width - across, (0.09 + 0.10 * u[i, 2]) * pen.height])
            pen.write("R" if right else "L", place, size, turned=16 * (u[i, 3] - 0.5))
            if severity >= 3 and u[i, 4] < 0.5:
                pen.strand(place + 0.85 * size * circle(40), 0.006)
            for k, word in enumerate(chosen[i, :words]):
                below = place + np.array([0, size * 0.9 + 0.03 + k * size * 0.75])
                pen.write(WORDS[word], np.array([max(below[0], 0.09), below[1]]), size * 0.42)

        return (x + at(severity, self.ink) * painted(x, paint) * (1 - x)).clamp(0, 1).to(x.dtype)
