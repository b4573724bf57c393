"""Pictures that look enough like each modality to say what an artefact does to them, and real ones where they are."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from robustdx.draws import Draws
from robustdx.perturbations import SEVERITIES

DRAWS = Draws(5, tuple(f"patient{i}" for i in range(6)))
COLOUR = {
    "skin": (0.85, 0.66, 0.60),
    "lesion": (0.40, 0.22, 0.16),
    "retina": (0.72, 0.36, 0.12),
}


def skin(count=6, height=120, width=160):
    """Bright skin with a dark round lesion in the middle."""
    away = torch.hypot(*distances(height, width))
    return _two(away < 0.2, "lesion", "skin").repeat(count, 1, 1, 1)


def retina(count=6, height=120, width=160):
    """A round field of view with dark vessels, and black around it."""
    across, down = distances(height, width)
    shaded = torch.tensor(COLOUR["retina"])[:, None, None] * (1 - 0.3 * (torch.sin(40 * across + 6 * down) > 0.9))
    return (shaded * (torch.hypot(across, down) < 0.45)).repeat(count, 1, 1, 1)


def chest(count=6, height=128, width=128):
    """Two dark lungs in a bright body, with ribs."""
    across, down = distances(height, width)
    lungs = (torch.hypot((across.abs() - 0.2) / 0.6, down) < 0.25).float()
    return (0.75 - 0.5 * lungs + 0.05 * torch.sin(60 * down)).repeat(count, 1, 1, 1)


def distances(height, width):
    """How far each pixel is from the middle, across and down, in shorter sides."""
    side = min(height, width)
    down, across = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    return across / side, down / side


def changed(after, before, by=2 / 255):
    """Which pixels changed, (B, H, W)."""
    return ((after - before).abs().amax(1)) > by


def rising(values):
    """Whether each number is larger than the one before."""
    return all(low < high for low, high in pairwise(values))


def read(folder: Path, pattern: str, mode: str, count: int, size=None):
    """Some real images, spread over a folder, brought to one size (across, down)."""
    files = sorted(folder.glob(pattern))
    images = []
    for file in files[:: max(1, len(files) // count)][:count]:
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert(mode).resize(size or picture.size), np.float32) / 255
        images.append(pixels[None] if mode == "L" else pixels.transpose(2, 0, 1))
    return torch.from_numpy(np.stack(images))


def similarity(perturb, x):
    """Structural similarity of each image with itself at each severity, by scikit-image: (N, 5)."""
    draws = Draws(0, tuple(str(i) for i in range(len(x))))
    after = [perturb(x, severity, draws).numpy() for severity in SEVERITIES]
    return np.array([[structural_similarity(x[i].numpy(), a[i], channel_axis=0, data_range=1.0) for a in after] for i in range(len(x))])


def assert_severities_mean_it(perturb, x):
    """The mean falls strictly from the clean image on, and no image breaks the order by more than 0.02."""
    fallen = np.diff(similarity(perturb, x), prepend=1.0, axis=1)
    assert len(x) >= 4
    assert (fallen.mean(0) < 0).all()
    assert fallen.max() <= 0.02


def _two(inside, first, second):
    return torch.where(inside, torch.tensor(COLOUR[first])[:, None, None], torch.tensor(COLOUR[second])[:, None, None])
