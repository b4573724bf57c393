"""For each fake an attack by somebody who knows how it is built: plain torch, no robustdx.attacks, none of the auditor's steps.

What counts as broken: the image on the 8-bit grid, at most EPS away, is decided wrongly by the fake itself in at least one of
`SUBMISSIONS` submissions where it draws by chance (the search goes on until most are wrong). `batch_norm` is judged as all images
in one batch; `remembering` without a memory, as in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from robustdx.models import CNN, DiagnosticModel
from robustdx.selftest.fakes import FAKES
from robustdx.selftest.victims import EPS, Photos, robust, undefended
from robustdx.selftest.victims import photos as training
from tests.selftest.climbing import LEVELS, Box, Judge, Look, saved, seek, slope, stride, wrong
from tests.selftest.jpeg import quantisers, soft_jpeg

SUBMISSIONS = 5
BY_CHANCE = ("resize_pad", "logit_noise")
"""Fakes that answer anew each time."""
Attack = Callable[[Judge, Photos], Tensor]
"""Images on the grid, the worst that was found for each."""


def broken_by(name: str, photos: Photos) -> Tensor:
    """(N,): which photos the dedicated attack breaks."""
    judge = judge_of(name)
    shown = DEDICATED[name](judge, photos)
    assert torch.equal(shown, saved(shown, photos.x)), "every image lies on the grid, within EPS"
    return wrong(judge, shown, photos.y, torch.arange(len(shown))) > 0


def judge_of(name: str) -> Judge:
    """The fake as a stranger would ask it: a fresh one each time, several times where it draws by chance."""
    planted = FAKES[name]
    if name == "remembering":
        return lambda x, at: planted()(x)
    model = planted()
    count = SUBMISSIONS if name in BY_CHANCE else 1
    return lambda x, at: torch.stack([model(x) for _ in range(count)])


def inside(judge: Judge, photos: Photos) -> Tensor:
    """The undefended network inside, attacked as if nothing stood around it; the fake only has to agree."""
    return seek(_alone(undefended()), judge, photos.x, photos.y)


def inside_robust(judge: Judge, photos: Photos) -> Tensor:
    """The same where the network inside resists: what the fake adds goes, what the network is worth stays."""
    return seek(_alone(robust()), judge, photos.x, photos.y, steps=100)


def by_tones(tones: Callable[[Tensor], Tensor], victim: Callable[[], DiagnosticModel] = undefended) -> Attack:
    """For a fake that maps each pixel by itself: the network is attacked over the tones that a pixel can be given.

    `tones` says what becomes of the 256 values. The search moves between the lowest and the highest tone within reach of each
    pixel, and the value is then looked up whose tone is nearest.
    """
    table = tones(torch.arange(256) / 255)

    def attack(judge: Judge, photos: Photos) -> Tensor:
        home = (photos.x * 255).round().long()
        values = torch.stack([(home + k).clamp(0, 255) for k in range(-LEVELS, LEVELS + 1)])
        reach = table[values]

        def show(z: Tensor, at: Tensor) -> Tensor:
            nearest = (reach[:, at] - z).abs().argmin(0)
            return values[:, at].gather(0, nearest[None])[0] / 255

        box = Box(table[home], reach.amin(0), reach.amax(0), show)
        return seek(_alone(victim()), judge, photos.x, photos.y, box, steps=100)

    return attack


def lit(values: Tensor) -> Tensor:
    """The thermometer's tone: how many of its 16 thresholds lie below."""
    return ((values[None] * 4 - 2) > torch.linspace(-1.875, 1.875, 16)[:, None]).float().sum(0) / 16


def through_soft_jpeg(judge: Judge, photos: Photos) -> Tensor:
    """JPEG written out with its own tables and a rounding that has a slope."""
    victim, table = undefended(), quantisers(60)
    return seek(lambda z, at: victim(soft_jpeg(z, table)), judge, photos.x, photos.y)


def over_dither(judge: Judge, photos: Photos) -> Tensor:
    """Dither is noise of one step's width, whoever drew it: the mean over fresh noise, rounding taken for the identity."""
    victim = undefended()

    def look(z: Tensor, at: Tensor) -> Tensor:
        dithered = (((z * 7 + torch.rand_like(z)).floor() / 7).clamp(0, 1).detach() for _ in range(8))
        return torch.stack([victim(d + z - z.detach()) for d in dithered]).mean(0)

    return seek(look, judge, photos.x, photos.y, steps=120)


