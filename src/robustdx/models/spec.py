"""What is said about a model: by the user, and by the model's own configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import nn

from robustdx.errors import PlanError
from robustdx.models.diagnostic import Meaning

LARGEST = 16384
"""The longest side of an image that a network is shown: more is a slip."""


@final
@dataclass(frozen=True)
class ModelSpec:
    """Which network, which weights, and what its pixels and outputs mean."""

    source: str
    """`timm:NAME`, `torchvision:NAME`, `cnn`, `attnmel` or `chexnet` (with weights); a folder (robustdx, Hugging Face); or, with
    --trust-code, a `.pt2` program, a TorchScript file or `module:callable`."""
    weights: str | None = None
    """File with the weights: safetensors, or a state dict that torch.save wrote."""
    size: int | tuple[int, ...] | None = None
    """Height and width of the images that the network is shown: one number, or two. Default: the model's own."""
    mean: tuple[float, ...] | None = None
    """Mean per channel that is subtracted from pixels in [0, 1]; one value means grey images. Default: the model's own."""
    std: tuple[float, ...] | None = None
    """Standard deviation per channel. Default: the model's own."""
    outputs: Meaning = "logits"
    """"probabilities" for a network that ends in a sigmoid or softmax."""
    resize: bool = False
    """Whether the model scales images of any size itself, so that the image is attacked at its original size."""

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise PlanError("expected both mean and std, or neither: they belong together")
        if self.mean is not None and self.std is not None and len(self.mean) != len(self.std):
            raise PlanError(
                f"expected as many means as standard deviations, got {len(self.mean)} and {len(self.std)}: one for each channel"
            )
        size = (self.size,) if isinstance(self.size, int) else self.size
        if size is not None and not (len(size) in (1, 2) and all(isinstance(n, int) and 0 < n <= LARGEST for n in size)):
            raise PlanError(f"expected size as one whole number or (height, width), at most {LARGEST}, got {self.size!r}")

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width) as asked for."""
        if self.size is None:
            return None
        size = (self.size,) if isinstance(self.size, int) else self.size
        return size[0], size[-1]

    @property
    def channels(self) -> int:
        """Channels of an image: as many as there are means; 3 where nothing is said."""
        return 3 if self.mean is None else len(self.mean)


@final
@dataclass(frozen=True)
class Config:
    """What a model's own configuration says; None where it is silent."""

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None
    """Names of the outputs, in the network's own order."""
    outputs: Meaning | None = None
    resize: bool = False
    kind: str | None = None
    """What it was trained for: "binary", "multiclass" or "multilabel"."""


@final
@dataclass(frozen=True)
class Source:
    """A network as it was found: how to make it, or how to open it whole."""

    config: Config
    build: Callable[[int], nn.Module] | None = None
    """The network with fresh weights and so many outputs; None where it cannot be made anew."""
    weights: Path | None = None
    """The weights that belong to it, where it brings its own."""
    open: Callable[[int], nn.Module] | None = None
    """The network with its weights, where the two are one thing; it is told how many outputs are wanted."""
