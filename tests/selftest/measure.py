"""The known answers: `python -m tests.selftest.measure [NAME ...]` writes src/robustdx/selftest/known.json and prints it as a table.

Clean accuracy over 256 test photos; all else over the first 64: PGD-20 through the defence, what is claimed (of a fake the
same, of an honest one APGD-DLR), and the dedicated attack. What is named is measured again, the others stay as they are.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel
from robustdx.selftest.examination import KNOWN
from robustdx.selftest.fakes import FAKES
from robustdx.selftest.honest import HONEST
from robustdx.selftest.planted import Planted
from robustdx.selftest.victims import EPS, Photos, photos
from tests.selftest.dedicated import SUBMISSIONS, broken_by
from tests.selftest.measuring import broken_by_climbing, naive, sound

COUNT, MORE = 64, 256
TOLD = ("clean", "naive", "claimed", "dedicated")


def clean_accuracy(model: DiagnosticModel, shown: Photos) -> float:
    """In batches of 64."""
    with torch.no_grad():
        parts = [model(x, Draws(0, shown.ids[64 * i : 64 * i + 64])) for i, x in enumerate(shown.x.split(64))]
    return float((torch.cat(parts).argmax(1) == shown.y).float().mean())


def accuracy_under_pgd(planted: Planted, shown: Photos, *, steps: int = 20) -> float:
    """As the same model answers that was attacked: what an evaluation that believes the gradient would claim."""
    model = planted()
    return clean_accuracy(model, shown._replace(x=naive(model, shown, steps=steps)))


def measured(planted: Planted, shown: Photos, more: Photos) -> dict[str, Any]:
    """The row of one defence."""
    torch.manual_seed(0)  # two fakes draw from the global generator
    naive_accuracy = accuracy_under_pgd(planted, shown)
    if planted.name in FAKES:
        claimed, broken = naive_accuracy, broken_by(planted.name, shown)
    else:
        model = planted()
        claimed = clean_accuracy(model, shown._replace(x=sound(model, shown)))
        broken = broken_by_climbing(planted.name, shown)
    return {
        "around": planted.around,
        "clean": round(clean_accuracy(planted(), more), 4),
        "naive": round(naive_accuracy, 4),
        "claimed": round(claimed, 4),
        "dedicated": round(1 - float(broken.float().mean()), 4),
        "broken": [name for name, lost in zip(shown.ids, broken.tolist(), strict=True) if lost],
    }


def main(names: list[str]) -> None:
    shown, more = photos(COUNT), photos(MORE)
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {"fakes": {}, "honest": {}}
    head = {"made_by": "python -m tests.selftest.measure", "eps": f"{EPS * 255:g}/255", "submissions": SUBMISSIONS, "ids": shown.ids}
    for kind, room in (("fakes", FAKES), ("honest", HONEST)):
        for planted in room.values():
            if not names or planted.name in names:
                row = known[kind][planted.name] = measured(planted, shown, more)
                print(f"{planted.name:18}", *(f"{what} {row[what]:.3f} " for what in TOLD), flush=True)
        known[kind] = {name: known[kind][name] for name in room if name in known[kind]}
        KNOWN.write_text(json.dumps({**head, **{k: known[k] for k in ("fakes", "honest")}}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
