"""What certificates are asked for: one dataclass, every key documented under the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from robustdx.auditing.plan import AuditPlan
from robustdx.errors import PlanError
from robustdx.metrics.certificate import largest_radius, require_alpha
from robustdx.models import ModelSpec


@dataclass(frozen=True, kw_only=True)
class CertifyPlan:
    """Certificates in words. Where to compute, and into which folder, is said in flags."""

    model: ModelSpec
    """The network: a table with `source`, `weights`, `size`, `mean`, `std`, `outputs`, ..."""
    data: str
    """The images: "synthetic", "folder:PATH", "ham10000:PATH", ...; options follow after commas."""
    task: Literal["auto", "binary", "multiclass", "multilabel", "ordinal"] = "auto"
    """What a label means, as in an audit."""
    split: str = "test"
    """The images to certify; "all" takes every image."""
    purifier: Mapping[str, Any] | None = None
    """What cleans the noisy image before the network sees it (denoised smoothing): a table with `name` and its settings."""
    sigma: float = 0.25
    """Standard deviation of the noise, in units of pixels in [0, 1]."""
    samples: tuple[int, ...] = (100, 1000)
    """Draws that choose the class, and other draws that bound its share of the votes. The paper takes 100 and 100,000."""
    alpha: float = 0.001
    """The probability with which one certificate may be wrong."""
    images: int | None = None
    """At most about this many images, drawn by patient."""
    attacks: tuple[Mapping[str, Any], ...] = ()
    """Attacks under L2 on the same smoothed model, to draw beside what is proved: tables with `name` and settings."""
    eps: tuple[float, ...] = ()
    """Their budgets, lengths in pixel units. Left out: sigma times 1/2, 1 and 2."""
    draws: int = 16
    """Draws of the noise behind each answer that an attack is given, and in the verdict."""
    seed: int = 0
    """Seed of everything that is drawn."""
    batch_size: int = 8
    """Images whose votes are kept at a time."""
    bootstrap: int = 1000
    """Resamples of the patients behind each 95 % interval."""

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise PlanError(f"sigma must be above 0, got {self.sigma:g}: without noise there is no vote to certify")
        if len(self.samples) != 2 or min(self.samples) < 1:
            raise PlanError(
                f"expected two numbers of samples, each at least 1, got {list(self.samples)}: some choose the class, others bound its share"
            )
        if self.samples[0] > self.samples[1]:
            raise PlanError(
                f"expected no more samples to choose the class than to bound its share, got {self.samples[0]} and {self.samples[1]}: "
                "the radius comes from the second number alone, so turn them round"
            )
        require_alpha(self.alpha)
        if self.largest == 0:
            raise PlanError(
                f"{self.samples[1]} samples cannot prove anything at alpha {self.alpha:g}, even where all agree: give more samples"
            )
        if self.draws < 1:
            raise PlanError(f"draws must be at least 1, got {self.draws}: without a draw there is no vote")
        if self.eps and not self.attacks:
            raise PlanError("eps are the budgets of attacks, and there are none: give attacks, or leave eps out")
        _ = self.audit, self.empirical  # refuses what an audit refuses

    @property
    def largest(self) -> float:
        """The largest radius that so many draws can prove."""
        return largest_radius(self.samples[1], self.sigma, self.alpha)

    @property
    def audit(self) -> AuditPlan:
        """What an audit of these images is asked: nothing but to load them."""
        same = {name: getattr(self, name) for name in ("model", "data", "task", "split", "images", "seed", "batch_size", "bootstrap")}
        return AuditPlan(**same, attacks=(), threat="l2", precision="float32", pictures=0, escalation=False)

    @property
    def empirical(self) -> AuditPlan:
        """The audit of the smoothed model."""
        return replace(self.audit, attacks=self.attacks, eps=self.eps or tuple(self.sigma * k for k in (0.5, 1, 2)))
