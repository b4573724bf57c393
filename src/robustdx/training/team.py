"""Several processes that train one network: each shows it a part of every batch, and all take the same step.

The step is that of one process, up to float32 rounding, also through batch norm, whose means and variances are taken over
the parts of all. Two things are not equal: dropout draws other masks, and an objective that looks at a whole batch (not at each
image by itself) sees its own part. Each process holds the images in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from robustdx.errors import PlanError, RunError
from robustdx.training.order import Showing, cut

T = TypeVar("T")
PATIENCE = timedelta(hours=6)
"""How long the others wait while the first judges an epoch."""


@dataclass(frozen=True)
class Team:
    """One of `size` processes; the first, of rank 0, judges and writes."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that judges and writes."""
        return self.rank == 0

    def part(self, shown: Sequence[Showing]) -> Sequence[Showing]:
        """What this process shows of a batch."""
        return cut(shown, self.size)[self.rank]

    def add_up(self, values: Sequence[Tensor]) -> None:
        """Replace each by its sum over all processes."""
        if self.size == 1:
            return
        flat = torch.cat([v.flatten() for v in values])
        distributed.all_reduce(flat)
        for value, total in zip(values, flat.split([v.numel() for v in values]), strict=True):
            value.copy_(total.view_as(value))

    def told(self, value: T) -> T:
        """What the first process says, to all."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        distributed.broadcast_object_list(box)
        return box[0]

    def meet(self) -> None:
        """Wait for each other."""
        if self.size > 1:
            distributed.barrier()

    def normalising(self) -> AbstractContextManager[object]:
        """Inside the block, batch norm in training mode sees the parts of all."""
        return _Together() if self.size > 1 else nullcontext()


ALONE = Team()


class _Together(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
            given = {"weight": None, "bias": None, "training": False, "momentum": 0.1, "eps": 1e-5, **dict(zip(names, args, strict=False))}
            given |= kwargs
            if given["training"]:
                return _normalised(**given)
        return func(*args, **kwargs)


def _normalised(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """Batch norm as PyTorch defines it, with sums over all processes."""
    x, shape = input.float(), [1, -1, *[1] * (input.dim() - 2)]
    dims = [d for d in range(input.dim()) if d != 1]
    count = x.new_tensor([x.numel() / x.shape[1]])
    distributed.all_reduce(count)
    mean = _Sum.apply(x.sum(dims)) / count
    away = x - mean.view(shape)
    variance = _Sum.apply(away.square().sum(dims)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * count / (count - 1), momentum)
    y = away * (variance + eps).rsqrt().view(shape)
    y = y if weight is None else y * weight.view(shape)
    return (y if bias is None else y + bias.view(shape)).to(input.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes. Every process's loss depends on it, so the gradient is summed as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        distributed.all_reduce(total)
        return total


def require_workers(workers: int, batch_size: int, device: str) -> None:
    """Refuse a number of processes that cannot share the work.

    Raises:
        PlanError: says why.
    """
    if not 1 <= workers <= batch_size:
        raise PlanError(f"workers must lie between 1 and batch_size = {batch_size}, since each shows a part of every batch; got {workers}")
    if workers > 1 and device != "cpu":
        raise PlanError(f"workers share the cores of a processor, and {device} is none: leave --workers or --device out")


@contextmanager
def joined(team: Team, meeting: Path) -> Iterator[None]:
    """This process as one of a team, whose members find each other by the file `meeting`.

    Raises:
        RunError: another process died.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // team.size))
    try:
        distributed.init_process_group(
            "gloo", init_method=meeting.absolute().as_uri(), rank=team.rank, world_size=team.size, timeout=PATIENCE
        )
        yield
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [""])[0][:160]
        if not any(word in reason.lower() for word in ("gloo", "connection", "peer")):
            raise
        raise RunError(f"a process of the training is gone ({reason}): run the same command again to go on") from error
    finally:
        torch.set_num_threads(threads)
        if distributed.is_initialized():
            distributed.destroy_process_group()


@contextmanager
def led(size: int, target: Any, *arguments: object) -> Iterator[None]:
    """This process as the first of `size`; each of the others runs `target(team, meeting, *arguments)`."""
    if size == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="robustdx-team-") as folder:
        meeting = Path(folder) / "meeting"
        context = torch.multiprocessing.get_context("spawn")
        helpers = [context.Process(target=target, args=(Team(r, size), meeting, *arguments), daemon=True) for r in range(1, size)]
        for helper in helpers:
            helper.start()
        try:
            with joined(Team(0, size), meeting):
                yield
        finally:
            for helper in helpers:
                helper.join(timeout=5)
                helper.kill()
