"""A gradient is put in place of none: the answers stay, to the last bit, and an attack can follow them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from robustdx.attacks import PGD
from robustdx.draws import Draws
from robustdx.models import Defended, DiagnosticModel, still
from robustdx.models.reconnected import Reconnected
from robustdx.tasks import MultiClass
from robustdx.threats import Linf

X = torch.randint(1, 255, (4, 3, 8, 8), generator=torch.Generator().manual_seed(0)) / 255
DRAWS = Draws(0, tuple("abcd"))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


class Before(nn.Module):
    """A network behind a function of its images."""

    def __init__(self, change):
        super().__init__()
        self.change, self.rest = change, network()

    def forward(self, x):
        return self.rest(self.change(x))


class After(Before):
    def forward(self, x):
        return self.change(self.rest(x))


class Backwards(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -grad


class Rounding(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return torch.from_numpy(np.round(x.detach().numpy() * 15) / 15)

    @staticmethod
    def setup_context(ctx, inputs, output): ...

    @staticmethod
    def backward(ctx, grad):
        return torch.zeros_like(grad)


@torch.no_grad()
def jpeg(x):
    def one(image):
        file = io.BytesIO()
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=90)
        return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float() / 255

    return torch.stack([one(image) for image in x])


def thermometer(x):
    levels = torch.linspace(0, 0.9, 16)
    return (x[..., None] > levels).float().mean(-1)


def in_place(x):
    x = x * 15
    x.round_()
    return x.div_(15)


def hooked(x):
    x = x * 1.0
    if x.requires_grad:
        x.register_hook(lambda grad: torch.zeros_like(grad))
    return x


BEFORE = {
    "rounding": lambda x: torch.round(x * 15) / 15,
    "rounding in place": in_place,
    "whole numbers and back": lambda x: (x * 255).byte().float() / 255,
    "detached": lambda x: x.detach() * 1.0,
    "data": lambda x: x.data.clone(),
    "numpy": lambda x: torch.from_numpy(x.detach().numpy().copy()),
    "jpeg by Pillow": jpeg,
    "thermometer": thermometer,
    "wrong sign": lambda x: Backwards.apply(x),
    "wrong sign, bound early": Backwards.apply,
    "a backward pass of zeros": Rounding.apply,
    "a hook that erases": hooked,
    "clipped": lambda x: x.clamp(0.3, 0.7),
    "infinite before it is clipped": lambda x: torch.logit((x * 6).round() / 6).clamp(-3, 3).sigmoid(),
    "cancelling": lambda x: x - 3 * x + 3 * x.detach(),
}
AFTER = {
    "rounded outputs": lambda z: torch.round(z * 20) / 20,
    "squashed": lambda z: torch.sigmoid(z * 300 + 30),
    "shares of 0 and 1": lambda z: (z * 1000).softmax(1).clamp_min(1e-30).log(),
    "detached outputs": lambda z: z.detach(),
}


def wrapped(network):
    return DiagnosticModel(network, MultiClass(tuple("abc")), size=(8, 8)).eval()


@pytest.fixture(params=[*(Before(f) for f in BEFORE.values()), *(After(f) for f in AFTER.values())], ids=[*BEFORE, *AFTER])
def model(request):
    return wrapped(request.param)


def test_the_answers_are_the_model_s_to_the_last_bit(model):
    x = X.clone().requires_grad_()
    assert torch.equal(Reconnected(model)(x, DRAWS), model(X, DRAWS))


def slope(model, x):
    x = x.clone().requires_grad_()
    outputs = model(x, DRAWS)
    return torch.autograd.grad((outputs[:, 1] - outputs[:, 0]).sum(), x)[0]


def test_the_gradient_points_where_the_bare_network_s_does(model):
    bare = slope(wrapped(model.network.rest), X)
    found = slope(Reconnected(model), X)
    assert torch.cosine_similarity(found.flatten(1), bare.flatten(1)).min() > 0.5


def test_a_network_without_tricks_keeps_its_gradient():
    model = wrapped(nn.Sequential(network()[:2], nn.BatchNorm2d(4), nn.Hardswish(), nn.Flatten(), nn.Linear(144, 3)))
    torch.testing.assert_close(slope(Reconnected(model), X), slope(model, X))


def test_an_attack_on_it_breaks_what_an_attack_on_the_model_does_not():
    model = wrapped(Before(BEFORE["detached"]))
    y = model(X).argmax(1)
    with still(model):
        x_adv = PGD(steps=20)(Reconnected(model), X, y, Linf(32 / 255), DRAWS)
    assert (model(x_adv).argmax(1) != y).all()


def test_hooks_and_functions_are_back_afterwards(model):
    model.network.rest.register_full_backward_hook(lambda module, grad, out: None)
    written = torch.autograd.Function.__dict__["apply"]
    slope(Reconnected(model), X)
    assert torch.autograd.Function.__dict__["apply"] is written
    assert len(model.network.rest._backward_hooks) == 1


def test_without_a_gradient_to_follow_nothing_is_done(model):
    with torch.no_grad():
        assert torch.equal(Reconnected(model)(X, DRAWS), model(X, DRAWS))


def test_a_purifier_s_rounding_is_followed_too():
    model = wrapped(network())
    defended = Defended(model, lambda x, draws: (x * 7).round() / 7)
    assert not slope(defended, X).any()
    assert torch.cosine_similarity(slope(Reconnected(defended), X).flatten(1), slope(model, X).flatten(1)).min() > 0.5
