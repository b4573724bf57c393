"""MDDA, its rivals, and what each is tuned over: all on validation images, by a rule that was written down before any was tried.

The rule: of the settings of a grid, those with the largest mean of accuracy on clean images and under PGD at 4/255, made on the bare
ResNet; of equals, the first. The validation images are the `val` of chosen.py, at most 30 of a class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

Words = dict[str, Any]
DENOISER = "denoiser.safetensors"
"""The file in the folder of the runs that holds the denoiser."""


def grid(purifier: str, **values: tuple[Any, ...]) -> list[Words]:
    """Every combination of the values."""
    return [{"name": purifier, **dict(zip(values, chosen, strict=True))} for chosen in product(*values.values())]


MDDA: dict[str, tuple[Any, ...]] = {
    "blocks": (1, 2, 3),
    "sigma": (0.01, 0.03),
    "rof_weight": (0.01, 0.03, 0.06, 0.1),
    "smoothing": (0.0, 0.5),
}
"""MDDA keeps its four scales, its 40 iterations and its aggregation: what of them matters, the ablations say."""

GRIDS: Mapping[str, list[Words]] = {
    "mdda": grid("mdda", **MDDA),
    "rof": grid("rof", weight=(0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.16)),
    "jpeg": grid("jpeg", quality=(10, 20, 30, 40, 50, 60, 75, 90), subsampling=("4:4:4", "4:2:0")),
    "bit-depth": grid("bit-depth", levels=(4, 6, 8, 12, 16, 32)),
    "gaussian": grid("gaussian", sigma=(0.5, 0.7, 0.85, 1.0, 1.3, 1.6)),
    "median": grid("median", size=(3, 5)),
    "bilateral": grid("bilateral", sigma_space=(0.7, 1.0, 1.5), sigma_colour=(0.05, 0.1, 0.2)),
    "non-local-means": grid("non-local-means", strength=(0.8, 1.2), sigma=(0.01, 0.02, 0.03, 0.05)),
    "wavelet": grid("wavelet", sigma=(0.01, 0.02, 0.03, 0.05, 0.08), wavelet=("db1", "db2")),
    "total-variation": grid("total-variation", weight=(0.01, 0.03, 0.06), drop=(0.0, 0.3, 0.5)),
    "resize-pad": grid("resize-pad", scale=(1.1, 1.25, 1.5)),
    "pixel-deflection": grid("pixel-deflection", deflections=(10, 50, 200), sigma=(0.02, 0.04, 0.08)),
    "feature-squeezing": grid("feature-squeezing", levels=(8, 16, 32, 64), size=(3, 5)),
    "super-resolution": grid("super-resolution", sigma=(0.01, 0.02, 0.04), factor=(1.5, 2.0, 3.0)),
}


def grids(runs: Path) -> dict[str, list[Words]]:
    """Those above, and the denoiser that learn.py has trained, where it has."""
    weights = runs / DENOISER
    learned = {"denoiser": [{"name": "denoiser", "weights": str(weights)}]} if weights.is_file() else {}
    return {**GRIDS, **learned}


SINGLE_STEP = ("rof", "jpeg", "bit-depth", "gaussian", "median", "bilateral", "non-local-means", "wavelet")
"""Filters of one step, for which the paper's gain is said to grow with eps."""

COARSE: dict[str, tuple[Any, ...]] = {**MDDA, "blocks": (1, 3), "rof_weight": (0.01, 0.03, 0.1)}

WITHOUT: Mapping[str, dict[str, tuple[Any, ...]]] = {
    "diffusion": {"sigma": (0.0,)},
    "denoising": {"rof_weight": (0.0,)},
    "aggregation": {"own": (1.0,)},
    "other scales": {"scales": ((1.0,),)},
}
"""What each part of MDDA is when it is taken out."""
ANEW: Mapping[str, list[Words]] = {f"mdda without {part}": grid("mdda", **{**COARSE, **out}) for part, out in WITHOUT.items()}
"""MDDA without a part, tuned over what is left."""


def ablations(mdda: Words) -> Iterator[tuple[str, str, Words]]:
    """MDDA as tuned with one part changed: what was changed, to what, and the settings."""
    for part, out in WITHOUT.items():
        yield "without", part, {**mdda, **{key: value for key, (value,) in out.items()}}
    for changed, values in {
        "blocks": (1, 2, 3, 5),
        "sigma": (0.01, 0.02, 0.04, 0.08),
        "rof_weight": (0.01, 0.03, 0.06, 0.1),
        "smoothing": (0.0, 0.5, 1.0),
        "own": (0.25, 0.75),
    }.items():
        for value in values:
            if value != mdda.get(changed):
                yield changed, f"{value:g}", {**mdda, changed: value}
    for scales in ((0.5, 1.0), (1.0, 2.0), (0.5, 1.0, 2.0), (0.25, 0.5, 2.0)):
        yield "scales", ", ".join(f"{s:g}" for s in scales), {**mdda, "scales": scales}
    yield "schedule", "variance-preserving", {**mdda, "schedule": "variance-preserving"}
    for denoiser in ({"name": "gaussian", "sigma": 0.7}, {"name": "median"}, {"name": "bilateral"}, {"name": "wavelet", "sigma": 0.02}):
        yield "denoiser", str(denoiser["name"]), {**mdda, "denoiser": denoiser}
    yield "draws averaged", "4", {**mdda, "samples": 4}
