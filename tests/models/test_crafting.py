"""An attack gets the model still, frozen, in the precision of the search, and every pass is counted for its image."""

from collections.abc import Callable

import pytest
import torch

from robustdx.draws import Draws
from robustdx.models import DiagnosticModel, Subject, searching, still
from robustdx.tasks import MultiClass

TASK = MultiClass(("a", "b", "c"))
X = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))
DRAWS = Draws(0, ("one", "two"))


@pytest.fixture
def model(make_tiny: Callable) -> DiagnosticModel:
    return DiagnosticModel(make_tiny(), TASK, size=(16, 16)).train()


def test_inside_the_block_the_model_is_in_eval_mode_and_frozen(model: DiagnosticModel) -> None:
    with still(model):
        assert not any(module.training for module in model.modules())
        assert not any(p.requires_grad for p in model.parameters())


def test_after_the_block_modes_and_flags_are_as_they_were(model: DiagnosticModel) -> None:
    model.network.features[1].eval()
    model.network.head.bias.requires_grad_(False)
    before = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    with pytest.raises(KeyboardInterrupt), still(model):
        raise KeyboardInterrupt
    assert ([m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]) == before


def test_no_gradients_are_left_behind_and_no_statistics_move(model: DiagnosticModel) -> None:
    mean = model.network.features[1].running_mean.clone()
    x = X.clone().requires_grad_()
    with still(model):
        torch.autograd.grad(model(x).sum(), x)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(model.network.features[1].running_mean, mean)


def test_an_exported_program_can_be_held_still(make_tiny: Callable) -> None:
    network = make_tiny()
    program = DiagnosticModel(torch.export.export(network, (X,)).module(), TASK)
    with still(program):
        torch.testing.assert_close(program(X), network(X))
        assert not any(p.requires_grad for p in program.parameters())


def test_passes_are_counted_for_the_images_that_took_part(model: DiagnosticModel) -> None:
    subject = Subject(model.eval())
    x = X.clone().requires_grad_()
    subject(x, DRAWS).sum().backward()
    with torch.no_grad():
        subject(X[1:], DRAWS.take([1]))
        subject.exact(X[1:], DRAWS.take([1]))
    assert subject.forwards == {"one": 1, "two": 3}
    assert subject.backwards == {"one": 1, "two": 1}


def test_a_search_in_bfloat16_keeps_the_exact_model_beside_it(model: DiagnosticModel) -> None:
    with still(model), torch.no_grad():
        subject = searching(model, "bfloat16")
        assert torch.equal(subject.exact(X, DRAWS), model(X))
        assert not torch.equal(subject(X, DRAWS), model(X))
        torch.testing.assert_close(subject(X, DRAWS), model(X), atol=0.1, rtol=0.05)
        assert subject.task is TASK


def test_a_search_in_float32_is_the_model_itself(model: DiagnosticModel) -> None:
    assert searching(model, "float32").fast is model
