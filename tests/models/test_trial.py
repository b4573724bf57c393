"""Two images of noise are shown to every model that is loaded: mistakes in what was said about it come out there."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from robustdx.errors import ModelError, WeightsError
from robustdx.models import DiagnosticModel, ModelSpec, load, new
from robustdx.models.trial import require_sound, warn_of_probabilities
from robustdx.tasks import Binary, MultiClass, Task

TASK = MultiClass(("a", "b", "c"))


def model_of(network: nn.Module, task: Task = TASK, outputs: str = "logits") -> DiagnosticModel:
    return DiagnosticModel(network, task, size=(32, 32), outputs=outputs)  # type: ignore[arg-type]


class Averaged(nn.Module):
    """Two sigmoids, and their mean: no activation stands last."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        z = self.inner(x)
        return (z.sigmoid() + (z / 2).sigmoid()) / 2


def endings(make_tiny: Callable) -> dict[str, tuple[nn.Module, Task]]:
    return {
        "ends in a softmax": (make_tiny(ending=nn.Softmax(dim=1)), TASK),
        "ends in a sigmoid": (make_tiny(1, ending=nn.Sigmoid()), Binary()),
        "sum to 1": (nn.Sequential(make_tiny(ending=nn.Softmax(dim=1)), nn.Hardtanh(0, 1)), TASK),
        "lie between 0 and 1": (Averaged(make_tiny(1)), Binary()),
    }


@pytest.mark.parametrize("why", ["ends in a softmax", "ends in a sigmoid", "sum to 1", "lie between 0 and 1"])
def test_probabilities_read_as_logits_are_warned_of_and_not_guessed(why: str, make_tiny: Callable) -> None:
    network, task = endings(make_tiny)[why]
    model = model_of(network, task)
    with pytest.warns(UserWarning, match=rf'theirs is read as giving logits, but .*{why}.* say outputs = "probabilities"'):
        warn_of_probabilities(model, "theirs")
    assert model.outputs == "logits"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_probabilities(model_of(network, task, "probabilities"), "theirs")


@pytest.mark.parametrize("classes", [1, 2])
def test_logits_raise_no_alarm_even_where_they_lie_between_0_and_1(classes: int, make_tiny: Callable) -> None:
    network = make_tiny(classes)
    network.head.weight.data *= 0.01
    network.head.bias.data[:] = 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_probabilities(model_of(network, Binary()), "theirs")


def test_logits_read_as_probabilities_are_refused(make_tiny: Callable) -> None:
    network = make_tiny()
    network.head.bias.data[0] = 7
    with pytest.raises(ModelError, match="say outputs='logits'"):
        require_sound(model_of(network, outputs="probabilities"), "theirs")


def test_a_network_that_mixes_its_images_is_refused(make_tiny: Callable) -> None:
    class Mixing(nn.Module):
        inner = make_tiny()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) - self.inner(x).mean(0)

    with pytest.raises(ModelError, match="answers differently when an image stands in another batch"):
        require_sound(model_of(Mixing()), "theirs")


def test_answers_that_are_not_numbers_are_refused(make_tiny: Callable) -> None:
    network = make_tiny()
    network.features[1].running_var[:] = -1
    with pytest.raises(WeightsError, match="answers NaN or infinity"):
        require_sound(model_of(network), "theirs")


def test_a_size_that_does_not_fit_is_refused_with_the_reason(make_tiny: Callable) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))
    with pytest.raises(ModelError, match=r"theirs cannot take images of 3 x 32 x 32 .*mat1 and mat2 .*: give another size"):
        require_sound(model_of(network), "theirs")


def test_the_mode_of_the_model_stays_as_it_was(make_tiny: Callable) -> None:
    model = model_of(make_tiny()).train()
    mean = model.network.features[1].running_mean.clone()
    require_sound(model, "theirs")
    assert model.training
    assert torch.equal(model.network.features[1].running_mean, mean)


@pytest.mark.parametrize("source", ["timm:vit_tiny_patch16_224", "torchvision:vit_b_32", "timm:resnet10t"])
def test_networks_for_one_size_are_made_for_the_size_that_is_asked_for(source: str) -> None:
    model = new(ModelSpec(source, size=64), "binary", ("no", "yes"))
    assert model.size == (64, 64)
    assert model.training


def test_weights_for_another_size_are_refused_in_words(tmp_path: Path) -> None:
    small = new(ModelSpec("timm:vit_tiny_patch16_224", size=64), "binary", ("no", "yes"))
    torch.save(small.network.state_dict(), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"pos_embed is \(1, 17, 192\), expected \(1, 37, 192\).*check architecture, size"):
        load(ModelSpec("timm:vit_tiny_patch16_224", weights=str(tmp_path / "w.pt"), size=96), "binary", ("no", "yes"))
