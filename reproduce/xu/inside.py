"""What PGD and GAP do inside a victim of Xu et al., and what changes of the same size do: records that inside_claims.py reads.

python -m reproduce.xu.inside --model RUN --data DATA --gap SWEEP --out FOLDER

Both attacks are driven to their end at one budget in pixels. Beside each stands the same change with its pixels moved to random places:
as large in every norm, and blind to the network. Stopped at any moment, the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import torch
from rich.progress import Progress

from reproduce.xu.sweep import learned
from robustdx.analyses import ResponseAreas, Views
from robustdx.analyses.layers import last_features
from robustdx.attacks import Attack
from robustdx.auditing.cell import Batch, Row, attacked_rows, clean_rows
from robustdx.auditing.natural.perturbed import on_grid
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.prepare import prepare, words
from robustdx.auditing.run import Audit
from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, ModelSpec, still
from robustdx.models.crafting import Subject
from robustdx.records import ANALYSIS, Cell
from robustdx.store import Store
from robustdx.tensors import Images
from robustdx.threats import Threat

BUDGET = 10
"""In 255ths of pixels: at 5 GAP leaves AttnMel 58.5 % of 68.5, too little a change to look into; at 10 both attacks turn most decisions."""
SHUFFLED = "{}, shuffled"
"""What the control of an attack is called."""
PGD = {"name": "pgd", "steps": 20, "early_stop": False}
MAPS = ("attention", "saliency", "gradcam")
OF_THE_TRUTH = " of the truth"
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "patient", "view")),
        ("label", pa.list_(pa.float32())),
        ("decision", pa.list_(pa.int16())),
        ("features", pa.list_(pa.float32())),
        ("measures", pa.map_(pa.string(), pa.float64())),
    ]
)
"""A row for each image and view: what is decided, the features it is decided from, and how its response maps agree with the clean ones."""


def shuffled(x_adv: Images, x: Images, draws: Draws) -> Images:
    """The change of each image with its pixels in another order, the same for all channels; what leaves [0, 1] is cut."""
    change = (x_adv - x).flatten(2)
    order = draws.uniform(0, 1, like=x[:, :1]).flatten(2).argsort(2)
    return on_grid((x + change.gather(2, order.expand_as(change)).view_as(x)).clamp(0, 1))


@dataclass(frozen=True)
class Looking:
    """How the batches of the cell are made. Cost per image: both attacks, and about 12 passes for each of 5 views."""

    cell: Cell
    model: DiagnosticModel
    attacks: Mapping[str, Attack]
    threat: Threat
    seed: int = 0
    schema: ClassVar[pa.Schema] = SCHEMA

    def __call__(self, batch: Batch, n: int) -> list[Row]:
        """A row for each image and view."""
        draws, attacked = batch.draws(self.seed), dict[str, Images]()
        clean = clean_rows(self.model, batch, self.seed)
        for label, attack in self.attacks.items():
            _, attacked[label] = attacked_rows(Subject(self.model), batch, clean, attack, self.threat, label, self.seed)
            attacked[SHUFFLED.format(label)] = shuffled(attacked[label], batch.x, draws.fork("shuffled", label))
        views = Views(batch.x, attacked, batch.y, draws.fork("inside"))
        features = last_features(self.model, views, ())
        measures = self._measures(views)
        return [row for view in views.all for row in self._rows(view, views, clean, features[view]["decision"], measures[view])]

    @torch.no_grad()
    def _rows(self, view: str, views: Views, clean: Sequence[Row], features: Any, measures: Mapping[str, Any]) -> Iterator[Row]:
        decided = self.model.task.decide(self.model.exact(views.all[view], views.draws)).cpu().reshape(len(clean), -1).tolist()
        for i, row in enumerate(clean):
            kept = {name: row[name] for name in ("id", "patient", "label")}
            alike = [(name, float(values[i])) for name, values in measures.items()]
            yield {**kept, "view": view, "decision": decided[i], "features": features[i], "measures": alike}

    def _measures(self, views: Views) -> dict[str, dict[str, Any]]:
        """By view and MAP/MEASURE, a number for each image: of the answer that is given, and of the true one."""
        found: dict[str, dict[str, Any]] = {view: {} for view in views.all}
        for explains, ending in (("decision", ""), ("label", OF_THE_TRUTH)):
            maps = MAPS if not ending else tuple(name for name in MAPS if name != "attention")  # attention explains no answer
            for view, of in ResponseAreas(maps=maps, explains=explains, pictures=0)(self.model, views).rows.items():  # type: ignore[arg-type]
                found[view] |= {name.replace("/", f"{ending}/"): values for name, values in of.items()}
        return found


def look(ready: Audit, out: Path, tell: Callable[[int], None] = lambda n: None) -> Store:
    """Make the records, or go on with them: both attacks of the plan at its one budget."""
    attacks, (threat,) = dict(ready.plan.methods()), ready.plan.threats()
    settings = {"attacks": list(attacks)}
    cell = Cell("inside", ready.plan.threat, threat.eps, ready.split, settings, early_stop=False, verdict="saved", natural=ANALYSIS)
    store = Store.open(out, words(ready))
    if not store.has(cell):
        read = ready.read(lambda what, done, total: None)
        judge, *_ = read.networks()
        with still(judge):
            read.make(store, Looking(cell, judge, attacks, threat, ready.plan.seed), read.shown(cell), tell)
    store.finish_run()
    return store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--gap", type=Path, required=True, help="folder of sweep.py with its generators; one that is missing is trained")
    parser.add_argument("--epochs", type=int, default=20, help="of the generator, as for sweep.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200, help="test images, drawn by patient")
    args = parser.parse_args()
    model, eps = ModelSpec(args.model), (BUDGET / 255,)
    plan = AuditPlan(model=model, data=args.data, images=args.images, attacks=(PGD,), eps=eps, escalation=False, batch_size=16)
    args.gap.mkdir(parents=True, exist_ok=True)
    options = argparse.Namespace(out=args.gap, width=32, epochs=args.epochs, learn=400, task="auto")
    generator = learned(prepare(plan).model, args.data, options, BUDGET, universal=False)
    with Progress() as bar:
        line = bar.add_task("looking inside", total=args.images)
        look(prepare(replace(plan, attacks=(PGD, generator))), args.out, lambda n: bar.update(line, completed=n))


if __name__ == "__main__":
    main()
