"""A denoiser that takes Gaussian noise off clean images: python -m reproduce.smoothing.learn DATA SIGMA OUT

It learns from the training images alone; neither an attack nor the network that it goes before is seen.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from robustdx.data import load_dataset
from robustdx.draws import Draws
from robustdx.purifiers import Denoiser
from robustdx.tensors import Images

SIZE = (48, 64)


def main(source: str, sigma: float, out: Path) -> None:
    def noisy(x: Images, draws: Draws) -> Images:
        return x + sigma * draws.normal(like=x)

    torch.set_num_threads(1)
    made = Denoiser(width=16, epochs=4, batch_size=32, noise=sigma)
    made.fit(load_dataset(source).only("train"), Draws(0, ()), size=SIZE, damage=noisy, out=out)


if __name__ == "__main__":
    source, sigma, out = sys.argv[1:]
    if not Path(out).is_file():
        main(source, float(sigma), Path(out))
