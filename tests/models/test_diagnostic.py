"""Pixels in [0, 1] go in, float32 logits come out, whatever network is inside."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustdx.draws import Draws
from robustdx.errors import ImageError, ModelError
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, Targeted

TASK = MultiClass(("a", "b", "c"))
MEAN, STD = (0.7, 0.5, 0.4), (0.1, 0.2, 0.3)
X = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(5))


def test_the_network_sees_normalised_images(make_tiny: Callable) -> None:
    network = make_tiny()
    model = DiagnosticModel(network, TASK, mean=MEAN, std=STD)
    expected = network((X - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))
    torch.testing.assert_close(model(X), expected)


def test_without_mean_and_std_it_sees_the_very_pixels(make_tiny: Callable) -> None:
    assert DiagnosticModel(make_tiny(), TASK).prepared(X) is X


@pytest.mark.parametrize("x", [X * 255, X - 1, X.where(X < 0.9, float("nan"))])
def test_images_outside_the_unit_range_are_refused(x: Tensor, make_tiny: Callable) -> None:
    with pytest.raises(ImageError, match=r"must lie in \[0, 1\].*give mean and std to DiagnosticModel"):
        DiagnosticModel(make_tiny(), TASK)(x)


def test_grey_images_are_refused_by_a_network_for_colour(make_tiny: Callable) -> None:
    with pytest.raises(ModelError, match="takes 3 channels"):
        DiagnosticModel(make_tiny(), TASK, mean=MEAN, std=STD)(X[:, :1])


def test_outputs_that_do_not_fit_the_task_are_refused(make_tiny: Callable) -> None:
    with pytest.raises(ModelError, match=r"expects outputs of shape \(B, 3\), the network gives \(4, 5\)"):
        DiagnosticModel(make_tiny(5), TASK)(X)


@pytest.mark.parametrize("std", [(0.1, 0.2, 0.0), (0.1,)])
def test_a_wrong_normalisation_is_refused(std: tuple[float, ...], make_tiny: Callable) -> None:
    with pytest.raises(ModelError, match="as many means as standard deviations"):
        DiagnosticModel(make_tiny(), TASK, mean=MEAN, std=std)


@pytest.mark.parametrize("form", [lambda z: (z, "aux"), lambda z: [z], lambda z: SimpleNamespace(logits=z)])
def test_logits_are_found_among_what_networks_return(form: Callable, make_tiny: Callable) -> None:
    class Wrapped(nn.Module):
        inner = make_tiny()

        def forward(self, x: Tensor) -> object:
            return form(self.inner(x))

    assert torch.equal(DiagnosticModel(Wrapped(), TASK)(X), Wrapped.inner(X))


def test_one_logit_may_come_without_a_second_dimension(make_tiny: Callable) -> None:
    class Flat(nn.Module):
        inner = make_tiny(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)[:, 0]

    assert torch.equal(DiagnosticModel(Flat(), Binary())(X), Flat.inner(X))


def test_a_network_that_returns_no_tensor_is_refused() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> dict:
            return {"out": x}

    with pytest.raises(ModelError, match="expected the network to return a tensor, got dict"):
        DiagnosticModel(Odd(), TASK)(X)


def test_outputs_are_put_in_the_order_of_the_task(make_tiny: Callable) -> None:
    network = make_tiny()
    assert torch.equal(DiagnosticModel(network, TASK, order=(2, 0, 1))(X), network(X)[:, [2, 0, 1]])


@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes_in_the_other_order_turn_the_decision(outputs: int, make_tiny: Callable) -> None:
    network, task = make_tiny(outputs), Binary(("no", "yes"))
    p, q = (task.probabilities(DiagnosticModel(network, task, order=order)(X)) for order in (None, (1, 0)))
    torch.testing.assert_close(p, q.flip(1))


def test_resize_moves_the_attack_to_the_original_size(make_tiny: Callable) -> None:
    network = make_tiny()
    model = DiagnosticModel(network, TASK, size=(16, 16), resize=True)
    x = torch.rand(2, 3, 40, 30, requires_grad=True)
    expected = network(F.interpolate(x, (16, 16), mode="bilinear", antialias=True))
    torch.testing.assert_close(model(x), expected)
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    assert gradient.shape == x.shape
    assert torch.equal(model(X), network(X))


def test_resize_needs_a_size(make_tiny: Callable) -> None:
    with pytest.raises(ModelError, match="give size="):
        DiagnosticModel(make_tiny(), TASK, resize=True)


def test_another_task_shares_the_weights(make_tiny: Callable) -> None:
    model = DiagnosticModel(make_tiny(), TASK, mean=MEAN, std=STD, order=(2, 1, 0))
    other = model.with_task(Targeted(TASK))
    assert other.network is model.network
    assert torch.equal(other(X), model(X))


class TestPrecision:
    def test_a_copy_computes_in_bfloat16_and_answers_in_float32(self, make_tiny: Callable) -> None:
        model = DiagnosticModel(make_tiny(), TASK, size=(16, 16), mean=MEAN, std=STD).eval()
        fast = model.in_precision(torch.bfloat16)
        assert (fast.dtype, model.dtype, fast(X).dtype) == (torch.bfloat16, torch.float32, torch.float32)
        assert {p.dtype for p in model.network.parameters()} == {torch.float32}
        torch.testing.assert_close(fast(X), model(X), atol=0.1, rtol=0.05)
        assert fast.prepared(X).is_contiguous(memory_format=torch.channels_last)

    def test_a_float32_copy_is_the_same_network(self, make_tiny: Callable) -> None:
        model = DiagnosticModel(make_tiny(), TASK, size=(16, 16)).eval()
        torch.testing.assert_close(model.in_precision(torch.float32)(X), model(X), atol=1e-5, rtol=1e-5)

    def test_training_mode_is_kept_and_statistics_are_not_touched(self, make_tiny: Callable) -> None:
        model = DiagnosticModel(make_tiny(), TASK, size=(16, 16)).train()
        before = model.network.features[1].running_mean.clone()
        fast = model.in_precision(torch.bfloat16)
        assert fast.training
        assert fast.network.features[1].training
        assert torch.equal(fast.network.features[1].running_mean.float(), before.bfloat16().float())

    def test_a_network_that_insists_on_float32_stays_there(self, make_tiny: Callable) -> None:
        class Insists(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = make_tiny()

            def forward(self, x: Tensor) -> Tensor:
                return self.inner(x.float())

        model = DiagnosticModel(Insists(), TASK, size=(16, 16)).eval()
        fast = model.in_precision(torch.bfloat16)
        assert fast.dtype == torch.float32
        assert torch.equal(fast(X), model(X))

    def test_a_network_that_overflows_stays_in_float32(self) -> None:
        class Large(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.head = nn.Linear(3, 3)

            def forward(self, x: Tensor) -> Tensor:
                return self.head(x.mean((2, 3))) * 1e6 / 1e6

        model = DiagnosticModel(Large(), TASK, size=(16, 16)).eval()
        assert model.in_precision(torch.float16).dtype == torch.float32
        assert model.in_precision(torch.bfloat16).dtype == torch.bfloat16

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
    def test_a_frozen_program_stays_in_float32(self, make_tiny: Callable) -> None:
        model = DiagnosticModel(torch.jit.freeze(torch.jit.script(make_tiny())), TASK, size=(16, 16))
        fast = model.in_precision(torch.bfloat16)
        assert fast.dtype == torch.float32
        assert torch.equal(fast(X), model(X))


def test_an_exported_program_in_memory_can_be_set_to_eval(make_tiny: Callable) -> None:
    network = make_tiny()
    program = torch.export.export(network, (X,)).module()
    model = DiagnosticModel(program, TASK).eval()
    torch.testing.assert_close(model(X, Draws(0, ("a", "b", "c", "d"))), network(X))


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_normalisation_is_the_same_for_every_layout_size_and_batch(form: torch.memory_format, make_tiny: Callable) -> None:
    model = DiagnosticModel(make_tiny(), TASK, mean=MEAN, std=STD)
    with torch.inference_mode():
        model(X)
    for shape in ((4, 3, 16, 16), (1, 3, 16, 16), (2, 3, 20, 9)):
        x = torch.rand(shape).contiguous(memory_format=form).requires_grad_()
        expected = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        torch.testing.assert_close(model.prepared(x), expected, atol=1e-5, rtol=1e-5)
        (gradient,) = torch.autograd.grad(model.prepared(x).sum(), x)
        torch.testing.assert_close(gradient, (1 / torch.tensor(STD).view(3, 1, 1)).expand_as(x))
