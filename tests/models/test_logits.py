"""Networks that end in a sigmoid or softmax: the same logits and gradients as if they did not, even where p is 1 - 1e-17."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustdx.errors import ModelError
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary, MultiClass, MultiLabel, Task

ABC = ("a", "b", "c")
X = torch.rand(5, 3, 2, 2, generator=torch.Generator().manual_seed(3))
FINDINGS = torch.tensor([[0.0, 1.0, 1.0]]).repeat(5, 1)
INDEX = torch.ones(5, dtype=torch.long)


class Ending(nn.Module):
    """A linear network whose logits lie near `bias`, then an activation."""

    def __init__(self, bias: list[float], ending: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(12, len(bias))
        self.linear.bias.data = torch.tensor(bias)
        self.ending = ending

    def forward(self, x: Tensor) -> Tensor:
        return self.ending(self.linear(x.flatten(1)))


def logits_and_gradient(network: nn.Module, task: Task, y: Tensor, outputs: str) -> tuple[Tensor, Tensor]:
    x = X.clone().requires_grad_()
    logits = DiagnosticModel(network, task, outputs=outputs)(x)  # type: ignore[arg-type]
    return logits.detach(), torch.autograd.grad(task.loss(logits, y).sum(), x)[0]


SIGMOIDS = {
    "nn.Sigmoid": nn.Sigmoid(),
    "torch.sigmoid": torch.sigmoid,
    "x.sigmoid": lambda z: z.sigmoid(),
    "x.sigmoid_": lambda z: z.sigmoid_(),
    "F.sigmoid": F.sigmoid,
    "squeezed": lambda z: z.sigmoid().squeeze(-1),
    "heads": lambda z: torch.cat([z[:, i : i + 1].sigmoid() for i in range(z.shape[1])], 1),
    "batches": lambda z: torch.cat([z[:2].sigmoid(), z[2:].sigmoid()]),
}
SOFTMAXES = {
    "nn.Softmax": nn.Softmax(dim=1),
    "torch.softmax": lambda z: torch.softmax(z, 1),
    "x.softmax": lambda z: z.softmax(-1),
    "F.softmax": lambda z: F.softmax(z, dim=1),
}


@pytest.mark.parametrize("ending", SIGMOIDS)
@pytest.mark.parametrize(
    ("task", "bias", "y"), [(Binary(), [-40.0], INDEX), (Binary(), [40.0], INDEX * 0), (MultiLabel(ABC), [40.0, -40.0, 0.0], FINDINGS)]
)
def test_a_sigmoid_is_seen_through(ending: str, task: Task, bias: list[float], y: Tensor) -> None:
    expected = logits_and_gradient(Ending(bias, nn.Identity()), task, y, "logits")
    torch.testing.assert_close(logits_and_gradient(Ending(bias, SIGMOIDS[ending]), task, y, "probabilities"), expected)


@pytest.mark.parametrize("ending", SOFTMAXES)
@pytest.mark.parametrize(
    ("task", "bias"), [(Binary(), [40.0, -40.0]), (MultiClass(ABC), [40.0, -40.0, 0.0]), (MultiClass(ABC), [200.0, -200.0, 0.0])]
)
def test_a_softmax_is_seen_through(ending: str, task: Task, bias: list[float]) -> None:
    expected = logits_and_gradient(Ending(bias, nn.Identity()), task, INDEX, "logits")
    torch.testing.assert_close(logits_and_gradient(Ending(bias, SOFTMAXES[ending]), task, INDEX, "probabilities"), expected)


def scripted(network: nn.Module) -> nn.Module:
    return torch.jit.script(network)


def frozen(network: nn.Module) -> nn.Module:
    return torch.jit.freeze(torch.jit.script(network.eval()))


def traced(network: nn.Module) -> nn.Module:
    return torch.jit.trace(network, X)


def exported(network: nn.Module) -> nn.Module:
    return torch.export.export(network, (X,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("form", [scripted, frozen, traced, exported])
@pytest.mark.parametrize(
    ("ending", "task", "bias", "y"),
    [(nn.Sigmoid(), Binary(), [-40.0], INDEX), (nn.Softmax(dim=1), MultiClass(ABC), [40.0, -40.0, 0.0], INDEX)],
)
def test_programs_are_seen_through_too_however_often_they_ran(
    form: Callable, ending: nn.Module, task: Task, bias: list[float], y: Tensor
) -> None:
    expected = logits_and_gradient(Ending(bias, nn.Identity()), task, y, "logits")
    program = form(Ending(bias, ending))
    for _ in range(3):
        torch.testing.assert_close(logits_and_gradient(program, task, y, "probabilities"), expected)


def test_one_sigmoid_per_class_keeps_the_proportions_of_its_probabilities() -> None:
    network = Ending([1.0, -1.0, 0.0], torch.sigmoid)
    logits, _ = logits_and_gradient(network, MultiClass(ABC), INDEX, "probabilities")
    p = network(X).detach()
    torch.testing.assert_close(logits.softmax(1), p / p.sum(1, keepdim=True))


def test_a_softmax_over_findings_keeps_each_probability() -> None:
    network = Ending([1.0, -1.0, 0.0], SOFTMAXES["nn.Softmax"])
    logits, _ = logits_and_gradient(network, MultiLabel(ABC), FINDINGS, "probabilities")
    torch.testing.assert_close(logits.sigmoid(), network(X).detach())


def test_a_mean_of_probabilities_is_turned_back_into_logits() -> None:
    network = Ending([4.0, -4.0, 0.0], lambda z: (z.softmax(1) + (z / 2).softmax(1)) / 2)
    logits, gradient = logits_and_gradient(network, MultiClass(ABC), INDEX, "probabilities")
    torch.testing.assert_close(logits.softmax(1), network(X).detach())
    assert gradient.abs().amax() > 0.1


def test_what_happens_to_probabilities_afterwards_is_not_lost() -> None:
    network = Ending([0.5], lambda z: z.sigmoid() * 0.5)
    logits, _ = logits_and_gradient(network, Binary(), INDEX, "probabilities")
    torch.testing.assert_close(logits.sigmoid(), network(X).detach())


def test_logits_are_not_taken_for_probabilities() -> None:
    with pytest.raises(ModelError, match="say outputs='logits'"):
        logits_and_gradient(Ending([4.0, -4.0, 0.0], nn.Identity()), MultiClass(ABC), INDEX, "probabilities")


def test_gradients_stay_alive_in_bfloat16() -> None:
    model = DiagnosticModel(Ending([-40.0], torch.sigmoid), Binary(), size=(2, 2), outputs="probabilities").in_precision(torch.bfloat16)
    assert model.dtype == torch.bfloat16
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Binary().loss(model(x), INDEX).sum(), x)
    _, expected = logits_and_gradient(Ending([-40.0], nn.Identity()), Binary(), INDEX, "logits")
    torch.testing.assert_close(gradient, expected, rtol=0.02, atol=0.01)


def test_gates_inside_a_network_are_left_alone() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.inner = nn.Parameter(torch.tensor(0.3)), Ending([40.0, -40.0, 0.0], nn.Softmax(dim=1))

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x * torch.sigmoid(self.gate))

    gated = Gated()
    logits, _ = logits_and_gradient(gated, MultiClass(ABC), INDEX, "probabilities")
    gated.inner.ending = nn.Identity()
    torch.testing.assert_close(logits, gated(X).detach())
