"""What was measured, one JSON line for each: a line that is there is not measured again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

Key = tuple[str, str, str, str, str, float, int]


@dataclass(frozen=True)
class Row:
    """One attack of one library on one network."""

    network: str
    attack: str
    threat: str
    who: str
    """"robustdx", or the library."""
    eps: float
    """The budget, in pixel units; 0 for an attack that looks for the smallest distance."""
    images: int
    kind: str = "standing"
    """What it is compared by: "standing" (robust accuracy), "distance" (the median smallest) or "verdicts" (image by image)."""
    standing: list[str] = field(default_factory=list)
    """For each run a 1 for each image that still stands, and a 0 for each that does not."""
    distances: list[float | None] = field(default_factory=list)
    """How far each image had to go; None: it stands."""
    forwards: float = 0.0
    """Passes for each image, those to judge the answer not counted."""
    backwards: float = 0.0
    cpu: float = 0.0
    """Seconds of the processor for all images, the mean over the runs."""
    refused: str = ""
    """Why there is no number."""
    versions: dict[str, str] = field(default_factory=dict)
    weights: str = ""
    """Which training of the network it was: the beginning of the SHA-256 of its weights. Another processor trains another network,
    so a row is only set beside one of the same weights ("": a row older than this field, from the first machine)."""

    @property
    def key(self) -> Key:
        return self.network, self.weights, self.attack, self.threat, self.who, self.eps, self.images

    @property
    def accuracy(self) -> float:
        """Share of the images that stand, the mean over the runs."""
        return sum(run.count("1") for run in self.standing) / sum(map(len, self.standing))

    @property
    def median(self) -> float:
        """The median distance: the lower of the two in the middle, as for ours so for theirs; infinite where half of the images stand."""
        far = sorted(float("inf") if d is None else d for d in self.distances)
        return far[(len(far) - 1) // 2]


@dataclass
class Ledger:
    """A file of rows."""

    path: Path

    def __post_init__(self) -> None:
        self.rows = {row.key: row for row in self._read()}

    def add(self, row: Row) -> None:
        """Keep a row, in the file too, at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        half = self.path.is_file() and not self.path.read_bytes().endswith(b"\n") and self.path.stat().st_size > 0
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if half else "") + json.dumps(asdict(row)) + "\n")
        self.rows[row.key] = row

    def forget(self, attacks: set[str], who: str | None = None) -> None:
        """Drop the rows of some attacks, of one library or of all, so that they are measured again."""
        kept = [row for row in self.rows.values() if not (row.attack in attacks and who in (None, row.who))]
        self.rows = {row.key: row for row in kept}
        if self.path.is_file():
            self.path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in kept), encoding="utf-8")

    def measured(self, network: str, attack: str, threat: str, who: str, images: int) -> set[str]:
        """The weights that a side was measured on."""
        asked = network, attack, threat, who, images
        return {r.weights for r in self.rows.values() if (r.network, r.attack, r.threat, r.who, r.images) == asked}

    def _read(self) -> Iterator[Row]:
        """The rows in the file; a last line that a stopped process left half is measured again."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        for line in lines:
            try:
                yield Row(**json.loads(line))
            except (ValueError, TypeError):
                continue
