"""Every kind of source gives the network that was put into it, and asks for trust where opening it runs code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from robustdx.errors import ModelError, TrustError, WeightsError
from robustdx.models import DiagnosticModel, ModelSpec, load, new, save

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CLASSES = ("a", "b", "c")
SIZE = 32
X = torch.rand(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def opened(path: Path | str, classes: tuple[str, ...] = CLASSES, size: int | None = SIZE, **settings: object) -> DiagnosticModel:
    return load(ModelSpec(str(path), size=size, **settings), "multiclass", classes, trust_code=True)  # type: ignore[arg-type]


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(X)


def export(network: nn.Module, path: Path, images: int = 2, dynamic: bool = True) -> Path:
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    torch.export.save(torch.export.export(network, (X[:images],), dynamic_shapes=shapes), path)
    return path


def script(network: nn.Module, path: Path) -> Path:
    torch.jit.script(network).save(path)
    return path


def trace(network: nn.Module, path: Path) -> Path:
    torch.jit.trace(network, X[:1]).save(path)
    return path


@pytest.mark.parametrize(("write", "name"), [(export, "m.pt2"), (script, "m.pt"), (trace, "m.torchscript")])
class TestPrograms:
    def test_they_answer_as_the_network_they_were_made_from(self, write: Callable, name: str, tmp_path: Path, make_tiny: Callable) -> None:
        network = make_tiny()
        torch.testing.assert_close(logits(opened(write(network, tmp_path / name))), network(X))

    def test_they_ask_for_trust_by_content_not_by_name(self, write: Callable, name: str, tmp_path: Path, make_tiny: Callable) -> None:
        write(make_tiny(), tmp_path / name).rename(tmp_path / "weights.pth")
        with pytest.raises(TrustError, match=r"runs the code inside it with your rights.*add --trust-code"):
            load(ModelSpec(str(tmp_path / "weights.pth"), size=SIZE), "multiclass", CLASSES)

    def test_they_can_be_set_to_eval_copied_to_bfloat16_and_differentiated(
        self, write: Callable, name: str, tmp_path: Path, make_tiny: Callable
    ) -> None:
        model = opened(write(make_tiny(), tmp_path / name)).train().eval()
        fast = model.in_precision(torch.bfloat16)
        torch.testing.assert_close(logits(fast), logits(model), atol=0.1, rtol=0.05)
        x = X.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(fast(x).sum(), x)
        assert gradient.isfinite().all()
        assert gradient.abs().amax() > 0

    def test_another_number_of_classes_is_refused(self, write: Callable, name: str, tmp_path: Path, make_tiny: Callable) -> None:
        with pytest.raises(ModelError, match=r"expects outputs of shape \(B, 2\), the network gives \(\d, 3\)"):
            opened(write(make_tiny(), tmp_path / name), ("a", "b"))

    def test_they_bring_their_own_weights(self, write: Callable, name: str, tmp_path: Path, make_tiny: Callable) -> None:
        with pytest.raises(WeightsError, match="brings its own weights"):
            opened(write(make_tiny(), tmp_path / name), weights="w.pt")


@pytest.mark.parametrize("images", [1, 2, 8])
def test_a_program_for_a_fixed_batch_takes_any_number_of_images(images: int, tmp_path: Path, make_tiny: Callable) -> None:
    network = make_tiny(ending=nn.Softmax(dim=1))
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(network, (torch.rand(images, 3, SIZE, SIZE),)), path)
    model = opened(path, outputs="probabilities")
    torch.testing.assert_close(logits(model).softmax(1), network(X))
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
    assert (gradient.flatten(1).abs().amax(1) > 0).all()


class Flattening(nn.Module):
    """Traced with one image, it keeps the 1 in its code."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)).view(int(x.shape[0]), 3))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_of_a_single_image_takes_any_number_of_images(tmp_path: Path) -> None:
    network = Flattening().eval()
    torch.testing.assert_close(logits(opened(trace(network, tmp_path / "m.pt"))), network(X))


def test_the_size_stands_in_an_exported_program(tmp_path: Path, make_tiny: Callable) -> None:
    assert opened(export(make_tiny(), tmp_path / "m.pt2"), size=None).size == (SIZE, SIZE)


def test_a_torchscript_file_must_be_told_the_size(tmp_path: Path, make_tiny: Callable) -> None:
    with pytest.raises(ModelError, match="does not say which size of images it takes: give size"):
        opened(script(make_tiny(), tmp_path / "m.pt"), size=None)


def test_a_program_exported_in_training_mode_is_refused(tmp_path: Path, make_tiny: Callable) -> None:
    with pytest.raises(ModelError, match=r"answers differently when an image stands in another batch.*model\.eval\(\)"):
        opened(export(make_tiny().train(), tmp_path / "m.pt2", images=4))


def test_a_program_with_its_types_written_into_it_searches_in_float32(tmp_path: Path) -> None:
    class Typed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x.float().mean((2, 3)))

    model = opened(export(Typed().eval(), tmp_path / "m.pt2"))
    fast = model.in_precision(torch.bfloat16)
    assert fast.dtype == torch.float32
    assert torch.equal(logits(fast), logits(model))


SOURCE = """
import torch
from torch import nn

def takes_classes(num_classes):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, num_classes))

def takes_nothing():
    return takes_classes(3)

def returns_a_list():
    return [1]

def fails():
    raise OSError("no weights here")
"""


