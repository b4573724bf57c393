"""What the minimal-norm attacks share: what must be turned, and the nearest image found so far that turns it.

They ask how little is enough, not whether eps is: the distance of the answer is the smallest that was found, so one run
under a generous eps gives the whole curve of robust accuracy against eps (`curve`).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from robustdx.attacks.loops.climb import SLACK, Front, Worst, confirmed
from robustdx.attacks.loops.hyperplane import TINY, dot
from robustdx.attacks.loops.rough import Rough
from robustdx.attacks.loops.uphill import uphill
from robustdx.attacks.protocol import Model
from robustdx.draws import Draws
from robustdx.tasks import Task
from robustdx.tensors import Flags, Images, Labels, Outputs, PerImage, per_image
from robustdx.threats import Linf, Threat, everywhere

TIGHTEN = 5
"""Forward passes that narrow the last gap between an image that stands and one that is beaten."""

CLEAR, ROUNDING = 1e-5, 1e-6
"""By which share of the gap at x, and of the largest logit, an image must be beaten: on the boundary another batch rounds otherwise."""

CHECK = 10
"""Every so many looks of a rough search, float32 is asked too."""

RIVALS = 10
"""So many of the strongest rivals are considered where each costs a backward pass."""


class Nearest:
    """The nearest beaten image found so far for each x; where there is none yet, the one closest to being beaten.

    Beaten means `task.errors == 1`, seen in float32. With `early_stop` an image is settled as soon as one is found inside
    eps and holds as it would be saved; without, it is settled only if x itself is beaten, or if nothing can be (a goal that cannot
    be asked of it has an infinite gap).

    A rough search (bfloat16) is that of a network slightly beside the one that is judged, so its boundary lies elsewhere. By how
    much changes slowly: every tenth look asks float32 too, corrects the gaps by what it finds, and keeps the nearest of what looked
    beaten since then if it is (`Rough`).
    """

    def __init__(
        self, model: Model, x: Images, y: Labels, threat: Threat, draws: Draws, *, early_stop: bool = False, confidence: float = 0.0
    ) -> None:
        self.model, self.x, self.y, self.threat, self.draws, self.early_stop = model, x, y, threat, draws, early_stop
        self.confidence = confidence
        self.x_adv = x.clone()
        self.distance = x.new_full((len(x),), math.inf)
        self.gap = x.new_full((len(x),), math.inf)
        """The gap at x_adv."""
        self.clean = x.new_full((len(x),), math.inf)
        """The gap at x."""
        self.settled = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self._every: bool | None = None
        self._steep: Tensor | None = None
        self._looks = 0
        self._rough: Rough | None = None

    @property
    def least(self) -> PerImage:
        """The smallest distance found, whether confirmed in float32 yet or not."""
        return self.distance if self._rough is None else self.distance.minimum(self._rough.distance)

    def front(self, start: Images | None = None, draws: Draws | None = None) -> Front:
        """The images that are not settled, to be searched from `start` (left out: from x)."""
        at = torch.arange(len(self.x), device=self.x.device)
        return Front(at, self.x, self.y, self.x if start is None else start, draws or self.draws).only(~self.settled)

    def look(self, front: Front, *, exact: bool = True) -> tuple[Outputs, Flags]:
        """The gaps (B, R) at x_t, and which images are beaten there; those nearer than what is kept are kept.

        Cost per image: one forward pass; in a rough search one more at every tenth look.
        """
        rough = self.model.rough and not exact
        outputs = (self.model if rough else self.model.exact)(front.x_t, front.draws)
        gaps = self._gaps(outputs, front.y)
        with torch.no_grad():
            if rough:
                return self._look_roughly(front, gaps)
            self._confirm(front)
            beaten = self._clear(outputs, front)
            self._keep(front, gaps.detach().amin(1), beaten)
        return gaps, beaten

    def _look_roughly(self, front: Front, raw: Outputs) -> tuple[Outputs, Flags]:
        """Gaps as float32 would have them, as far as is known, and what they say."""
        rough = self._rough = self._rough or Rough(self.x, raw.shape[1])
        if self._looks % CHECK == 0:
            self._ask_float32(rough, front, raw.detach())
        self._looks += 1
        with torch.enable_grad():
            gaps = raw + rough.bias[front.at]
        gap, distance = gaps.detach().amin(1), self.threat.take(front.at).distance(front.x_t.detach(), front.x)
        beaten = gap < 0
        nearer = beaten & (distance < self.least[front.at])
        rough.claim(front.only(nearer), distance[nearer], raw.detach()[nearer])
        self._come_closer(front, gap, ~beaten)
        if self.early_stop:
            self._stop(front, nearer & self._inside(distance))
        return gaps, beaten

    def _ask_float32(self, rough: Rough, front: Front, raw: Outputs) -> None:
        """Look in float32 at what is claimed, or where nothing is, at x_t. Cost per image: one forward pass."""
        at, claimed = front.at, rough.distance[front.at].isfinite()
        seen = replace(front, x_t=torch.where(per_image(claimed, front.x), rough.x_adv[at], front.x_t.detach()))
        outputs = self.model.exact(seen.x_t, front.draws)
        gaps = self._gaps(outputs, front.y)
        rough.bias[at] = (gaps - torch.where(claimed[:, None], rough.raw[at], raw)).nan_to_num_(0.0, 0.0, 0.0)
        rough.distance[at] = math.inf
        self._keep(seen, gaps.amin(1), self._clear(outputs, seen))

    def _confirm(self, front: Front) -> None:
        """Ask float32 of what is still claimed of these images."""
        if self._rough is not None and bool((claimed := self._rough.distance[front.at].isfinite()).any()):
            some = front.only(claimed)
            self._ask_float32(self._rough, some, self._rough.raw[some.at])

    def aim(self, gaps: Outputs, front: Front) -> PerImage:
        """The gap of the rival whose boundary is nearest: not always the one with the least gap, which another may outrun.

        Cost per image: as many backward passes as rivals, at most 10, once, with the first look at x; none with one rival.
        """
        return gaps.gather(1, self.far(gaps, front).argmin(1)[:, None])[:, 0]

    def far(self, gaps: Outputs, front: Front) -> Outputs:
        """How far each rival's boundary is (B, R), if it is as steep as at x; infinite beyond the strongest rivals."""
        if gaps.shape[1] == 1:
            return gaps.detach()
        if self._steep is None:
            self._steep = self._slopes_at_x(gaps, front)
        steep = self._steep[front.at]
        return torch.where(steep > TINY, gaps.detach() / steep.clamp_min(TINY), torch.inf)

    def _slopes_at_x(self, gaps: Outputs, front: Front) -> Tensor:
        """The dual norm of each gap's gradient, (B, R); 0 beyond the strongest rivals."""
        steep = torch.zeros(len(self.x), gaps.shape[1], device=gaps.device)
        least, which = gaps.topk(min(RIVALS, gaps.shape[1]), dim=1, largest=False)
        for gap, column in zip(least.T, which.T, strict=True):
            grad = uphill(gap, front.x_t, keep=True)
            steep[front.at, column] = torch.where(gap.detach().isinf(), 0, dot(grad, self.threat.take(front.at).steepest(grad)))
        return steep

    def share(self, whole: Nearest, image: Tensor) -> None:
        """Take over what another has learned of the images x: this one's are whole.x[image]."""
        self.clean, self._every = whole.clean[image], whole._every
        self._steep = None if whole._steep is None else whole._steep[image]

    @torch.no_grad()
    def tighten(self, rounds: int = TIGHTEN) -> None:
        """Shorten the nearest change for as long as the image stays beaten: regula falsi (Illinois) on the gap."""
        front = self.front(self.x_adv).only((self.distance < math.inf)[~self.settled])
        if not len(front):
            return
        at, change, far, threat = front.at, front.x_t - front.x, self.distance[front.at], self.threat.take(front.at)
        low, high = front.x.new_zeros(len(front)), front.x.new_ones(len(front))
        at_low, at_high = self.clean[at], self.gap[at]
        for _ in range(rounds):
            share = (at_low / (at_low - at_high).clamp_min(TINY)).nan_to_num(0.5).clamp(0.05, 0.999)
            t = (low + (high - low) * share * (1 + 1e-4)).minimum(high)
            front.x_t = (front.x + shortened(threat, change, t * far)).clamp_(0, 1)
            gaps, beaten = self.look(front)
            gap = gaps.amin(1)
            low, high = torch.where(beaten, low, t), torch.where(beaten, t, high)
            at_low, at_high = torch.where(beaten, at_low / 2, gap), torch.where(beaten, gap, at_high / 2)

    def answer(self) -> Images:
        """The nearest beaten image where it lies inside the threat; elsewhere its projection onto it."""
        inside = self.distance <= self.threat.eps * (1 + SLACK)
        return torch.where(per_image(inside, self.x), self.x_adv, self.threat.project(self.x_adv, self.x))

    def _keep(self, front: Front, gap: PerImage, beaten: Flags) -> None:
        """Take over what is nearer than what is kept, and settle what need not be searched any more: seen in float32."""
        x_t, at = front.x_t.detach(), front.at
        distance = self.threat.take(at).distance(x_t, front.x)
        self.clean[at] = torch.where(distance == 0, gap, self.clean[at])
        self._come_closer(front, gap, ~beaten)
        nearer = beaten & (distance < self.distance[at])
        self.x_adv[at[nearer]], self.gap[at[nearer]], self.distance[at[nearer]] = x_t[nearer], gap[nearer], distance[nearer]
        self.settled[at] |= (self.distance[at] == 0) | gap.isinf()
        if self.early_stop:
            self._stop(front, nearer & self._inside(distance))

    def _come_closer(self, front: Front, gap: PerImage, standing: Flags) -> None:
        """Where nothing is beaten yet, keep what is closest to it."""
        closer = standing & self.least[front.at].isinf() & (gap < self.gap[front.at])
        self.x_adv[front.at[closer]], self.gap[front.at[closer]] = front.x_t.detach()[closer], gap[closer]

    def _inside(self, distance: PerImage) -> Flags:
        return (distance <= self.threat.eps * (1 + SLACK)) & (distance > 0)

    def _stop(self, front: Front, inside: Flags) -> None:
        """Settle what holds inside eps as it would be saved: not the nearest image, which rounding undoes, but as far as eps reaches."""
        if not bool(inside.any()):
            return
        some = front.only(inside)
        threat, change = self.threat.take(some.at), some.x_t.detach() - some.x
        reach = threat.eps / threat.distance(some.x + change, some.x).clamp_min(TINY)
        far = Front(some.at, some.x, some.y, threat.project(some.x + change * per_image(reach, change), some.x), some.draws)
        worst = Worst(self.x)
        confirmed(self.model, far, self.threat, worst, torch.ones_like(some.at, dtype=torch.bool))
        held = worst.beaten
        self.x_adv[held], self.settled[held] = worst.x_adv[held], True
        self.distance[held] = self.threat.take(held).distance(self.x_adv[held], self.x[held])

    def _clear(self, outputs: Outputs, front: Front) -> Flags:
        """Whether every decision is wrong, by the confidence that is asked for and more than rounding could undo.

        The image as it came is taken at its word.
        """
        gap, clean = self._gaps(outputs, front.y).amin(1), self.clean[front.at]
        slack = torch.maximum(ROUNDING * outputs.abs().amax(1), CLEAR * clean.abs().nan_to_num(posinf=0.0))
        untouched = (front.x_t == front.x).flatten(1).all(1)
        return (self.model.task.errors(outputs, front.y) == 1) & torch.where(untouched, gap <= 0, gap < -slack)

    def _gaps(self, outputs: Outputs, y: Labels) -> Outputs:
        """What must fall below 0, in logits, for the image to be beaten: one column for each way to beat it.

        The margin against each rival where one wrong decision is enough. Where an image is beaten only when every decision is
        wrong (multi-label without a goal of its own), the largest margin of all.
        """
        margins = self.model.task.margins(outputs, y)
        if self._every is None:
            self._every = shared(self.model.task, outputs.detach(), self.y)
        if not self._every:
            return margins + self.confidence
        none = margins.isinf().all(1, keepdim=True)
        return torch.where(none, math.inf, margins.masked_fill(margins.isinf(), -math.inf).amax(1, keepdim=True)) + self.confidence


