"""The scale on the dermatoscope's glass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from robustdx.draws import Draws
from robustdx.perturbations.artefacts.canvas import Pen, painted
from robustdx.perturbations.artefacts.fields import require_picture, uniforms
from robustdx.perturbations.protocol import Modality
from robustdx.perturbations.severity import Table, at, require_tables
from robustdx.tensors import Images


@final
@dataclass(frozen=True, kw_only=True)
class Ruler:
    """A millimetre scale printed on the contact plate, along one edge of the picture.

    Dark ticks, every fifth one longer and, on two scales of three, numbered, on a line that leans a little. Edge, lean, spacing and
    the end at which counting starts are drawn once; with severity the scale covers more of the edge, and its ticks become bolder,
    longer and darker.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("dermoscopy",)
    random: ClassVar[bool] = True

    opacity: Table = (0.45, 0.62, 0.76, 0.87, 0.95)
    """How dark the print is: 0 clear, 1 black."""
    reach: Table = (0.45, 0.6, 0.8, 1.0, 1.0)
    """How much of the edge has ticks."""
    boldness: Table = (0.7, 0.85, 1.0, 1.25, 1.6)
    """Width and length of the ticks; at 1 a tick is 0.0045 wide and 0.03 long, in shorter sides of the image."""

    def __post_init__(self) -> None:
        require_tables(least=0, most=1, opacity=self.opacity, reach=self.reach)
        require_tables(least=0.1, boldness=self.boldness)

    def __call__(self, x: Images, severity: int, draws: Draws) -> Images:
        require_picture(x, "ruler")
        reach, boldness = at(severity, self.reach), at(severity, self.boldness)
        u = uniforms(x, draws.fork("place"), 8).cpu().numpy()
        print_ = painted(x, lambda pen, i: _rule(pen, u[i], reach, boldness))
        return (x * (1 - at(severity, self.opacity) * print_)).to(x.dtype)


def _rule(pen: Pen, u: np.ndarray, reach: float, boldness: float) -> None:
    """Ticks and numbers; `u` holds edge, lean, gap, spacing, phase, thickness, end of 0, and whether it has numbers."""
    edge, numbered = int(4 * u[0]), u[7] < 0.65
    run = pen.height if edge < 2 else pen.width
    lean, gap, spacing = 0.22 * (u[1] - 0.5), 0.05 + 0.07 * u[2], 0.042 + 0.035 * u[3]
    bold, marks = boldness**0.7, np.arange(0, run - spacing * u[4], spacing) + spacing * u[4]
    for k, along in enumerate(marks if u[6] < 0.5 else marks[::-1]):
        if abs(along - run / 2) > reach * run / 2:
            continue
        depth = gap + lean * (along - run / 2)
        length = 0.03 * (1.7 if k % 5 == 0 else 1.0) * bold
        ends = np.array([[depth, along], [depth + length, along - lean * length]])
        pen.strand(_on(pen, edge, ends), 0.0035 * (0.7 + 0.9 * u[5]) * boldness)
        if numbered and k % 5 == 0:
            place = _on(pen, edge, np.array([[depth + length + 0.022, along]]))[0]
            pen.write(str(k), place, 0.026 * bold, turned=(90, 90, 0, 0)[edge])


def _on(pen: Pen, edge: int, points: np.ndarray) -> np.ndarray:
    """Points (depth into the image, place along the edge) at the left, right, upper or lower edge as points of the image."""
    depth, along = points[:, 0], points[:, 1]
    return np.stack([(depth, along), (pen.width - depth, along), (along, depth), (along, pen.height - depth)][edge], 1)
