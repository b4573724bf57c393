"""Our own two networks: Jogani's plain CNN and AttnMel."""

import pytest
import torch
from torch.nn import functional as F
from torchvision.models import vgg16_bn

from robustdx.errors import ModelError
from robustdx.models import CNN, AttnMel


@pytest.mark.parametrize(("classes", "width", "channels", "size"), [(7, 32, 3, 64), (2, 8, 1, 50), (1, 4, 3, 16)])
def test_the_plain_cnn_takes_images_of_any_size(classes: int, width: int, channels: int, size: int) -> None:
    network = CNN(classes, width=width, channels=channels).eval()
    assert network(torch.rand(2, channels, size, size + 7)).shape == (2, classes)


def test_the_plain_cnn_answers_by_the_mean_over_the_image() -> None:
    network = CNN(3, width=4).eval()
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(network(x), network.head(F.adaptive_avg_pool2d(network.features(x), 1).flatten(1)))


@pytest.fixture(scope="module")
def vgg() -> torch.nn.Module:
    with torch.device("meta"):
        network = vgg16_bn(weights=None)
    features = network.features.to_empty(device="cpu").eval()
    torch.manual_seed(0)
    for name, value in features.state_dict().items():
        value.copy_(torch.rand_like(value.float()) * 0.1 if value.dim() < 4 or "var" in name else torch.randn_like(value) * 0.05)
    return features


@pytest.fixture(scope="module", params=[True, False], ids=["softmax", "sigmoid"])
def attnmel(request: pytest.FixtureRequest, vgg: torch.nn.Module) -> AttnMel:
    """AttnMel that holds VGG16-BN's weights, as its authors begin."""
    network = AttnMel(2, normalize_attn=request.param).eval()
    theirs = list(vgg.state_dict().values())
    ours = {k: v for k, v in network.state_dict().items() if k.startswith("conv_block")}
    network.load_state_dict(dict(zip(ours, theirs, strict=True)), strict=False)
    return network


X = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))


def test_its_last_features_are_those_of_vgg16(attnmel: AttnMel, vgg: torch.nn.Module) -> None:
    with torch.no_grad():
        torch.testing.assert_close(attnmel._features(X)[2], vgg(X), rtol=1e-4, atol=1e-5)


def test_attention_maps_weigh_the_features(attnmel: AttnMel) -> None:
    with torch.no_grad():
        a1, a2 = attnmel.attention(X)
        l1, l2, g = attnmel._features(X)
        assert (a1.shape, a2.shape) == ((2, 1, 8, 12), (2, 1, 4, 6))
        if attnmel.attn1.normalize_attn:
            torch.testing.assert_close(a1.sum((2, 3)), torch.ones(2, 1))
            picked = [torch.einsum("bhw,bchw->bc", a[:, 0], l) for a, l in ((a1, l1), (a2, l2))]
        else:
            picked = [torch.einsum("bhw,bchw->bc", a[:, 0], l) / a[0].numel() for a, l in ((a1, l1), (a2, l2))]
        expected = attnmel.cls(torch.cat((g.mean((2, 3)), *picked), 1))
        torch.testing.assert_close(attnmel(X), expected, rtol=1e-4, atol=1e-5)


def test_the_map_is_where_local_and_last_features_agree(attnmel: AttnMel) -> None:
    block = attnmel.attn2
    with torch.no_grad():
        _, l, g = attnmel._features(X)
        up = F.interpolate(F.conv2d(g, block.W_g.weight), size=l.shape[2:], mode="bilinear", align_corners=False)
        c = F.conv2d(F.relu(F.conv2d(l, block.W_l.weight) + up), block.phi.weight, block.phi.bias).flatten(1)
        expected = c.softmax(1) if block.normalize_attn else c.sigmoid()
        torch.testing.assert_close(attnmel.attention(X)[1].flatten(1), expected, rtol=1e-4, atol=1e-6)


def test_its_weights_bear_the_names_of_the_public_release() -> None:
    state = AttnMel(2).state_dict()
    shapes = {
        "conv_block1.0.weight": (64, 3, 3, 3),
        "conv_block5.6.weight": (512, 512, 3, 3),
        "attn1.W_l.weight": (256, 256, 1, 1),
        "attn1.W_g.weight": (256, 512, 1, 1),
        "attn2.phi.bias": (1,),
        "cls.weight": (2, 1280),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert {name.split(".")[0] for name in state} == {*(f"conv_block{i}" for i in range(1, 6)), "attn1", "attn2", "cls"}
    assert "attn1.W_l.bias" not in state


def test_any_size_works_and_too_small_ones_are_refused() -> None:
    network = AttnMel(2).eval()
    assert [a.shape for a in network.attention(torch.rand(1, 3, 112, 75))] == [(1, 1, 14, 9), (1, 1, 7, 4)]
    assert network(torch.rand(1, 3, 112, 75)).shape == (1, 2)
    with pytest.raises(ModelError, match="at least 32 x 32, got 100 x 31"):
        network(torch.rand(1, 3, 100, 31))
