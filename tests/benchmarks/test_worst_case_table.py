"""The page of the worst case says what was kept."""

from __future__ import annotations

import torch

from benchmarks.worst_case import Line, line, table, ways
from robustdx.draws import Draws


def test_every_way_stands_beside_the_dense_grid_from_the_best_accuracy_down():
    dense = Line("a network", 4, "dense grid of 2,625", 0.5, 1000.0, 2625, ["a", "b"])
    ours = Line("a network", 4, "worst case", 0.25, 50.0, 198, ["a", "b", "c"])
    other = Line("another", 8, "worst case", 1.0, 198.0, 198, [])
    text = table([ours, dense, other])
    assert text.index("| dense grid of 2,625 | 50.0% | 1000.0 | 2625 | 100% |") < text.index("| worst case | 25.0% | 50.0 | 198 | 5% |")
    assert "### another, 8 test images" in text
    assert "| worst case | 100.0% | 198.0 | 198 |  |" in text, "no share without a dense grid"


def test_the_dense_grid_holds_the_coarse_one_and_the_search_takes_less_than_four_tenths_of_525_points():
    dense, coarse, ours = list(ways((21, 5, 5)).values())[:3]
    points = {tuple(p) for p in dense.grid.tolist()}
    assert len(points) == 2625
    assert all(min(max(abs(a - b) for a, b in zip(p, q, strict=True)) for q in points) < 1e-6 for p in coarse.grid.tolist())
    most = len(ours.grid) + (1 + ours.starts) * (2 * ours.steps + 1)
    assert most == 198 <= 0.4 * 525


def test_a_line_counts_passes_and_names_what_fell():
    found = line("a network", "worst case", torch.tensor([0.0, 1.0, 0.0]), Draws(0, ("x", "y", "z")), [198, 1, 2])
    assert (found.images, found.passes, found.most, found.wrong) == (3, 67.0, 198, ["y"])
    assert abs(found.accuracy - 2 / 3) < 1e-6
