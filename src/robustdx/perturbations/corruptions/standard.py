"""The tables of Hendrycks and Dietterich (2019), as released for ImageNet-C, where our defaults are others.

On medical images these severities do not stand in order (docs/perturbations-calibration.md). All other corruptions have their tables by
default; with these, results are those of ImageNet-C's generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STANDARD: Mapping[str, Mapping[str, Any]] = {
    "glass_blur_standard": {"name": "glass_blur", "rounds": [2, 1, 3, 2, 2]},
    "zoom_blur_standard": {"name": "zoom_blur", "step": [0.01, 0.01, 0.02, 0.02, 0.03]},
    "snow_standard": {
        "name": "snow",
        "mean": [0.1, 0.2, 0.55, 0.55, 0.55],
        "size": [3, 2, 4, 4.5, 2.5],
        "threshold": [0.5, 0.5, 0.9, 0.85, 0.85],
        "radius": [10, 12, 12, 12, 12],
        "sigma": [4, 4, 8, 8, 12],
        "kept": [0.8, 0.7, 0.7, 0.65, 0.55],
    },
    "elastic_transform_standard": {
        "name": "elastic_transform",
        "strength": [2, 2, 0.05, 0.07, 0.12],
        "smoothness": [0.7, 0.08, 0.01, 0.01, 0.01],
        "affine": [0.1, 0.2, 0.02, 0.02, 0.02],
    },
    "fog_standard": {"name": "fog", "thickness": [1.5, 2, 2.5, 2.5, 3]},
    "jpeg_compression_standard": {"name": "jpeg_compression", "quality": [25, 18, 15, 10, 7]},
    "saturate_standard": {"name": "saturate", "factor": [0.3, 0.1, 2, 5, 20], "offset": [0, 0, 0, 0.1, 0.2]},
}
"""Presets by name: the corruption's, with `_standard` behind it."""
