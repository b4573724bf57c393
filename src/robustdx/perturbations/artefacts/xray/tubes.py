"""Lines, tubes and electrodes of a patient in intensive care."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.canvas import Pen, circle, painted, smooth_line
from robustdx.perturbations.artefacts.fields import blur, require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Tubes:
    """What lies on and in a patient: electrodes with leads, a central line, a tube in the windpipe or stomach, a chest drain.

    Objects are a little denser than what lies behind them: they add to the image, less where it is bright already. A severity keeps the
    objects of the one below and adds some, in a fixed order of kinds; they become a little denser.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("x-ray",)
    random: ClassVar[bool] = True

    objects: Table = (1, 3, 5, 7, 10)
    """How many objects, at severities 1 to 5."""
    density: Table = (0.5, 0.56, 0.62, 0.68, 0.75)
    """How far the densest object is from the image towards white."""

    def __post_init__(self) -> None:
        require_tables(least=1, objects=self.objects)
        require_tables(least=0, most=1, density=self.density)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "tubes")
        count = round(at(severity, self.objects))
        u = uniforms(x, draws.fork("objects"), count, 10).cpu().numpy()
        first = draws.fork("first").integers(0, len(KINDS)).tolist()

        def paint(pen: Pen, i: int) -> None:
            for k, numbers in enumerate(u[i]):
                KINDS[(first[i] + k) % len(KINDS)](pen, numbers)

        dense = at(severity, self.density) * blur(painted(x, paint), 0.001)
        return (x + dense * (1.02 - x).clamp(0, 1)).clamp(0, 1).to(x.dtype)


def _electrode(pen: Pen, u: np.ndarray) -> None:
    """A sticky disc with a snap, and its lead, on the chest's outer parts."""
    side = -1 if u[0] < 0.5 else 1
    place = np.array([(0.5 + side * (0.2 + 0.2 * u[1])) * pen.width, (0.15 + 0.65 * u[2]) * pen.height])
    away = np.array([0.5 + side * (0.55 + 0.2 * u[3]), 0.2 + 0.9 * u[4]]) * (pen.width, pen.height)
    bow = (place + away) / 2 + 0.25 * np.array([u[5] - 0.5, u[6] - 0.2])
    pen.disc(place, 0.026 + 0.008 * u[7], 0.22)
    pen.strand(smooth_line(np.array([place, bow, away])), 0.0055, 0.75)
    pen.disc(place, 0.010, 0.95)
    pen.strand(place + 0.0165 * circle(20), 0.003, 0.6)


def _central_line(pen: Pen, u: np.ndarray) -> None:
    """A thin catheter from one side of the neck or arm down along the spine."""
    side = -1 if u[0] < 0.7 else 1
    start = np.array([0.5 + side * (0.12 + 0.3 * u[1]), -0.02])
    knots = np.array(
        [start, (0.5 + side * (0.16 + 0.1 * u[2]), 0.2), (0.5 + side * 0.02, 0.22 + 0.08 * u[3]), (0.47, 0.4), (0.46, 0.46 + 0.1 * u[4])]
    )
    pen.strand(smooth_line(knots * (pen.width, pen.height)), 0.006 + 0.003 * u[5], 0.6)


def _tube(pen: Pen, u: np.ndarray, length: float = 0.28) -> None:
    """A tube down the middle: two walls and a dense stripe."""
    middle = 0.49 + 0.04 * u[0]
    end = length + 0.1 * u[1]
    knots = np.array(
        [(middle + 0.05 * (u[2] - 0.5), -0.02), (middle + 0.03 * (u[3] - 0.5), 0.5 * end), (middle + 0.02 * (u[4] - 0.5), end)]
    )
    _walls(pen, smooth_line(knots * (pen.width, pen.height)), 0.026 + 0.006 * u[5])


def _stomach_tube(pen: Pen, u: np.ndarray) -> None:
    """A thin tube down the middle that turns to the patient's left, below the diaphragm."""
    knots = np.array(
        [(0.5, -0.02), (0.48 + 0.04 * u[0], 0.35), (0.5, 0.7), (0.52 + 0.03 * u[1], 0.85), (0.62 + 0.12 * u[2], 0.9 + 0.12 * u[3])]
    )
    path = smooth_line(knots * (pen.width, pen.height))
    pen.strand(path, 0.011, 0.3)
    pen.strand(path, 0.004, 0.75)


def _drain(pen: Pen, u: np.ndarray) -> None:
    """A chest drain from the flank up towards the apex."""
    side = -1 if u[0] < 0.5 else 1
    knots = np.array(
        [
            (0.5 + side * 0.55, 0.55 + 0.3 * u[1]),
            (0.5 + side * 0.42, 0.6 + 0.1 * u[2]),
            (0.5 + side * 0.36, 0.4),
            (0.5 + side * (0.18 + 0.1 * u[3]), 0.2 + 0.12 * u[4]),
        ]
    )
    _walls(pen, smooth_line(knots * (pen.width, pen.height)), 0.022 + 0.006 * u[5])


def _walls(pen: Pen, path: np.ndarray, width: float) -> None:
    """A hollow tube seen from the side: its body is faint, its walls and the stripe are dense."""
    along = np.gradient(path, axis=0)
    normal = along[:, ::-1] * (-1, 1) / np.hypot(along[:, :1], along[:, 1:])
    pen.strand(path, width, 0.22)
    for offset, wide, ink in ((-0.45, 0.004, 0.5), (0.45, 0.004, 0.5), (0.22, 0.005, 0.85)):
        pen.strand(path + offset * width * normal, wide, ink)


KINDS = (_electrode, _central_line, _tube, _electrode, _stomach_tube, _electrode, _drain)
"""In this order, beginning at one drawn for each image."""
