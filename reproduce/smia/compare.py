"""SMIA beside FGSM, BIM, PGD and MI at equal passes, on one network: a row per image and method.

python -m reproduce.smia.compare --model RUN --data DATA --name HAM10000 --rows rows.jsonl
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from robustdx.analyses import trajectory
from robustdx.attacks import ATTACKS
from robustdx.auditing.plan import AuditPlan
from robustdx.auditing.prepare import prepare
from robustdx.auditing.run import Audit
from robustdx.draws import Draws
from robustdx.models import ModelSpec, Subject, still
from robustdx.threats import Linf

STEPS = 12
"""Of an attack with one forward and one backward pass each: 24 passes."""
SMIA_STEPS = 8
"""SMIA looks at the smoothed image as well, but not in its first step: 8 steps are 23 passes."""
PLAIN: dict[str, dict[str, Any]] = {
    "fgsm": {"name": "fgsm"},
    "bim": {"name": "bim", "steps": STEPS},
    "pgd": {"name": "pgd", "steps": STEPS, "keep": "last"},
    "mi": {"name": "mi", "steps": STEPS, "keep": "last"},
}


def smia(**settings: Any) -> dict[str, Any]:
    return {"name": "smia", "steps": SMIA_STEPS, "keep": "last", **settings}


METHODS = PLAIN | {
    "smia a2=0": smia(a2=0.0, steps=STEPS),
    **{f"smia a2={a2:g}": smia(a2=a2) for a2 in (0.25, 0.5, 1.0, 2.0)},
    **{f"smia kernel={k}": smia(kernel=k, sigma=k / 3) for k in (7, 11, 21)},
    **{f"smia gradient a2={a2:g}": smia(a2=a2, probe="gradient") for a2 in (0.5, 1.0)},
    "smia hard": smia(stabilise="hard"),
    "smia hard gradient": smia(stabilise="hard", probe="gradient"),
}
"""Settings by the name they have in the table. None stops early: all images are followed to the end."""
MAIN = (*PLAIN, "smia a2=0", "smia a2=1", "smia hard")
"""What is measured at every eps; the others at one."""


def rows(audit: Audit, modality: str, method: str, eps: float) -> Iterator[dict[str, Any]]:
    """What a method does to each image: decisions and losses (from 1/255 on as saved), and the trajectory of the search."""
    judge, exact, fast = audit.networks()
    attack, threat, data = ATTACKS.parse({**METHODS[method], **_driven(method)}), Linf(eps), audit.data[audit.split]
    with still(exact), still(fast):
        for start in range(0, len(data), audit.step):
            batch = audit.batch(data, range(start, min(start + audit.step, len(data))))
            draws, subject = batch.draws(audit.plan.seed), Subject(exact, fast)
            own = draws.fork("attack", method)
            kept = list(_path(attack, subject, batch, threat, own))
            way = trajectory(judge, batch.x, kept, draws, batch.y)
            saved = threat.snap(kept[-1], batch.x) if threat.savable else kept[-1]
            with torch.no_grad():
                before, after = (judge.exact(z, draws) for z in (batch.x, saved))
            told = {
                "right": judge.task.decide(before) == batch.y,
                "stands": judge.task.decide(after) == batch.y,
                "loss": judge.task.loss(before, batch.y),
                "loss_adv": judge.task.loss(after, batch.y),
                "variance": way.variance[-1],
            }
            assert way.from_truth is not None
            for i, image in enumerate(batch.ids):
                values = {name: float(v[i]) for name, v in told.items()}
                steps = {"between": [float(v) for v in way.between[:, i]], "from_truth": [float(v) for v in way.from_truth[:, i]]}
                passes = (subject.forwards[image], subject.backwards[image])
                about = {"modality": modality, "method": method, "eps": eps, "id": image, "patient": batch.patients[i] or image}
                yield about | {"passes": sum(passes)} | values | steps


def _driven(method: str) -> dict[str, Any]:
    return {} if METHODS[method]["name"] == "fgsm" else {"early_stop": False}


def _path(attack: Any, subject: Subject, batch: Any, threat: Linf, draws: Draws) -> Iterable[torch.Tensor]:
    """The images on the way; of an attack of one step, its beginning and its end."""
    if hasattr(attack, "path"):
        return attack.path(subject, batch.x, batch.y, threat, draws)
    return [batch.x, attack(subject, batch.x, batch.y, threat, draws)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", required=True, help="what the table calls it")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines; what is there is not measured again")
    parser.add_argument("--images", type=int)
    parser.add_argument("--eps", default="0.5,1,2", help="in 255ths, with commas")
    parser.add_argument("--sweep", type=float, default=1, help="the eps at which all settings of SMIA are measured")
    args = parser.parse_args()
    there = [json.loads(line) for line in args.rows.read_text().splitlines()] if args.rows.exists() else []
    done = {(r["modality"], r["method"], r["eps"]) for r in there}
    audit = prepare(AuditPlan(model=ModelSpec(args.model), data=args.data, images=args.images)).read(lambda what, n, whole: None)
    for eps in (float(e) / 255 for e in args.eps.split(",")):
        for method in METHODS if eps == args.sweep / 255 else MAIN:
            if (args.name, method, eps) in done:
                continue
            found = list(rows(audit, args.name, method, eps))
            with args.rows.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in found)
            right = [r for r in found if r["right"]]
            standing = sum(r["stands"] for r in right) / max(1, len(right))
            print(f"{args.name}, {method}, eps {eps * 255:g}/255: {standing:.3f} stand", flush=True)


if __name__ == "__main__":
    main()
