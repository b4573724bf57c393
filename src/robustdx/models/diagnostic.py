"""The model that everything is done to: a network together with what its pixels and outputs mean."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.errors import ModelError
from robustdx.models.logits import Activations, logits_of
from robustdx.tasks import Task
from robustdx.tasks.protocol import require_outputs
from robustdx.tensors import Images, Outputs, require_pixels

log = logging.getLogger(__name__)

Meaning = Literal["logits", "probabilities"]


class DiagnosticModel(nn.Module):
    """Pixels in [0, 1] go in, (B, K) logits come out: a network, its own normalisation and its task.

    `size` is the (height, width) that the network expects. A data set is read at that size, and that image is attacked;
    with `resize=True` the model scales images of any size itself, differentiably (bilinear, antialiased), so that the
    attack moves to the image at its original size. `order` says which output of the network belongs to each class, where
    the network has them in another order than the task.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        *,
        size: tuple[int, int] | None = None,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        outputs: Meaning = "logits",
        resize: bool = False,
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(s > 0 for s in std):
            raise ModelError(f"expected as many means as standard deviations, all above 0, got mean {tuple(mean)} and std {tuple(std)}")
        if resize and size is None:
            raise ModelError("resize=True needs the size to scale to: give size=(height, width)")
        self.network, self.task = network, task
        self.size, self.outputs, self.resize = size, outputs, resize
        self.order = tuple(order) if order is not None else None
        self.dtype = torch.float32
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        self._as_is = not any(mean) and set(std) == {1.0}
        self._line: tuple[Any, Tensor, Tensor] | None = None

    @property
    def channels(self) -> int:
        """How many channels an image has."""
        return self.mean.shape[1]

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        """Logits in float32. `draws` is what a stochastic model draws from; a plain one ignores it.

        Raises:
            ImageError: pixels outside [0, 1].
            ModelError: outputs that do not fit the task.
        """
        if not torch.compiler.is_compiling():
            require_pixels(x)
        x = self.prepared(x)
        if self.outputs == "logits":
            logits = self.checked(self.network(x)).float()
        else:
            with Activations() as seen:
                outputs = self.network(x)
            logits = logits_of(self.checked(outputs), seen, self.task.activation).float()
        return logits if self.order is None else _reordered(logits, self.order)

    def exact(self, x: Images, draws: Draws | None = None) -> Outputs:
        """The outputs in float32, whatever precision a search runs in: here the same as a call."""
        return self(x, draws)

    @property
    def rough(self) -> bool:
        """Whether a call is less precise than `exact`: never here."""
        return False

    @property
    def passes(self) -> int:
        """How many passes through the network one call makes."""
        return 1

    def train(self, mode: bool = True) -> Self:
        """Set training or eval mode; an exported program, which refuses to be set, keeps the mode it was exported in."""
        try:
            return super().train(mode)
        except NotImplementedError:
            return self

    def with_task(self, task: Task) -> DiagnosticModel:
        """The same network seen under another task; weights are shared."""
        return self._like(self.network, task)

    def in_precision(self, dtype: torch.dtype) -> DiagnosticModel:
        """A copy whose network computes in `dtype` (channels last); pixels, losses and outputs stay float32.

        A network that cannot (a frozen program, one that calls `.float()` on the way) is given back in float32, sharing its
        weights: the `dtype` of what comes back says which.
        """
        same = self._like(self.network, self.task)
        if next(self.network.parameters(), None) is None:
            return same
        try:
            with torch.no_grad():  # TorchScript's weights would keep a history of being converted
                network: Any = copy.deepcopy(self.network)
                network = network.to(dtype=dtype, memory_format=torch.channels_last)
            other = self._like(network, self.task)
            other.dtype = dtype
            if other._runs():
                return other
        except (RuntimeError, TypeError, ValueError, NotImplementedError, copy.Error) as reason:
            log.info("the network stays in float32: %s", reason)
        return same

    def _like(self, network: nn.Module, task: Task) -> DiagnosticModel:
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        other = DiagnosticModel(
            network, task, size=self.size, mean=mean, std=std, outputs=self.outputs, resize=self.resize, order=self.order
        )
        other.dtype, other.training = self.dtype, self.training
        return other.to(self.mean.device)

    def _runs(self) -> bool:
        """Whether a forward and a backward pass on one grey image give finite numbers; unknown sizes are taken on trust."""
        if self.size is None:
            return not isinstance(self.network, torch.jit.ScriptModule | torch.fx.GraphModule)
        x = torch.full((1, self.channels, *self.size), 0.5, device=self.mean.device, requires_grad=True)
        modes = {module: module.training for module in self.modules()}
        try:
            with torch.enable_grad():
                outputs = self.eval()(x)
                (grad,) = torch.autograd.grad(outputs.sum(), x)
        finally:
            for module, mode in modes.items():
                module.training = mode
        return bool(outputs.isfinite().all()) and bool(grad.isfinite().all())

    def prepared(self, x: Images) -> Tensor:
        """What the network is shown: images at its size, normalised, in its precision."""
        if x.shape[1] != self.channels:
            raise ModelError(
                f"the network takes {self.channels} channels (from its mean and std), the images have {x.shape[1]}: "
                "convert the images or give one mean per channel"
            )
        if self.resize and self.size is not None and tuple(x.shape[2:]) != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", antialias=True, align_corners=False)
        x = x if self._as_is else self._normalised(x)
        return x if self.dtype == torch.float32 else x.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def _normalised(self, x: Images) -> Tensor:
        """(x - mean) / std as one product and sum: shift and scale are kept laid out like the images, which is 5 times faster."""
        if torch.compiler.is_compiling():
            return (x - self.mean) / self.std
        like = (x.shape[1:], x.device, form := torch.contiguous_format if x.is_contiguous() else torch.channels_last)
        if self._line is None or self._line[0] != like:
            with torch.inference_mode(False), torch.no_grad():
                shift, scale = ((v + torch.zeros_like(x[:1])).contiguous(memory_format=form) for v in (-self.mean / self.std, 1 / self.std))
            self._line = like, shift, scale
        return torch.addcmul(self._line[1], x, self._line[2])

    def checked(self, outputs: Any) -> Outputs:
        """What the network answers, as a (B, K) tensor that fits the task."""
        outputs = _tensor(outputs)
        outputs = outputs if outputs.dim() > 1 else outputs[:, None]
        require_outputs(outputs, self.task)
        return outputs


def _reordered(logits: Outputs, order: tuple[int, ...]) -> Outputs:
    """Logits in the order of the task's classes; a single logit of the other class of two changes its sign."""
    return -logits if logits.shape[1] == 1 else logits[:, list(order)]


def _tensor(outputs: Any) -> Tensor:
    """The logits among what networks return: a tensor, a tuple that begins with one, or a Hugging Face output."""
    if isinstance(outputs, tuple | list):
        return _tensor(outputs[0])
    found = getattr(outputs, "logits", outputs)
    if not isinstance(found, Tensor):
        raise ModelError(
            f"expected the network to return a tensor, got {type(outputs).__name__}: wrap it in a module that returns the logits"
        )
    return found
