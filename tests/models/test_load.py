"""From words to a model: sources with weights of their own, the data's classes, and what is refused."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from robustdx.errors import ModelError, WeightsError
from robustdx.models import ModelSpec, load, new, save

CLASSES = ("a", "b", "c")
X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
SMALL = {"timm:resnet10t": 64, "torchvision:mobilenet_v3_small": 64, "cnn": 32}


def logits(model: torch.nn.Module, x: torch.Tensor = X) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(x)


@pytest.mark.parametrize("source", SMALL)
def test_a_saved_model_loads_again_and_answers_the_same(source: str, tmp_path: Path) -> None:
    spec = ModelSpec(source, size=SMALL[source])
    model = new(spec, "multiclass", CLASSES)
    save(model, spec, tmp_path)
    again = load(ModelSpec(str(tmp_path)), "multiclass", CLASSES)
    assert torch.equal(logits(model), logits(again))
    assert again.size == (SMALL[source],) * 2
    assert not again.training


def test_a_timm_network_takes_weights_from_safetensors_and_from_a_state_dict(tmp_path: Path) -> None:
    network = timm.create_model("resnet10t", num_classes=3).eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": {"module." + k: v for k, v in network.state_dict().items()}, "epoch": 3}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        model = load(ModelSpec("timm:resnet10t", weights=str(tmp_path / name), size=64), "multiclass", CLASSES)
        expected = network(
            (X - torch.tensor(network.pretrained_cfg["mean"])[:, None, None]) / torch.tensor(network.pretrained_cfg["std"])[:, None, None]
        )
        torch.testing.assert_close(logits(model), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_a_binary_network_may_have_one_output_or_two(count: int, tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet10t", num_classes=count).state_dict(), tmp_path / "w.pt")
    model = load(ModelSpec("timm:resnet10t", weights=str(tmp_path / "w.pt"), size=64), "binary", ("no", "yes"))
    assert logits(model).shape == (2, count)


def test_random_weights_are_not_audited() -> None:
    with pytest.raises(WeightsError, match="give weights=FILE"):
        load(ModelSpec("timm:resnet10t"), "multiclass", CLASSES)


def test_classes_in_another_order_are_put_in_the_order_of_the_data(tmp_path: Path) -> None:
    spec = ModelSpec("cnn", size=32)
    model = new(spec, "multiclass", CLASSES)
    save(model, spec, tmp_path / "one")
    other = load(ModelSpec(str(tmp_path / "one")), "multiclass", ("c", "a", "b"))
    assert torch.equal(logits(other), logits(model)[:, [2, 0, 1]])
    save(other, ModelSpec(str(tmp_path / "one")), tmp_path / "two")
    assert torch.equal(logits(load(ModelSpec(str(tmp_path / "two")), "multiclass", CLASSES)), logits(model))


def test_other_classes_are_refused(tmp_path: Path) -> None:
    spec = ModelSpec("cnn", size=32)
    save(new(spec, "multiclass", CLASSES), spec, tmp_path)
    with pytest.raises(ModelError, match=r"tells apart 3 classes \(a, b, c\), the data 2 classes \(a, d\)"):
        load(ModelSpec(str(tmp_path)), "multiclass", ("a", "d"))


def test_an_unknown_network_is_refused_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean resnet18"):
        load(ModelSpec("torchvision:resnet81"), "multiclass", CLASSES)
