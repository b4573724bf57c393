"""The table of the README, from the results of three audits: python table.py RUNS."""

import json
import sys
from pathlib import Path

NETWORKS = {"standard": "ResNet-18, plain", "madry": "ResNet-18, madry at 2/255", "cnn": "plain CNN, 75 x 100"}


def main(runs: Path) -> None:
    results = {name: json.loads((runs / f"{name}-audit" / "results.json").read_text()) for name in NETWORKS}
    print("| | " + " | ".join(NETWORKS.values()) + " |")
    print("|---|" + "---|" * len(NETWORKS))
    first = [c for c in next(iter(results.values()))["cells"] if c["split"] == "test" and c["attack"] != "worst"]
    for cell in sorted(first, key=lambda c: (c["attack"] != "clean", c["eps"], c["attack"])):
        steps = f"-{cell['settings']['steps']}" if "steps" in cell["settings"] else ""
        label = "not attacked" if cell["attack"] == "clean" else f"{cell['attack'].upper()}{steps}, eps {cell['eps'] * 255:.4g}/255"
        print(f"| {label} | " + " | ".join(number(r, cell) for r in results.values()) + " |")
    for name, result in results.items():
        seconds = sum(c["seconds"] or 0 for c in result["cells"] if c["attack"] != "worst")
        trained = json.loads((runs / name / "times.json").read_text())["seconds"]
        took = f"trained {sum(trained) / 60:.0f} min, audited {seconds / 60:.0f} min"
        print(f"\n{NETWORKS[name]}: {result['model']['parameters']:,} parameters, {took}.")


def number(result: dict, like: dict) -> str:
    cell = next(c for c in result["cells"] if all(c[k] == like[k] for k in ("attack", "eps", "split")))
    balanced, accuracy = cell["metrics"]["balanced_accuracy"], cell["metrics"]["accuracy"]
    return f"{balanced['value']:.3f} [{balanced['low']:.3f}, {balanced['high']:.3f}] ({accuracy['value']:.3f})"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
