"""What every model that answers through another one has in common."""

from __future__ import annotations

from robustdx.models.diagnostic import DiagnosticModel
from robustdx.tasks import Task


class Wrapper(DiagnosticModel):
    """A model around another: the same network, meaning of pixels and outputs, device and mode. A call costs what the inner one's does."""

    def __init__(self, model: DiagnosticModel, task: Task | None = None) -> None:
        mean, std = model.mean.flatten().tolist(), model.std.flatten().tolist()
        super().__init__(
            model.network,
            task or model.task,
            size=model.size,
            mean=mean,
            std=std,
            outputs=model.outputs,
            resize=model.resize,
            order=model.order,
        )
        self.model, self.dtype = model, model.dtype
        self.to(model.mean.device)
        self.training = model.training

    @property
    def passes(self) -> int:
        return self.model.passes
