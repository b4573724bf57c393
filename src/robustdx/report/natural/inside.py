"""What analyses saw inside the network, as tables and pictures. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustdx.report.figures import COLOURS, SHAPES, Figure, Trace, frame, script_json
from robustdx.report.grids import Entry
from robustdx.report.numbers import DASH, eps_text
from robustdx.report.pictures import data_uri

Found = Mapping[str, Any]
SHOWN = 3
"""Images of which response areas are shown."""
MAPS = 3
"""Response maps that are shown of each."""
HEAT = np.array([196, 40, 10], dtype=np.float64)


@dataclass(frozen=True)
class Picture:
    """A response map over its image."""

    title: str
    uri: str


@dataclass(frozen=True)
class Look:
    """One analysis."""

    name: str
    about: str
    refused: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[Entry]]]
    """Where, what, and a number for each view."""
    notes: Sequence[str]
    pictures: Sequence[tuple[str, Sequence[Picture]]]
    """A row for each image: the map in each view."""
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Inside:
    """All of them."""

    told: str
    looks: Sequence[Look]


def inside(found: Found, folder: Path, threat: str, classes: Sequence[str]) -> Inside | None:
    """The part; None where nothing was looked at."""
    own = found.get("analyses")
    if not own:
        return None
    attacked = ", ".join(v for v in own["views"] if v != "clean")
    told = f"{own['images']:,} images as they came and under {attacked} at {eps_text(threat, own['eps'])}, each driven to its end."
    return Inside(told, [_look(a, own["views"], folder, classes) for a in own["analyses"]])


def _title(label: str) -> str:
    """An analysis as a heading.

    >>> _title("feature-maps"), _title("cka")
    ('Feature maps', 'CKA')
    """
    return label.upper() if label == "cka" else label.replace("-", " ").capitalize()


def _look(a: Found, views: Sequence[str], folder: Path, classes: Sequence[str]) -> Look:
    columns = [v for v in dict.fromkeys([*views, *(n["view"] for n in a["numbers"])]) if any(n["view"] == v for n in a["numbers"])]
    notes: dict[str, int] = {}
    by = {(n["where"], n["measure"], n["view"]): n for n in a["numbers"]}
    places = dict.fromkeys((where, measure) for where, measure, _ in by)
    rows = [(where, measure.replace("_", " "), [_entry(by.get((where, measure, v)), notes) for v in columns]) for where, measure in places]
    arrays = _arrays(folder / "analyses" / f"{a['label']}.npz")
    pictures = list(_responses(arrays, views)) if a["settings"]["name"] == "response-areas" else []
    figures = list(_scatters(arrays, views, a["label"], classes)) if a["settings"]["name"] == "separability" else []
    named = [_named(c) for c in columns]
    return Look(_title(a["label"]), a["about"], a.get("refused", ""), named, rows, list(notes), pictures, figures)


def _named(view: str) -> str:
    return "as they came" if view == "clean" else view


def _entry(n: Found | None, notes: dict[str, int]) -> Entry:
    if n is None:
        return Entry("")
    if n["value"] is None:
        return Entry(DASH, note=notes.setdefault(str(n["why"]), len(notes) + 1))
    return Entry(f"{n['value']:.3g}")


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _responses(arrays: Mapping[str, NDArray[Any]], views: Sequence[str]) -> Iterator[tuple[str, list[Picture]]]:
    """Each map of the first images, in every view, as heat over the image."""
    ways = [name.partition("/")[2] for name in arrays if name.startswith("clean/") and not name.endswith("/image")][:MAPS]
    images = arrays.get("clean/image", np.zeros((0, 3, 1, 1)))
    for i in range(min(SHOWN, len(images))):
        for way in ways:
            shown = [v for v in views if f"{v}/{way}" in arrays and f"{v}/image" in arrays]
            made = [Picture(_named(v), data_uri(over(arrays[f"{v}/image"][i], arrays[f"{v}/{way}"][i]))) for v in shown]
            yield f"image {i + 1}, {way.replace('_', ' ')}", made


def over(image: NDArray[Any], heat: NDArray[Any]) -> NDArray[np.uint8]:
    """A map (H, W) in [0, 1] as heat over the grey image (C, H, W) in [0, 1]."""
    scale = 255 if image.dtype == np.uint8 else 1
    grey = 255 * (image.astype(np.float64) / scale).mean(0)[:, :, None].repeat(3, 2)
    weight = np.clip(heat.astype(np.float64), 0, 1)[:, :, None] * 0.85
    return np.clip(np.rint(grey * (1 - weight) + HEAT * weight), 0, 255).astype(np.uint8)


def _scatters(arrays: Mapping[str, NDArray[Any]], views: Sequence[str], label: str, classes: Sequence[str]) -> Iterator[Figure]:
    """The images as points, a panel for each view with the same axes, coloured by their true class."""
    layers = [name.removeprefix("clean/points:") for name in arrays if name.startswith("clean/points:")]
    for layer in layers[:1]:
        points = {v: arrays[f"{v}/points:{layer}"] for v in views if f"{v}/points:{layer}" in arrays}
        whole = np.concatenate(list(points.values()))
        low, high = whole.min(0), whole.max(0)
        truth = arrays.get(f"clean/label:{layer}")
        for n, (view, own) in enumerate(points.items()):
            alone = truth is not None and truth.shape[1] == 1 and len(truth) == len(own)
            groups = truth[:, 0].astype(int) if alone and truth is not None else np.zeros(len(own), dtype=int)
            data = [_points(own[groups == k], _class(classes, k) if alone else "images", k) for k in np.unique(groups)]
            title = f"Features of {layer}, {_named(view)}"
            alt = f"{title}: {len(own)} images, coloured by their true class, on the same axes in every panel."
            yield Figure(f"scatter-{label}-{n}", title, alt, script_json({"data": data, "layout": _layout(low, high)}), "")


def _class(classes: Sequence[str], k: int) -> str:
    return classes[k] if 0 <= k < len(classes) else str(k)


def _points(own: NDArray[Any], name: str, k: int) -> Trace:
    marker = {"size": 6, "symbol": SHAPES[k % len(SHAPES)], "color": COLOURS[k % len(COLOURS)], "opacity": 0.7}
    x, y = ([round(float(v), 4) for v in own[:, axis]] for axis in (0, 1))
    return {"type": "scatter", "mode": "markers", "name": name, "x": x, "y": y, "marker": marker, "hoverinfo": "name"}


def _layout(low: NDArray[Any], high: NDArray[Any]) -> Trace:
    room = 0.06 * (high - low)
    across, up = ([float(low[k] - room[k]), float(high[k] + room[k])] for k in (0, 1))
    bare: Trace = {"tickvals": [], "ticktext": []}
    made = frame({"range": across, **bare}, {"range": up, **bare}, "", top=10)
    legend = {"orientation": "h", "x": 0, "y": -0.04, "yanchor": "top"}
    return {**made, "margin": {"l": 10, "r": 10, "t": 10, "b": 60}, "showlegend": True, "legend": legend}
