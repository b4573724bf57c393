"""A model behind a purifier is a model: same call, same draws for an image in any batch."""

from collections.abc import Callable

import pytest
import torch

from robustdx.draws import Draws
from robustdx.errors import ImageError
from robustdx.models import Defended, DiagnosticModel, still
from robustdx.tasks import MultiClass, Targeted

TASK = MultiClass(("a", "b", "c"))
X = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(5))
DRAWS = Draws(7, ("one", "two", "three"))


def noisy(x: torch.Tensor, draws: Draws) -> torch.Tensor:
    return (x + draws.uniform(-0.2, 0.2, like=x)).clamp(0, 1)


@pytest.fixture
def model(make_tiny: Callable) -> DiagnosticModel:
    return DiagnosticModel(make_tiny(), TASK, size=(16, 16), mean=(0.5,) * 3, std=(0.2,) * 3, order=(1, 2, 0)).eval()


def test_the_network_sees_the_purified_images(model: DiagnosticModel) -> None:
    assert torch.equal(Defended(model, lambda x, draws: 1 - x)(X), model(1 - X))


def test_an_image_draws_the_same_in_any_batch(model: DiagnosticModel) -> None:
    defended = Defended(model, noisy)
    alone = defended(X[1:2], DRAWS.take([1]))
    torch.testing.assert_close(defended(X, DRAWS)[1:2], alone)
    assert not torch.allclose(defended(X, DRAWS), model(X), atol=1e-3)
    assert torch.equal(defended(X), defended(X))


def test_pixels_are_checked_before_the_purifier_could_hide_them(model: DiagnosticModel) -> None:
    with pytest.raises(ImageError):
        Defended(model, lambda x, draws: x.clamp(0, 1))(X * 3)


def half_size(x: torch.Tensor, draws: Draws) -> torch.Tensor:
    return x[:, :, ::2, ::2]


def brighter(x: torch.Tensor, draws: Draws) -> torch.Tensor:
    return x + 1


def divided(x: torch.Tensor, draws: Draws) -> torch.Tensor:
    return x * 0 / 0


class Words:
    def __call__(self, x: torch.Tensor, draws: Draws) -> str:
        return "clean"


@pytest.mark.parametrize(
    ("purifier", "told"),
    [
        (half_size, r"half_size: expected \(3, 16, 16\), got \(3, 8, 8\): give the images back"),
        (lambda x, draws: x[:1], r"<lambda>: expected \(3, 3, 16, 16\), got \(1, 3, 16, 16\)"),
        (lambda x, draws: x[0], r"<lambda>: expected .*, got \(3, 16, 16\)"),
        (brighter, r"brighter: expected pixels in \[0, 1\], got \[1, 2\]: clamp"),
        (divided, "divided: expected pixels in .*, got NaN: look for"),
        (Words(), "Words: expected a tensor of images, got str: return"),
    ],
)
def test_a_purifier_that_gives_back_no_such_images_is_refused_by_name(model: DiagnosticModel, purifier: Callable, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        Defended(model, purifier)(X, DRAWS)


def test_gradients_go_through_the_purifier(model: DiagnosticModel) -> None:
    x = X.clone().requires_grad_()
    (through,) = torch.autograd.grad(Defended(model, lambda x, draws: x * 0.5)(x).sum(), x)
    half = (X * 0.5).requires_grad_()
    (bare,) = torch.autograd.grad(model(half).sum(), half)
    torch.testing.assert_close(through, bare * 0.5)


def test_another_task_and_another_precision_keep_the_purifier(model: DiagnosticModel) -> None:
    defended = Defended(model, noisy)
    assert torch.equal(defended.with_task(Targeted(TASK))(X, DRAWS), defended(X, DRAWS))
    fast = defended.in_precision(torch.bfloat16)
    assert fast.dtype == torch.bfloat16
    assert not fast.training
    torch.testing.assert_close(fast(X, DRAWS), defended(X, DRAWS), atol=0.1, rtol=0.05)


def test_a_defence_may_stand_before_a_defence(model: DiagnosticModel) -> None:
    twice = Defended(Defended(model, lambda x, draws: x * 0.5), lambda x, draws: 1 - x)
    torch.testing.assert_close(twice(X), model((1 - X) * 0.5))
    assert torch.equal(twice.in_precision(torch.float32).with_task(TASK)(X).argmax(1), twice(X).argmax(1))


def test_it_can_be_held_still(model: DiagnosticModel) -> None:
    defended = Defended(model, noisy)
    with still(defended):
        assert not any(p.requires_grad for p in defended.parameters())
    assert all(p.requires_grad for p in model.parameters())
