"""Which network came before a hardened one: found through the run folder, or in words why there is none."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from robustdx.auditing.before import asked_of, first_of

MODEL = {"source": "cnn", "size": [16, 16]}


def training(folder: Path, run: dict | None = None, **plan) -> str:
    """What a training leaves that says where it came from; no weights are read here."""
    folder.mkdir()
    words = {"model": MODEL, "data": "synthetic,task=binary", "task": "binary", "threat": "l2", **plan}
    for name, content in {"plan": words, "run": run or {}, "model": {}, "curve": {}}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(b"")
    return str(folder)


@pytest.fixture
def started(tmp_path):
    weights = tmp_path / "start.pt"
    weights.write_bytes(b"weights")
    return {"start": str(weights), "start_sha256": sha256(b"weights").hexdigest()}


def test_other_models_have_none(tmp_path):
    assert first_of("timm:resnet18") is None
    assert first_of(str(tmp_path)) is None
    assert asked_of("timm:resnet18") == {}


def test_an_audit_takes_data_task_and_threat_from_the_training(tmp_path):
    assert asked_of(training(tmp_path / "run")) == {"data": "synthetic,task=binary", "task": "binary", "threat": "l2"}


def test_random_weights_are_nothing_to_compare_with(tmp_path):
    first = first_of(training(tmp_path / "run"))
    assert first.spec is None
    assert "random weights" in first.about


def test_a_file_of_weights_belongs_to_the_network_of_the_plan(tmp_path, started):
    first = first_of(training(tmp_path / "run", **started))
    assert (first.spec.source, first.spec.weights, first.spec.shape) == ("cnn", started["start"], (16, 16))


def test_a_run_folder_is_taken_as_it_is(tmp_path):
    plain = training(tmp_path / "plain")
    first = first_of(training(tmp_path / "run", start=plain, start_sha256=sha256(b"").hexdigest()))
    assert (first.spec.source, first.spec.weights) == (plain, None)


def test_what_is_gone_or_has_changed_is_named(tmp_path, started):
    run = training(tmp_path / "run", **started)
    Path(started["start"]).write_bytes(b"others")
    assert first_of(run).about.endswith("start.pt, has changed since")
    Path(started["start"]).unlink()
    assert first_of(run).about.endswith("start.pt, is no longer there")
    assert first_of(run).spec is None


def test_the_network_that_the_user_named_goes_before_the_start(tmp_path, started):
    first = first_of(training(tmp_path / "run", run={"compare": {"source": "timm:resnet18", "weights": "plain.safetensors"}}, **started))
    assert (first.spec.source, first.spec.weights) == ("timm:resnet18", "plain.safetensors")
    assert "timm:resnet18 with plain.safetensors" in first.about


def test_a_training_may_keep_a_network_for_comparison(tmp_path):
    run = training(tmp_path / "run")
    (tmp_path / "run" / "first").mkdir()
    (tmp_path / "run" / "first" / "model.json").write_text("{}")
    assert first_of(run).spec.source == str(tmp_path / "run" / "first")
