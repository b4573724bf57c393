"""The rival that learns: a denoiser trained on the training images, clean and with noise. It sees no attack and no network.

python -m reproduce.mdda.learn --data DATA --runs RUNS
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from reproduce.mdda.grids import DENOISER
from robustdx.data import load_dataset
from robustdx.draws import Draws
from robustdx.purifiers import Denoiser

SIZE = (48, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not (args.runs / DENOISER).is_file():
        train = load_dataset(args.data).only("train")
        made = Denoiser(width=16, epochs=args.epochs, batch_size=32)
        made.fit(train, Draws(0, ("denoiser",)), size=SIZE, out=args.runs / DENOISER)


if __name__ == "__main__":
    main()
