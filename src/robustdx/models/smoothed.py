"""A model that answers by vote over Gaussian noise, which is what a certificate can be had for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.errors import ModelError, PlanError
from robustdx.models.diagnostic import DiagnosticModel
from robustdx.models.wrapper import Wrapper
from robustdx.tasks import MultiLabel, Task, plain
from robustdx.tensors import Images, Outputs, require_pixels

ROWS = 64
"""Noisy images that go through the model together: few images get many draws at a time, many images few."""


class Smoothed(Wrapper):
    """A model's answer under isotropic Gaussian noise on the pixels (randomised smoothing, Cohen et al. 2019, section 3).

    A network takes pixels in [0, 1], and noise leaves them. The classifier that votes is therefore g(z) = f(clamp(z, 0, 1)): the noise
    itself is whole, and cutting off comes after it, in g. The theorem holds for any g, so a certificate for this vote is one for images
    of any pixels. Salman et al. (2020) put a denoiser in front of the network: `Smoothed(Defended(model, purifier))`.

    A call answers with the mean of the probabilities over the draws, as logits: a vote that has a gradient, so that every attack can
    follow it (Salman et al. 2019, section 3). A certificate counts decisions instead; `votes` gives them. Cost: `samples` passes of
    the model for each pass. Draw i of an image depends on its id and on i alone, in any batch and however many draws there are.
    """

    def __init__(self, model: DiagnosticModel, sigma: float, samples: int = 100) -> None:
        if not 0 < sigma < float("inf"):
            raise PlanError(
                f"sigma must be above 0, got {sigma:g}: it is the standard deviation of the noise, in units of pixels in [0, 1]"
            )
        if samples < 1:
            raise PlanError(f"samples must be at least 1, got {samples}: without a draw there is no vote")
        super().__init__(model)
        self.sigma, self.samples = sigma, samples

    @property
    def passes(self) -> int:
        return self.samples * self.model.passes

    def forward(self, x: Images, draws: Draws | None = None) -> Outputs:
        """The mean probabilities as logits; without draws, each position in the batch draws from its own fixed stream.

        Raises:
            ImageError: pixels outside [0, 1], before the noise.
        """
        given = draws or Draws(0, tuple(str(i) for i in range(len(x))))
        return _mean_probabilities(plain(self.task), torch.cat(list(self._answers(x, given, range(self.samples)))))

    @torch.no_grad()
    def votes(self, x: Images, draws: Draws, at: range | None = None) -> Int[Tensor, "B D C"]:
        """How many draws decide for each of C classes: one decision (D = 1), or one per finding, with C = absent and present.

        `at` says which draws, range(samples) where it is left out: the votes of range(0, 5) and range(5, 9) add up to those of range(9).

        Raises:
            ModelError: an answer that is not finite votes for nothing.
        """
        classes = 2 if isinstance(plain(self.task), MultiLabel) else len(self.task.classes)
        counts = torch.zeros(1, dtype=torch.long, device=x.device)
        for outputs in self._answers(x, draws, range(self.samples) if at is None else at):
            _require_finite(outputs, draws)
            decided = self.task.decide(outputs.flatten(0, 1)).long().view(*outputs.shape[:2], -1)
            counts = counts + F.one_hot(decided, classes).sum(0)
        return counts

    def with_task(self, task: Task) -> Smoothed:
        return Smoothed(self.model.with_task(task), self.sigma, self.samples)

    def in_precision(self, dtype: torch.dtype) -> Smoothed:
        """A copy whose network computes in `dtype`; the noise stays in float32."""
        return Smoothed(self.model.in_precision(dtype), self.sigma, self.samples)

    def _answers(self, x: Images, draws: Draws, at: range) -> Iterator[Float[Tensor, "S B K"]]:
        """The model's outputs on noisy images, a few draws at a time."""
        if not torch.compiler.is_compiling():
            require_pixels(x)
        step = max(1, ROWS // len(x))
        for part in (at[start : start + step] for start in range(0, len(at), step)):
            rows, own = torch.cat([x] * len(part)), _one_stream_each(draws, part)
            noisy = (rows + self.sigma * own.normal(like=rows)).clamp(0, 1)
            outputs = self.model(noisy, own.fork("model"))
            yield outputs.view(len(part), len(x), -1)


def _one_stream_each(draws: Draws, part: range) -> Draws:
    """A stream for every draw of every image."""
    return Draws(draws.seed, tuple(f"{image}#{i}" for i in part for image in draws.ids), (*draws.path, "smooth"))


def _mean_probabilities(task: Task, outputs: Float[Tensor, "S B K"]) -> Outputs:
    """Logits whose probabilities are the mean over S draws, by sums of exponentials so that no gradient is lost where one saturates."""
    if getattr(task, "cumulative", False):
        outputs = outputs.cummin(2).values
    if task.activation == "sigmoid" or outputs.shape[2] == 1:
        return F.logsigmoid(outputs).logsumexp(0) - F.logsigmoid(-outputs).logsumexp(0)
    return outputs.log_softmax(2).logsumexp(0) - torch.tensor(float(len(outputs))).log()


def _require_finite(outputs: Float[Tensor, "S B K"], draws: Draws) -> None:
    finite = outputs.isfinite().all(2).all(0).tolist()
    if not all(finite):
        image = draws.ids[finite.index(False)]
        raise ModelError(
            f"expected finite outputs, the network answers NaN or infinity on the image {image} under noise: check its weights"
        )
