"""JPEG written out in torch, with a rounding that has a slope: for an attack on Pillow's."""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
DCT = torch.tensor([[(math.sqrt(1 / 8) if u == 0 else 0.5) * math.cos((2 * n + 1) * u * math.pi / 16) for n in range(8)] for u in range(8)])


def quantisers(quality: int) -> Tensor:
    """(3, 8, 8): what Pillow divides the coefficients of Y, Cb and Cr by, read from a file that it wrote."""
    file = BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "JPEG", quality=quality, subsampling=0)
    read = Image.open(file).quantization
    return torch.stack([torch.tensor(read[k], dtype=torch.float32).view(8, 8) for k in (0, 1, 1)])


def soft_jpeg(x: Tensor, table: Tensor) -> Tensor:
    """x (B, 3, H, W) in [0, 1], sides multiples of 8; each coefficient r is rounded to round(r) + (r - round(r))^3."""
    batch, _, height, width = x.shape
    ycc = torch.einsum("ij,bjhw->bihw", TO_YCC, x * 255) - torch.tensor([128.0, 0, 0]).view(1, 3, 1, 1)
    blocks = ycc.view(batch, 3, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5)
    r = (DCT @ blocks @ DCT.T) / table[:, None, None]
    rounded = r.detach().round()
    back = DCT.T @ ((rounded + (r - rounded) ** 3) * table[:, None, None]) @ DCT
    ycc = back.permute(0, 1, 2, 4, 3, 5).reshape(x.shape) + torch.tensor([128.0, 0, 0]).view(1, 3, 1, 1)
    return (torch.einsum("ij,bjhw->bihw", torch.linalg.inv(TO_YCC), ycc) / 255).clamp(0, 1)
