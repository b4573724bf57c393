"""What happened to one image in one cell: a table with a row per image. No torch.

Scores are the probabilities of the task's classes, decisions its decisions: for binary and multi-class one class index in
a list of one, for multi-label a 0 or 1 per finding. `clean` is the image as it came, `searched` the adversarial image in
float32 as the attack left it, `saved` that image on the data's own grid, as it could be written to a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from robustdx.errors import RunError

ESCALATION = "escalation"
"""The attack of cells in which an evaluation distrusts itself: whatever a defence calls for, on what the plan's attacks left standing."""

PERTURBATION, SEQUENCE, WORST_CASE, ANALYSIS = "perturbation", "sequence", "worst case", "analysis"
"""What a cell without an adversary is about; see `Cell.natural`."""

SCORES = pa.list_(pa.float32())
DECISIONS = pa.list_(pa.int16())

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("patient", pa.string()),
        ("label", pa.list_(pa.float32())),
        *(
            (f"{form}_{what}", kind)
            for form in ("clean", "searched", "saved")
            for what, kind in (("scores", SCORES), ("decision", DECISIONS))
        ),
        *((f"{form}_goal", pa.bool_()) for form in ("clean", "searched", "saved")),
        ("searched_distance", pa.float64()),
        ("saved_distance", pa.float64()),
        ("forwards", pa.int32()),
        ("backwards", pa.int32()),
        ("member", pa.string()),
    ]
)
"""The columns of a cell's table. `patient` is null where the data does not say. Distances are in the units of eps. Whether the
adversary's goal is reached is null where there is none, or where it cannot be asked of the image. `member` is the member of a cascade
that broke the image; null under a plain attack, and where the image stands. Tables from before there were goals and members lack them.
Of a natural perturbation `searched` and the distances are null: nobody searched, and no budget measures it."""

FRAMES = pa.schema(
    [
        *((name, SCHEMA.field(name).type) for name in ("id", "patient", "label", "clean_scores", "clean_decision")),
        ("frame_scores", pa.list_(SCORES)),
        ("frame_decisions", pa.list_(DECISIONS)),
        ("forwards", pa.int32()),
        ("backwards", pa.int32()),
    ]
)
"""The columns of a sequence's table: a row per image, with the scores and the decision of every frame in the order of the clip."""

BOXED = pa.schema([*SCHEMA, ("parameters", pa.map_(pa.string(), pa.float64())), ("sampled_errors", pa.list_(pa.float32()))])
"""The columns of a worst case: those of an attack, the parameters that were found, and the share of wrong decisions at random points."""

LOOKED = pa.schema([("analysis", pa.string()), ("seen", pa.binary())])
"""The columns of what was seen inside the network: a row for each analysis and batch."""


@dataclass(frozen=True)
class Cell:
    """What one table of records is about: one attack under one threat on one split."""

    attack: str
    """Name of the attack in the plan; "clean" for the images as they came."""
    threat: str
    """"linf" or "l2"; empty for "clean"."""
    eps: float
    """Budget in pixel units; 0 for "clean"."""
    split: str
    """Which images: "test", "val", ..."""
    settings: Mapping[str, Any]
    """The attack's words, as they stand in the plan."""
    early_stop: bool
    """Whether the search ended at the first success: then scores say nothing about ranking (AUROC)."""
    verdict: str
    """"saved", or "searched" where eps is below one step of the grid."""
    images: int | None = None
    """About how many of the images, drawn by patient, the attack is shown; None: all of them."""
    natural: str = ""
    """What it is about where nobody attacks: "perturbation", "sequence", "worst case" or "analysis"; `attack` is then its label."""
    severity: int | None = None
    """Of a perturbation, 1 to 5."""
    frames: int | None = None
    """Of a sequence: the frames of a clip."""
    compared: str | None = None
    """Of a sequence: whether a frame is compared with the "previous" or with the "first" one."""

    @property
    def key(self) -> str:
        """The folder of this cell: readable, unique within a run, and never outside of it, whatever label and split are called."""
        if self.natural:
            end = f"-{self.severity}" if self.severity else ""
            return f"{self.natural.replace(' ', '-')}@{_component(self.attack)}{end}-{_component(self.split)}"
        if self.attack == "clean":
            return f"clean-{_component(self.split)}"
        return f"{_component(self.attack)}-{self.threat}-{self.eps * 255:.6g}-{_component(self.split)}"


NATURAL = ("natural", "severity", "frames", "compared")
"""The fields of a cell that only those without an adversary fill."""


def _component(name: str) -> str:
    """A name as a part of a file name: a slash, say, becomes %2F."""
    return quote(name, safe=" +")


def called(members: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the members of a cascade are called, from their words: the name, and what tells them from an earlier one of that name.

    >>> called([{"name": "apgd", "loss": "ce"}, {"name": "apgd", "loss": "dlr"}, {"name": "square", "queries": 50}])
    ['apgd', 'apgd, loss=dlr', 'square']
    """
    names: list[str] = []
    for n, own in enumerate(members):
        first = next(m for m in members if m["name"] == own["name"])
        told = [str(own["name"]), *(f"{k}={v}" for k, v in own.items() if v != first.get(k))]
        name = ", ".join(told)
        names.append(name if name not in names else f"{name} ({n + 1})")
    return names


def table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema = SCHEMA) -> pa.Table:
    """Rows as a table with the columns of `SCHEMA`, or of another one; what a row does not say is null."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def write_table(records: pa.Table, path: Path) -> None:
    """Write a table so that the same records give the same bytes."""
    pq.write_table(records, path, compression="zstd", store_schema=False)


def read_table(path: Path) -> pa.Table:
    """Read a table of records.

    Raises:
        RunError: the file is damaged. We write none half, so the disk or a copy of the folder is.
    """
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"{path} is damaged ({str(error).partition(chr(10))[0]}): copy the run again, or remove the folder and start anew"
        ) from error


def dump_cell(cell: Cell) -> str:
    """A cell as JSON; what only natural cells have is left out of the others."""
    words = {name: value for name, value in asdict(cell).items() if value or name not in NATURAL}
    return json.dumps(words, indent=1, sort_keys=True)


def parse_cell(text: str) -> Cell:
    """A cell from JSON.

    Raises:
        RunError: the text is none.
    """
    try:
        return Cell(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise RunError(f"expected a cell.json of this version of robustdx, got {text[:40]!r} ({error}): copy the run again") from error