def shared(task: Task, outputs: Outputs, y: Labels) -> bool:
    """Whether an image with a wrong decision need not be beaten: asked of the task itself, on made-up outputs.

    The outputs are one finding alone, all, and none: two annotated decisions cannot be all right or all wrong on each of them.
    """
    k = outputs.shape[1]
    rows = torch.cat((2 * torch.eye(k) - 1, torch.ones(1, k), -torch.ones(1, k))).to(outputs)
    made_up, labels = rows.repeat(len(y), 1), y.repeat_interleave(len(rows), 0)
    return bool((task.fooled(made_up, labels) & (task.errors(made_up, labels) < 1)).any())


def shortened(threat: Threat, change: Images, length: PerImage) -> Images:
    """The change made no longer than `length` (B,): cut there under Linf, where each pixel counts for itself, and else scaled."""
    reach = per_image(length, change)
    if isinstance(everywhere(threat), Linf):
        share = reach * threat.steepest(torch.ones_like(change))
        return change.clamp(-share, share)
    return change * (reach / per_image(threat.distance(change, torch.zeros_like(change)).clamp_min(TINY), change)).clamp_max(1)


def curve(distances: Tensor, right: Flags, eps: Tensor) -> Tensor:
    """Robust accuracy at each eps, read off one run: the share of images that are right and whose nearest beaten image is further.

    distances: (B,) to the nearest beaten image, infinite where none was found. right: (B,) whether the clean decision is.

    >>> curve(torch.tensor([0.1, 0.2, torch.inf, 0.0]), torch.tensor([True, True, True, False]), torch.tensor([0.0, 0.15, 1.0]))
    tensor([0.7500, 0.5000, 0.2500])
    """
    return (right & (distances > eps[:, None] * (1 + SLACK))).float().mean(1)
