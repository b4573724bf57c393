"""Weights from a file: every common wrapper is read, nothing in a file is run, and what does not fit is refused in words."""

import argparse
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robustdx.errors import ModelError, RobustdxError, WeightsError
from robustdx.models import weights
from robustdx.models.formats import format_of


class Payload:
    """What a malicious checkpoint holds: opened by pickle, it writes a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.proof),)


@pytest.fixture
def network(make_tiny: Callable) -> nn.Module:
    return make_tiny()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "w.pt"


def prefixed(prefix: str, network: nn.Module) -> dict:
    return {prefix + name: value for name, value in network.state_dict().items()}


def filled(make_tiny: Callable, file: Path, classes: int = 3, outputs: tuple[int, ...] = (3,)) -> nn.Module:
    return weights.fitted(lambda count: make_tiny(count), outputs, file)


WRAPPED = {
    "bare": lambda n: n.state_dict(),
    "ordered": lambda n: OrderedDict(n.state_dict()),
    "state_dict": lambda n: {"state_dict": n.state_dict(), "epoch": 3, "best": np.float64(0.8)},
    "model": lambda n: {"model": n.state_dict(), "args": argparse.Namespace(lr=0.1), "optimizer": {"state": {}, "param_groups": []}},
    "model_state_dict": lambda n: {"model_state_dict": n.state_dict(), "loss": torch.tensor(0.1)},
    "model.state_dict": lambda n: {"model": {"state_dict": n.state_dict()}},
    "DataParallel": lambda n: prefixed("module.", n),
    "torch.compile in DataParallel": lambda n: {"state_dict": prefixed("module._orig_mod.", n)},
    "Lightning": lambda n: {"state_dict": prefixed("model.", n), "pytorch-lightning_version": "2.0"},
    "AveragedModel": lambda n: torch.optim.swa_utils.AveragedModel(n).state_dict(),
    "half": lambda n: {k: v.half() if v.is_floating_point() else v for k, v in n.state_dict().items()},
}


@pytest.mark.parametrize("form", WRAPPED)
def test_the_usual_wrappers_are_taken_off(form: str, network: nn.Module, file: Path, make_tiny: Callable) -> None:
    torch.save(WRAPPED[form](network), file)
    found = weights.fitted(lambda count: type(network)(count), (3,), file).state_dict()
    tolerance = 1e-2 if form == "half" else 0
    for name, value in network.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["state_dict_ema", "model_ema", "ema"])
def test_averaged_weights_are_preferred(name: str, network: nn.Module, file: Path) -> None:
    torch.save({"state_dict": {k: v * 0 for k, v in network.state_dict().items()}, name: network.state_dict()}, file)
    assert torch.equal(weights.read(file)["head.weight"], network.state_dict()["head.weight"])


def test_files_of_old_torch_are_read(network: nn.Module, file: Path) -> None:
    torch.save(network.state_dict(), file, _use_new_zipfile_serialization=False)
    assert torch.equal(weights.read(file)["head.weight"], network.state_dict()["head.weight"])


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_named_and_not_run(zipped: bool, network: nn.Module, file: Path, tmp_path: Path) -> None:
    proof = tmp_path / "was_run"
    torch.save({"state_dict": network.state_dict(), "extra": Payload(proof)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"carries code \((posix|os)\.mkdir\), which robustdx never runs: save the weights alone"):
        weights.read(file)
    assert not proof.exists()


def test_a_whole_pickled_model_is_named(network: nn.Module, file: Path) -> None:
    torch.save(network, file)
    with pytest.raises(WeightsError, match=r"carries code \(.*Tiny\)"):
        weights.read(file)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_plain_pickle_with_code_is_refused_too(file: Path, tmp_path: Path) -> None:
    file.write_bytes(pickle.dumps(Payload(tmp_path / "was_run")))
    with pytest.raises(WeightsError):
        weights.read(file)
    assert not (tmp_path / "was_run").exists()


def test_missing_and_unexpected_weights_are_counted_and_the_first_named(network: nn.Module, file: Path, make_tiny: Callable) -> None:
    state = {"old." + k if k.startswith("features.0") else k: v for k, v in network.state_dict().items()}
    torch.save(state, file)
    with pytest.raises(
        WeightsError, match=r"2 missing \(features\.0\.weight, features\.0\.bias\) and 2 unexpected \(old\.features\.0\.weight"
    ):
        filled(make_tiny, file)


def test_another_number_of_classes_is_said_in_words(file: Path, make_tiny: Callable) -> None:
    torch.save(make_tiny(1000).state_dict(), file)
    with pytest.raises(WeightsError, match=r"was trained for 1000 outputs, the data has classes for 3 \(head\.weight, head\.bias\)"):
        filled(make_tiny, file)


def test_a_last_layer_for_other_classes_can_be_left_as_it_was_drawn(file: Path, make_tiny: Callable) -> None:
    theirs, ours = make_tiny(1000), make_tiny(3)
    drawn = ours.head.weight.clone()
    weights.fill(ours, theirs.state_dict(), "theirs", fresh_head=True)
    assert torch.equal(ours.head.weight, drawn)
    assert torch.equal(ours.features[3].weight, theirs.features[3].weight)
    with pytest.raises(WeightsError, match="missing"):
        weights.fill(ours, {"head.weight": drawn}, "theirs", fresh_head=True)


def test_another_architecture_is_said_in_shapes(network: nn.Module, file: Path, make_tiny: Callable) -> None:
    state = network.state_dict()
    torch.save({**state, "features.0.weight": torch.zeros(8, 1, 3, 3)}, file)
    with pytest.raises(WeightsError, match=r"features\.0\.weight is \(8, 1, 3, 3\), expected \(8, 3, 3, 3\)"):
        filled(make_tiny, file)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(bad: float, network: nn.Module, file: Path) -> None:
    state = network.state_dict()
    state["head.weight"][0, 0] = bad
    torch.save(state, file)
    with pytest.raises(WeightsError, match=r"head\.weight hold NaN or infinite values"):
        weights.read(file)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "old"])
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.99])
def test_a_file_cut_short_is_refused(kind: str, keep: float, network: nn.Module, file: Path) -> None:
    if kind == "safetensors":
        save_file(network.state_dict(), file)
    else:
        torch.save(network.state_dict(), file, _use_new_zipfile_serialization=kind == "zip")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * keep)])
    with pytest.raises(WeightsError):
        weights.read(file)


@pytest.mark.parametrize("content", [b"", b"id,label\n1,2\n", b"\x89PNG\r\n\x1a\n" + b"0" * 40, b"PK\x03\x04nonsense"])
def test_what_is_no_checkpoint_is_refused(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.pt"):
        weights.read(file)


def test_a_checkpoint_without_tensors_is_refused(file: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {}}, file)
    with pytest.raises(WeightsError, match="holds no weights"):
        weights.read(file)


def test_a_missing_file_and_a_folder_are_refused(file: Path, tmp_path: Path) -> None:
    for path in (file, tmp_path):
        with pytest.raises(ModelError, match="cannot read"):
            weights.read(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_files_are_told_apart_by_content(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "same_name.pt"
    torch.save(network.state_dict(), path)
    assert format_of(path) == "state"
    torch.jit.script(network).save(path)
    assert format_of(path) == "torchscript"
    torch.export.save(torch.export.export(network, (torch.rand(1, 3, 16, 16),)), path)
    assert format_of(path) == "program"
    with pytest.raises(WeightsError, match="a whole network with code, not weights"):
        weights.read(path)
    save_file(network.state_dict(), path)
    assert format_of(path) == "safetensors"


def test_every_refusal_is_one_sentence(file: Path) -> None:
    file.write_bytes(b"nothing")
    with pytest.raises(RobustdxError) as refusal:
        weights.read(file)
    assert "\n" not in str(refusal.value)