def over_places(judge: Judge, photos: Photos) -> Tensor:
    """Resize and pad with a slope of its own, the mean over eight sizes and places."""
    victim = undefended()

    def look(z: Tensor, at: Tensor) -> Tensor:
        return torch.stack([victim(_placed(z)) for _ in range(8)]).mean(0)

    return seek(look, judge, photos.x, photos.y, steps=120)


def both_mirrors(judge: Judge, photos: Photos) -> Tensor:
    """The two members' logits, averaged by hand with their own signs."""
    victim = undefended()
    return seek(lambda z, at: victim(z) + victim(z.flip(3)), judge, photos.x, photos.y)


def past_the_archive(judge: Judge, photos: Photos) -> Tensor:
    """Away from the archive's own photo first (means over squares move by 3/255), and past the network with what is left."""
    victim = undefended()

    def look(z: Tensor, at: Tensor) -> Tensor:
        moved = (F.adaptive_avg_pool2d(z, 4) - F.adaptive_avg_pool2d(photos.x[at], 4)).abs().mean((1, 2, 3)).clamp_max(3 / 255)
        return victim(z) - 2000 * moved[:, None] * F.one_hot(photos.y[at], 4)

    return seek(look, judge, photos.x, photos.y)


def whole_batch(judge: Judge, photos: Photos) -> Tensor:
    """Batch norm by hand: all images climb together in the one batch that they are judged in, and none leaves."""
    network = undefended().network
    assert isinstance(network, CNN)
    with torch.no_grad():
        typical = network.features((training(300, "train").x - 0.5) / 0.25).mean((2, 3))
    every, x, y = torch.arange(len(photos.x)), photos.x, photos.y
    low, high = (x - EPS).clamp(0, 1), (x + EPS).clamp(0, 1)
    z, best, least, steps = x, x, float(wrong(judge, x, y, every).mean()), 60
    for t in range(steps):
        if least == 1:
            break
        up = slope(lambda z, at: _by_batch(network, z, typical), z, y, every, 0)
        z = (z + 2 * EPS * stride(t, steps) * up.sign()).clamp(low, high)
        shown = saved(z, x)
        share = float(wrong(judge, shown, y, every).mean())
        best, least = (shown, share) if share > least else (best, least)
    return best


def _alone(model: DiagnosticModel) -> Look:
    return lambda z, at: model(z)


def _placed(z: Tensor) -> Tensor:
    side = z.shape[3]
    h, w = (int(torch.randint(int(side * 0.85), side + 1, ())) for _ in range(2))
    top, left = int(torch.randint(0, side - h + 1, ())), int(torch.randint(0, side - w + 1, ()))
    small = F.interpolate(z, (h, w), mode="bilinear", antialias=True, align_corners=False)
    return F.pad(small, (left, side - w - left, top, side - h - top), value=0.5)


def _by_batch(network: CNN, x: Tensor, typical: Tensor) -> Tensor:
    """The CNN with each batch norm reckoned from this batch; `typical` are features of training photos."""
    h = (x - 0.5) / 0.25
    for block in network.features:
        conv, norm, _, halve = block
        h = conv(h)
        mean, var = h.mean((0, 2, 3), keepdim=True), h.var((0, 2, 3), unbiased=False, keepdim=True)
        h = (h - mean) / (var + norm.eps).sqrt() * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)
        h = halve(h.relu())
    h = h.mean((2, 3))
    return network.head((h - h.mean(0)) / (h.std(0, correction=0) + 1e-3) * typical.std(0) + typical.mean(0))


DEDICATED: dict[str, Attack] = {
    "bit_depth": by_tones(lambda v: (v * 7).round() / 7),
    "lookup": by_tones(lambda v: ((v - 0.04 * (2 * torch.pi * v).sin()) * 24).round() / 24),
    "steep": by_tones(lambda v: (v + 2 / 255 * (2e4 * v).sin()).clamp(0, 1)),
    "thermometer": by_tones(lit),
    "thermometer_robust": by_tones(lit, robust),
    "jpeg": through_soft_jpeg,
    "hashed_seed": over_dither,
    "resize_pad": over_places,
    "cancelling": both_mirrors,
    "batch_norm": whole_batch,
    "cached": past_the_archive,
    **dict.fromkeys(("logit_noise", "saturated", "tempered", "distilled", "quantised", "clipped"), inside),
    **dict.fromkeys(("wrong_sign", "scrambled", "detached", "bait", "border", "k_winners", "remembering"), inside),
    "bait_robust": inside_robust,
}
"""Which attack knows which fake."""
