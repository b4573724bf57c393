"""Which sequences, with which settings, and how many frames: the released benchmarks as tables, and ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robustdx.catalogue import unknown
from robustdx.errors import PlanError
from robustdx.perturbations.protocol import FrameSequence
from robustdx.perturbations.sequences import SEQUENCES
from robustdx.perturbations.sequences.video import Filmed

Settings = Mapping[str, Mapping[str, Any]]

RELEASED: Settings = {
    "gaussian_noise": {"std": 0.03},
    "shot_noise": {"photons": 300.0},
    "motion_blur": {"radius": 10.0, "sigma": 3.0, "angle": -120.0, "angle_step": 4.0, "strength": 1.0, "strength_step": 0.0},
    "zoom_blur": {"step": 0.004},
    "snow": {
        "mean": 0.05,
        "std": 0.3,
        "threshold": 0.5,
        "flake": 3.0,
        "radius": 14.0,
        "sigma": 4.0,
        "angle": -150.0,
        "angle_step": 4.0,
        "amount": 1.0,
        "amount_step": 0.0,
    },
    "brightness": {"first": -0.3, "step": 0.02},
    "translate": {"first": -20.0, "step": 1.0, "fill": "black"},
    "rotate": {"first": -15.0, "step": 1.0, "fill": "black"},
    "tilt": {"first": -15.0, "step": 1.0, "fill": "black"},
    "scale": {"first": 0.4, "step": 0.025, "fill": "black"},
    "speckle_noise": {"std": 0.05},
    "gaussian_blur": {"first": 0.25, "step": 0.035, "truncate": 6.0},
    "spatter": {"mean": 0.65, "std": 0.27, "sigma": 3.7, "threshold": 0.69, "amount": 1.0, "amount_step": 0.0},
    "shear": {"first": -15.0, "step": 1.0, "fill": "black"},
}
"""The parameters of Hendrycks and Dietterich's ImageNet-P, which Xu et al.'s Robust-Benchmark kept."""


@dataclass(frozen=True)
class Preset:
    """A benchmark: its sequences and how many frames each has."""

    count: int
    settings: Settings
    """Sequence to settings; what is not said is the sequence's default."""


PRESETS: Mapping[str, Preset] = {
    "xu2021": Preset(10, RELEASED),
    "imagenet-p": Preset(31, RELEASED),
    "centred": Preset(11, {name: {} for name in SEQUENCES.own}),
}
"""`xu2021`: the first 10 frames of each sequence, as released; most lie on one side and never show the clean image. `imagenet-p`: 31
frames of the same, which go to the other side too. `centred`, the default: both sides where there are two, and the clean image in
each: in the middle, or first where the change has only one side (noise, zoom blur, snow, spatter)."""

IN_PIXELS = ("translate", "motion_blur", "gaussian_blur", "snow", "spatter")
"""Sequences with settings in pixels of an image of `side`."""


def preset(name: str = "centred", *, side: int | None = None, video: bool = False) -> tuple[list[tuple[str, FrameSequence]], int]:
    """The sequences of a preset, by name and in its order, and their number of frames.

    `side` is the shorter one of the images to which settings in pixels belong, 224 where it is not said. `video` sends every frame through
    H.264, as the released benchmarks were stored (the extra `video`).

    Raises:
        PlanError: no such preset; the nearest is named.
        MissingExtra: video was asked for, and PyAV is not installed.
    """
    if name not in PRESETS:
        raise PlanError(unknown("preset of sequences", name, PRESETS))
    found = [(key, _made(key, words, side)) for key, words in PRESETS[name].settings.items()]
    return [(key, _filmed(own)) for key, own in found] if video else found, PRESETS[name].count


def _made(name: str, words: Mapping[str, Any], side: int | None) -> FrameSequence:
    sized = {"side": side} if side is not None and name in IN_PIXELS else {}
    return SEQUENCES.parse({"name": name, **words, **sized})


def _filmed(own: FrameSequence) -> FrameSequence:
    return Filmed(sequence=own)  # type: ignore[return-value]  # says by itself what others say as a class
