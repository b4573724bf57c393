"""Small sets of images and small networks that tell them apart, in every form that robustdx reads."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

SIZE = 32
COLOURS = np.array([[150, 100, 90], [100, 110, 140], [115, 140, 95]])
"""What the classes look like, under noise: a red, a blue and a green one."""


CLASSES = [0, 1] * 12
"""The classes of the images that the specimens hold."""


@dataclass(frozen=True)
class Outcome:
    """What a command left on the terminal."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


def pixels(classes: Sequence[int], seed: int = 0) -> np.ndarray:
    """(N, 32, 32, 3) 8-bit images of these classes."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 30, (len(classes), SIZE, SIZE, 3))
    return (COLOURS[list(classes)][:, None, None, :] + noise).clip(0, 255).astype(np.uint8)


def write_folder(root: Path, images: np.ndarray, classes: Sequence[int], names: Sequence[str] = ("benign", "malignant", "other")) -> Path:
    """One folder for each class; two images to a patient, who is named first."""
    for i, (image, c) in enumerate(zip(images, classes, strict=True)):
        file = root / names[c] / f"P{i // 4 * 2 + c % 2:02d}_{i:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return root


def write_csv(path: Path, images: np.ndarray, classes: Sequence[int], splits: Sequence[str] | None = None) -> Path:
    """A table with image, label, patient and, if given, split; the images lie beside it in `images`."""
    (path.parent / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for i, (image, c) in enumerate(zip(images, classes, strict=True)):
        Image.fromarray(image).save(path.parent / "images" / f"i{i:03d}.png")
        row = {"image": f"i{i:03d}.png", "label": ("benign", "malignant", "other")[c], "patient": f"P{i // 4 * 2 + c % 2:02d}"}
        rows.append(row | ({"split": splits[i]} if splits else {}))
    write_rows(path, rows)
    return path


def write_rows(path: Path, rows: Sequence[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def write_npz(path: Path, images: np.ndarray, labels: np.ndarray, parts: dict[str, slice] | None = None) -> Path:
    """Arrays as in the MedMNIST collection: all of them the test set, or cut into `parts`."""
    parts = parts or {"test": slice(None)}
    stacks = {f"{name}_images": images[at] for name, at in parts.items()}
    np.savez(path, **stacks, **{f"{name}_labels": labels[at] for name, at in parts.items()})
    return path


def fit_last_layer(network: nn.Module, images: np.ndarray, targets: Tensor, mean: Tensor, std: Tensor) -> nn.Module:
    """Give the last linear layer the least-squares solution for these targets (N, K): a network that has learnt something."""
    last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    seen: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        network.eval()((x - mean) / std)
        hook.remove()
        features = torch.cat((seen[0], torch.ones(len(x), 1)), 1).double()
        ridge = 1e-9 * features.square().mean() * torch.eye(features.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(features.T @ features + ridge, features.T @ targets.double()).float()
        last.weight.copy_(weights[:-1].T * 4)
        last.bias.copy_(weights[-1] * 4)
    return network


def one_against_rest(classes: Sequence[int], count: int) -> Tensor:
    """(N, count) targets: 1 for the class of an image and -1 for the others."""
    return 2 * nn.functional.one_hot(torch.tensor(list(classes)), count).float() - 1


def save_weights(network: nn.Module, path: Path) -> Path:
    """As safetensors or as a state dict, by the ending."""
    if path.suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    return path
