"""Images that purifiers are tried on, and their draws."""

import torch

from robustdx.draws import Draws

B = 3
DRAWS = Draws(1, tuple(f"img{i}" for i in range(B)))


def smooth(channels=3, height=24, width=20):
    """Slopes and a step, without noise: (B, C, H, W), as 8 bits hold them."""
    rows, columns = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    step = (columns > 0.5).float().expand(height, width)
    x = torch.stack([0.2 + 0.3 * rows + 0.1 * (1 + i) * columns + 0.2 * step for i in range(B * channels)])
    return ((x.view(B, channels, height, width).clamp(0, 1)) * 255).round() / 255


def noisy(x, sigma):
    """The images with Gaussian noise, as 8 bits hold them."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(4))
    return ((x + sigma * noise).clamp(0, 1) * 255).round() / 255


def distance(a, b):
    """Root mean square over all pixels."""
    return float((a - b).square().mean().sqrt())
