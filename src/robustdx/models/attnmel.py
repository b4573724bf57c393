"""AttnMel, the attention network for melanoma that Xu et al. 2021 attack (their IPMI2019-AttnMel, by Yan et al. 2019)."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vgg import cfgs, make_layers

from robustdx.errors import ModelError

STAGES = ((0, 6), (7, 13), (14, 23), (24, 33), (34, 43))
"""Where the five blocks of VGG16-BN lie; what stands between them is a 2 x 2 maximum, the last is followed by one too."""

SMALLEST = 32
"""Pixels of a side that still leave one place after five halvings."""


@final
class Attention(nn.Module):
    """Where a feature map l agrees with the network's last features g: c = phi(relu(W_l l + up(W_g g))).

    The map is the softmax of c over all places and gives the weighted sum of l (`normalize_attn`), or the sigmoid of c at
    each place and gives the weighted mean.
    """

    def __init__(self, local: int, last: int, width: int, normalize_attn: bool) -> None:
        super().__init__()
        self.normalize_attn = normalize_attn
        self.W_l = nn.Conv2d(local, width, 1, bias=False)
        self.W_g = nn.Conv2d(last, width, 1, bias=False)
        self.phi = nn.Conv2d(width, 1, 1)

    def forward(self, l: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """The map (B, 1, H, W) and the features (B, C) it picks out."""
        coarse = F.interpolate(self.W_g(g), size=l.shape[2:], mode="bilinear", align_corners=False)
        c = self.phi(F.relu(self.W_l(l) + coarse))
        a = c.flatten(2).softmax(2).view_as(c) if self.normalize_attn else c.sigmoid()
        picked = (a * l).flatten(2)
        return a, picked.sum(2) if self.normalize_attn else picked.mean(2)


@final
class AttnMel(nn.Module):
    """VGG16-BN whose third and fourth stage are looked at through attention; the features of both and of the last decide.

    Built as papers.md 4.3 states it. Xu et al. use `normalize_attn=True` when attacking with GAP and False elsewhere; the
    two kinds of checkpoint differ in nothing but their numbers, so the user says `attnmel` or `attnmel:sigmoid`. Names of
    the weights are those of the public release (conv_block1 ... conv_block5, attn1, attn2, cls). Meant for 224 x 224; any
    height and width from 32 on work, as the last features are averaged over all places (the release takes 7 x 7 of them).
    Weights start from Kaiming's normal draw (the last layer from N(0, 0.01)), where the authors begin with ImageNet weights.
    """

    def __init__(self, classes: int, normalize_attn: bool = True) -> None:
        super().__init__()
        layers = list(make_layers(cfgs["D"], batch_norm=True))
        blocks = [nn.Sequential(*layers[first:end]) for first, end in STAGES]
        self.conv_block1, self.conv_block2, self.conv_block3, self.conv_block4, self.conv_block5 = blocks
        self.attn1 = Attention(256, 512, 256, normalize_attn)
        self.attn2 = Attention(512, 512, 256, normalize_attn)
        self.cls = nn.Linear(512 + 512 + 256, classes)
        self.apply(_begin)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, classes) logits."""
        l1, l2, g = self._features(x)
        return self.cls(torch.cat((g.mean((2, 3)), self.attn1(l1, g)[1], self.attn2(l2, g)[1]), 1))

    def attention(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two attention maps: (B, 1, H / 8, W / 8) and (B, 1, H / 16, W / 16)."""
        l1, l2, g = self._features(x)
        return self.attn1(l1, g)[0], self.attn2(l2, g)[0]

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if min(x.shape[2:]) < SMALLEST:
            raise ModelError(f"attnmel takes images of at least {SMALLEST} x {SMALLEST}, got {x.shape[2]} x {x.shape[3]}: give size=224")
        x = F.max_pool2d(self.conv_block2(F.max_pool2d(self.conv_block1(x), 2)), 2)
        l1 = F.max_pool2d(self.conv_block3(x), 2)
        l2 = F.max_pool2d(self.conv_block4(l1), 2)
        return l1, l2, F.max_pool2d(self.conv_block5(l2), 2)


def _begin(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
