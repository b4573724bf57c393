"""How a training went: curve.png to look at, curve.csv to work with. No torch."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from robustdx.report.figures import CHANCE, COLOURS, WORST
from robustdx.report.hardening.hardened import Hardened, Record

LINES = (
    ("balanced_accuracy", "balanced accuracy", COLOURS[0], "-"),
    ("accuracy", "accuracy", COLOURS[0], ":"),
    ("robust_balanced_accuracy", "balanced accuracy under attack", COLOURS[1], "-"),
    ("robust_accuracy", "accuracy under attack", COLOURS[1], ":"),
)
"""Key, name, colour and dashes: colour tells clean from attacked, dashes what is counted."""
SEEN = COLOURS[3]
TOLD = 6
"""How many events have room for their words under the picture; the others stand in the model card."""
WIDTH, LETTERS = 130, 105
"""Letters of a line under the picture, and of its title."""


def picture(h: Hardened) -> bytes:
    """The curve as a PNG: the same run gives the same bytes."""
    figure = Figure(figsize=(9.6, 6.6), dpi=125, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
    title = textwrap.shorten(f"{h.model['source']} on {h.data['name']}: right answers on validation images", LETTERS, placeholder=" ...")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13)
    _accuracies(above, h)
    _losses(below, h)
    for axes in (above, below):
        _marks(axes, h, numbered=axes is above)
        axes.spines[["top", "right"]].set_visible(False)
    above.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=10)
    below.set_xlabel("epoch")
    if h.events:
        figure.supxlabel("\n".join(_captions(h)), x=0.01, ha="left", fontsize=10)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    return file.getvalue()


def table(h: Hardened) -> str:
    """A row for each epoch, a column for each number; what is no number stands as JSON."""
    names = list(dict.fromkeys(key for e in h.epochs for key in e))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*names, "chosen", "seconds", "events"])
    for n, e in enumerate(h.epochs):
        seconds = h.seconds[n] if n < len(h.seconds) else ""
        events = "; ".join(said(event) for event in h.events if event["epoch"] == e["epoch"])
        writer.writerow([*(_cell(e.get(name, "")) for name in names), int(e["epoch"] == h.curve["chosen"]), seconds, events])
    return file.getvalue()


def _accuracies(axes: Axes, h: Hardened) -> None:
    for key, name, colour, dashes in LINES:
        known = [(e["epoch"], e[key]) for e in h.epochs if key in e]
        if known:
            axes.plot(*zip(*known, strict=True), dashes, color=colour, label=name, marker="o", markersize=4, linewidth=2)
    axes.axhline(h.chance, color=CHANCE, linestyle=(0, (1, 2)), linewidth=1.2, label=f"guessing, balanced ({100 * h.chance:.0f} %)")
    if (value := h.chosen.get(h.criterion)) is not None:
        label = f"chosen: epoch {h.chosen['epoch']}, {100 * value:.1f} %"
        axes.plot(
            h.chosen["epoch"], value, "o", markersize=13, markerfacecolor="none", markeredgecolor=WORST, markeredgewidth=2, label=label
        )
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(axis="y", color="#e4e7ea")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16, min_n_ticks=1))
    axes.set_xlim(0.5, len(h.epochs) + 0.5)


def _losses(axes: Axes, h: Hardened) -> None:
    """The loss, broken where the objective changes: two objectives are no one curve."""
    for n, (objective, epochs) in enumerate(_stretches(h.epochs)):
        axes.plot([e["epoch"] for e in epochs], [e["loss"] for e in epochs], "-o", color=WORST, markersize=4, linewidth=2)
        height = 1.02 + 0.11 * (n % 2)  # names of short stages that follow one another stand on two lines
        axes.text(epochs[0]["epoch"] - 0.5, height, f" {objective}", transform=axes.get_xaxis_transform(), fontsize=9, va="bottom")
        if epochs[0]["epoch"] > 1:
            axes.axvline(epochs[0]["epoch"] - 0.5, color="#8a939d", linewidth=0.8)
    axes.set_ylabel("training loss")
    axes.grid(axis="y", color="#e4e7ea")


def _marks(axes: Axes, h: Hardened, *, numbered: bool) -> None:
    """The chosen epoch, and where a monitor saw something."""
    axes.axvline(h.chosen["epoch"], color=WORST, linewidth=1)
    for n, event in enumerate(h.events, start=1):
        axes.axvline(event["epoch"], color=SEEN, linestyle=(0, (4, 2)), linewidth=1.2)
        if numbered:
            height = 1.0 - 0.05 * ((n - 1) % 3)  # several in one epoch stand below one another
            axes.text(
                event["epoch"], height, f" {n}", color=SEEN, transform=axes.get_xaxis_transform(), fontsize=10, fontweight="bold", va="top"
            )


def _captions(h: Hardened) -> Iterator[str]:
    """What the numbered marks mean."""
    for n, event in enumerate(h.events[:TOLD], start=1):
        yield textwrap.fill(f"{n}: epoch {event['epoch']}, {said(event)}", WIDTH, subsequent_indent="    ", max_lines=2)
    if len(h.events) > TOLD:
        yield f"and {len(h.events) - TOLD} more, told in README.md"


def _stretches(epochs: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Epochs in a row that lowered the same thing at the same size."""
    stretch: list[Record] = []
    for e in epochs:
        if stretch and _lowered(e) != _lowered(stretch[-1]):
            yield _lowered(stretch[0]), stretch
            stretch = []
        stretch.append(e)
    if stretch:
        yield _lowered(stretch[0]), stretch


def _lowered(e: Record) -> str:
    return f"{e['objective']}, {' x '.join(map(str, e.get('size', [])))}"


def said(event: Record) -> str:
    """What was seen and what was done, after the name of the monitor, where the words do not begin with it."""
    seen = "; ".join(str(event[key]) for key in ("seen", "done") if event.get(key))
    name = str(event.get("monitor", "")).replace("_", " ")
    return seen if seen.startswith(name) else f"{name}: {seen}" if seen else name


def _cell(value: Any) -> Any:
    return "x".join(map(str, value)) if isinstance(value, list) and all(isinstance(v, int) for v in value) else _plain(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else json.dumps(value)
