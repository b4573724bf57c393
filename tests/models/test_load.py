"""From words to a model: sources with weights of their own, the data's classes, and what is refused."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from robustdx.errors import ModelError, PlanError, WeightsError
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
    with pytest.raises(ModelError, match=r"'xyzzy': give one of its .*, like resnet18"):
        load(ModelSpec("timm:xyzzy"), "multiclass", CLASSES)


def test_a_model_for_one_answer_is_not_asked_for_findings(tmp_path: Path) -> None:
    spec = ModelSpec("cnn", size=32)
    save(new(spec, "multiclass", CLASSES), spec, tmp_path)
    with pytest.raises(ModelError, match="was trained for multiclass labels, the data has multilabel labels"):
        load(ModelSpec(str(tmp_path)), "multilabel", CLASSES)


def test_what_the_user_says_wins_over_the_configuration(tmp_path: Path) -> None:
    spec = ModelSpec("timm:resnet10t", size=(64, 96))
    save(new(spec, "multiclass", CLASSES), spec, tmp_path)
    own = load(ModelSpec(str(tmp_path)), "multiclass", CLASSES)
    asked = load(ModelSpec(str(tmp_path), size=48, mean=(0.5,) * 3, std=(0.25,) * 3), "multiclass", CLASSES)
    assert (own.size, own.mean.flatten().tolist()) == ((64, 96), pytest.approx([0.485, 0.456, 0.406]))
    assert (asked.size, asked.mean.flatten().tolist()) == ((48, 48), [0.5, 0.5, 0.5])


def test_grey_images_are_asked_for_with_one_mean(tmp_path: Path) -> None:
    spec = ModelSpec("timm:resnet10t", size=64, mean=(0.5,), std=(0.25,))
    model = new(spec, "multiclass", CLASSES)
    save(model, spec, tmp_path)
    again = load(ModelSpec(str(tmp_path)), "multiclass", CLASSES)
    assert again.channels == 1
    assert torch.equal(logits(model, X[:, :1]), logits(again, X[:, :1]))


@pytest.mark.parametrize(("size", "shape"), [(None, None), (64, (64, 64)), ((64,), (64, 64)), ((48, 64), (48, 64)), ([48, 64], (48, 64))])
def test_a_size_is_one_number_or_height_and_width(size: object, shape: object) -> None:
    assert ModelSpec("cnn", size=size).shape == shape  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [{"size": 0}, {"size": (1, 2, 3)}, {"size": (8.5,)}, {"mean": (0.5,)}])
def test_a_spec_that_means_nothing_is_refused(words: dict) -> None:
    with pytest.raises(PlanError, match="expected"):
        ModelSpec("cnn", **words)


def test_a_network_that_does_not_say_its_size_must_be_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not say which size of images it takes: give size"):
        new(ModelSpec("cnn"), "multiclass", CLASSES)


@pytest.mark.parametrize(
    ("content", "sentence"), [("{", "is not the model.json"), ('{"source": "cnn"}', "expected the key classes, which is missing")]
)
def test_a_damaged_run_folder_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(ModelError, match=sentence):
        load(ModelSpec(str(tmp_path)), "multiclass", CLASSES)


def test_a_run_folder_without_its_weights_is_refused(tmp_path: Path) -> None:
    spec = ModelSpec("cnn", size=32)
    save(new(spec, "multiclass", CLASSES), spec, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"cannot read .*model\.safetensors"):
        load(ModelSpec(str(tmp_path)), "multiclass", CLASSES)


def test_probabilities_stay_probabilities_when_saved(tmp_path: Path) -> None:
    spec = ModelSpec("cnn", size=32)
    model = new(spec, "multiclass", CLASSES)
    model.outputs = "probabilities"
    save(model, spec, tmp_path)
    with pytest.raises(ModelError, match="say outputs='logits'"):
        load(ModelSpec(str(tmp_path)), "multiclass", CLASSES)
