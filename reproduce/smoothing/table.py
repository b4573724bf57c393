"""The curve of certified accuracy, from two runs of `robustdx certify`: python -m reproduce.smoothing.table RUNS"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

RUNS = {"alone": "the network alone", "denoised": "behind the denoiser"}
Results = Mapping[str, Any]
HEAD = """# Denoised smoothing on HAM10000: what was proved

Made by `reproduce/smoothing/run.sh`; no number was edited. Certified accuracy (Cohen et al. 2019; denoised: Salman et al. 2020) of a
ResNet-18 at 48 x 64 pixels that was never shown noise."""


def number(found: Mapping[str, float]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def table(runs: Mapping[str, Results]) -> Iterator[str]:
    """Accuracy of the vote, certified at each radius, and how often nothing was said."""
    curves = {name: {p["radius"]: p for p in r["curve"]} for name, r in runs.items()}
    yield "| radius (L2) | " + " | ".join(RUNS[name] for name in runs) + " |"
    yield "|--:|" + "---|" * len(runs)
    yield "| the vote, no certificate asked | " + " | ".join(number(r["metrics"]["accuracy"]) for r in runs.values()) + " |"
    for radius in sorted(set().union(*curves.values())):
        cells = [number(c[radius]) if radius in c else "0" for c in curves.values()]
        yield f"| {radius:.2f} | " + " | ".join(cells) + " |"
    yield "| no certificate | " + " | ".join(number(r["metrics"]["certificates_abstained"]) for r in runs.values()) + " |"
    yield "| mean radius | " + " | ".join(number(r["metrics"]["mean_radius"]) for r in runs.values()) + " |"


def main(folder: Path) -> None:
    runs = {name: json.loads((folder / name / "results.json").read_text()) for name in RUNS}
    one = next(iter(runs.values()))
    plan, often = one["plan"], one["majority"]
    print(HEAD)
    print(f"{one['images']} test images of {one['patients']} lesions; sigma {plan['sigma']:g}, {plan['samples'][0]} draws that choose and")
    print(f"{plan['samples'][1]:,} that bound, alpha {plan['alpha']:g}; 95 % intervals over lesions. Always answering “{often['class']}”")
    print(f"would be proved right on {often['share']:.3f} at every radius: a curve is worth what it has above that.\n")
    print("\n".join(table(runs)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
