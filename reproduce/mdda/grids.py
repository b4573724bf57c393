"""MDDA, its rivals, and what each is tuned over: all on validation images, by a rule that was written down before any was tried.

The rule: of the settings of a grid, those with the largest mean of clean accuracy and accuracy under PGD at 4/255, made on the bare
ResNet; of equals, the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

Words = dict[str, Any]

ALL = (0.25, 0.5, 1.0, 2.0)


def grid(name: str, **values: tuple[Any, ...]) -> list[Words]:
    """Every combination of the values."""
    return [{"name": name, **dict(zip(values, chosen, strict=True))} for chosen in product(*values.values())]


GRIDS: Mapping[str, list[Words]] = {
    "mdda": grid(
        "mdda",
        blocks=(1, 2, 3),
        sigma=(0.01, 0.02, 0.04),
        rof_weight=(0.01, 0.03, 0.06, 0.1),
        smoothing=(0.0, 0.5),
    ),
    "rof": grid("rof", weight=(0.01, 0.02, 0.03, 0.05, 0.08, 0.12)),
    "jpeg": grid("jpeg", quality=(20, 30, 40, 50, 60, 75, 90)),
    "bit-depth": grid("bit-depth", levels=(4, 6, 8, 12, 16, 32)),
    "gaussian": grid("gaussian", sigma=(0.5, 0.7, 1.0, 1.3)),
    "median": grid("median", size=(3, 5)),
    "bilateral": grid("bilateral", sigma_space=(1.0, 1.5), sigma_colour=(0.05, 0.1, 0.2)),
    "non-local-means": grid("non-local-means", strength=(0.8,), sigma=(0.01, 0.02, 0.03, 0.05)),
    "wavelet": grid("wavelet", sigma=(0.01, 0.02, 0.03, 0.05), wavelet=("db1", "db2")),
    "total-variation": grid("total-variation", weight=(0.01, 0.03), drop=(0.0, 0.3, 0.5)),
    "resize-pad": grid("resize-pad", scale=(1.1, 1.25, 1.5)),
    "pixel-deflection": grid("pixel-deflection", deflections=(50, 100, 200), sigma=(0.02, 0.04)),
    "feature-squeezing": grid("feature-squeezing", levels=(16, 32, 64), size=(2, 3)),
    "super-resolution": grid("super-resolution", sigma=(0.01, 0.02, 0.04)),
}
"""MDDA keeps its four scales, its 40 iterations and its aggregation: what of them matters, the ablations say."""


def ablations(mdda: Words) -> Iterator[tuple[str, str, Words]]:
    """MDDA as tuned with one part changed: what was changed, to what, and the settings."""
    yield "as tuned", "", mdda
    for changed, values in {
        "blocks": (1, 2, 3, 4, 5),
        "sigma": (0.0, 0.01, 0.02, 0.04, 0.06, 0.08),
        "rof_weight": (0.0, 0.01, 0.03, 0.06, 0.1),
        "smoothing": (0.0, 0.5, 1.0),
        "own": (0.25, 0.5, 0.75, 1.0),
    }.items():
        for value in values:
            if value != mdda.get(changed):
                yield changed, f"{value:g}", {**mdda, changed: value}
    for scales in ((1.0,), (0.5, 1.0), (1.0, 2.0), (0.5, 1.0, 2.0), (0.25, 0.5, 2.0)):
        yield "scales", ", ".join(f"{s:g}" for s in scales), {**mdda, "scales": scales}
    yield "schedule", "variance-preserving", {**mdda, "schedule": "variance-preserving"}
    for denoiser in ({"name": "gaussian", "sigma": 0.7}, {"name": "median"}, {"name": "bilateral"}, {"name": "wavelet", "sigma": 0.02}):
        yield "denoiser", str(denoiser["name"]), {**mdda, "denoiser": denoiser}
    yield "draws averaged", "4", {**mdda, "samples": 4}