class TestCallables:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "their_network.py").write_text(SOURCE)
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize("name", ["takes_classes", "takes_nothing"])
    def test_a_function_in_the_current_folder_gives_the_network(self, name: str) -> None:
        torch.manual_seed(0)
        expected = nn.Sequential(nn.Flatten(), nn.Linear(3072, 3))
        torch.testing.assert_close(logits(opened(f"their_network:{name}")), expected(X))

    def test_with_a_file_of_weights_it_gets_those(self, tmp_path: Path) -> None:
        network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 3))
        torch.save(network.state_dict(), "w.pt")
        torch.testing.assert_close(logits(opened("their_network:takes_classes", weights="w.pt")), network(X))

    def test_it_can_be_trained_anew_saved_and_loaded(self) -> None:
        spec = ModelSpec("their_network:takes_classes", size=SIZE)
        model = new(spec, "multiclass", CLASSES, trust_code=True)
        save(model, spec, "saved")
        assert torch.equal(logits(opened("saved", size=None)), logits(model))
        with pytest.raises(TrustError):
            load(ModelSpec("saved"), "multiclass", CLASSES)

    def test_it_asks_for_trust_before_anything_is_imported(self) -> None:
        Path("boom.py").write_text("raise SystemExit('was run')")
        with pytest.raises(TrustError, match="boom:network"):
            load(ModelSpec("boom:network", size=SIZE), "multiclass", CLASSES)

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("their_network:missing", "cannot import their_network:missing"),
            ("no_such_module:network", r"cannot import no_such_module:network \(ModuleNotFoundError"),
            ("their_network:returns_a_list", r"to return a torch\.nn\.Module, got list"),
            ("their_network:fails", "failed with OSError: no weights here"),
            ("their_network:SOURCE", "cannot import"),
        ],
    )
    def test_what_is_no_network_is_refused(self, name: str, sentence: str) -> None:
        with pytest.raises(ModelError, match=sentence):
            opened(name)


def write_timm_folder(folder: Path, labels: list[str] | None) -> nn.Module:
    network = timm.create_model("resnet10t", num_classes=3).eval()
    seen = {"input_size": [3, SIZE, SIZE], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    facts = {"architecture": "resnet10t", "num_classes": 3, "label_names": labels, "pretrained_cfg": seen}
    (folder / "config.json").write_text(json.dumps(facts))
    save_file(network.state_dict(), folder / "model.safetensors")
    return network


def test_a_folder_of_timm_gives_network_size_normalisation_and_classes(tmp_path: Path) -> None:
    network = write_timm_folder(tmp_path, ["C", "a", "B"])
    model = opened(tmp_path, size=None)
    assert model.size == (SIZE, SIZE)
    normalised = (X - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
    torch.testing.assert_close(logits(model), network(normalised)[:, [1, 2, 0]])


class TestTransformers:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        transformers = pytest.importorskip("transformers")
        names = dict(enumerate(["nevus", "melanoma", "basal cell"]))
        config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8] * 4, depths=[1] * 4, layer_type="basic", id2label=names)
        transformers.utils.logging.disable_progress_bar()
        transformers.AutoModelForImageClassification.from_config(config).save_pretrained(tmp_path)
        seen = {"size": {"shortest_edge": SIZE}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(seen))
        return tmp_path

    classes = ("Basal_cell", "Melanoma", "Nevus")

    def network(self, folder: Path) -> nn.Module:
        import transformers

        return transformers.AutoModelForImageClassification.from_pretrained(folder).eval()

    def test_a_folder_gives_network_size_normalisation_and_classes(self, folder: Path) -> None:
        model = opened(folder, self.classes, size=None)
        assert model.size == (SIZE, SIZE)
        torch.testing.assert_close(logits(model), self.network(folder)((X - 0.5) / 0.25).logits[:, [2, 1, 0]])

    def test_it_can_be_trained_anew_saved_and_loaded(self, folder: Path) -> None:
        spec = ModelSpec(str(folder), size=SIZE)
        model = new(spec, "multiclass", ("x", "y"))
        save(model, spec, folder / "saved")
        assert torch.equal(logits(opened(folder / "saved", ("x", "y"), size=None)), logits(model))

    def test_a_pickle_with_code_in_it_is_refused(self, folder: Path) -> None:
        torch.save(self.network(folder), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        with pytest.raises(WeightsError, match="carries code"):
            opened(folder, self.classes)

    def test_a_state_dict_without_code_is_read(self, folder: Path) -> None:
        expected = logits(opened(folder, self.classes))
        torch.save(self.network(folder).state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        assert torch.equal(logits(opened(folder, self.classes)), expected)

    def test_missing_weights_are_refused(self, folder: Path) -> None:
        state = {k: v for k, v in self.network(folder).state_dict().items() if not k.startswith("classifier")}
        save_file(state, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(WeightsError, match=r"2 missing \(classifier.1.bias, classifier.1.weight\)"):
            opened(folder, self.classes)

    def test_weights_of_another_shape_are_refused(self, folder: Path) -> None:
        state = self.network(folder).state_dict()
        state["classifier.1.weight"], state["classifier.1.bias"] = torch.zeros(9, 8), torch.zeros(9)
        save_file(state, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(WeightsError, match="was trained for 9 outputs, the data has classes for 3"):
            opened(folder, self.classes)

    def test_code_that_comes_with_a_folder_is_never_run(self, folder: Path) -> None:
        facts = {"model_type": "theirs", "auto_map": {"AutoConfig": "boom.C", "AutoModelForImageClassification": "boom.M"}}
        (folder / "config.json").write_text(json.dumps(facts))
        (folder / "boom.py").write_text("raise SystemExit('was run')")
        with pytest.raises(ModelError, match="code that comes with a folder is never run"):
            opened(folder, self.classes)


def test_file_and_folder_that_are_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected model\.json \(robustdx\) or config\.json"):
        opened(tmp_path)
    torch.save({"w": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="holds weights only: give it as weights"):
        opened(tmp_path / "w.pt")
    with pytest.raises(ModelError, match="there is no model"):
        opened(tmp_path / "missing.pt2")
