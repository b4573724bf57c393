"""A training learns, chooses on validation, and goes on after a death as if nothing had happened."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_training import SAME, SMALL, Stopped, content, quiet, small, stopping_after, trained

from robustdx.data import load_dataset
from robustdx.errors import RunError
from robustdx.models import ModelSpec, load
from robustdx.store import Store
from robustdx.training import checkpoint
from robustdx.training.loop import Loop
from robustdx.training.prepare import prepare, words


def test_a_small_network_learns_above_chance(tmp_path):
    plan = small(
        data="synthetic,task=binary,images=300",
        objective={"name": "standard"},
        judge=None,
        stages=[{"epochs": 6}],
        model={"source": "cnn", "size": 32},
    )
    curve = json.loads((trained(plan, tmp_path / "run") / "curve.json").read_text())
    assert max(e["balanced_accuracy"] for e in curve["epochs"]) > 0.65
    assert curve["epochs"][-1]["loss"] < curve["epochs"][0]["loss"]


def test_the_epoch_is_chosen_in_the_last_stage_by_the_number_that_was_asked_for(finished):
    curve = json.loads((finished / "curve.json").read_text())
    last = [e for e in curve["epochs"] if e["size"] == [20, 20]]
    best = max(last, key=lambda e: e["robust_balanced_accuracy"])
    assert curve["chosen_by"] == "robust_balanced_accuracy"
    assert curve["chosen"] == best["epoch"]
    assert [e["objective"] for e in curve["epochs"]] == ["standard", "madry", "madry"]


def test_one_answer_to_all_is_chosen_only_where_there_is_nothing_else(training, tmp_path):
    """It cannot be turned, and its balanced accuracy under attack is that of guessing: above that of many a real network."""
    loop = Loop(training, Store.open(tmp_path / "run", words(training)), quiet)
    loop.read()
    loop.stage = len(training.plan.stages) - 1
    for epoch, record in enumerate(({"robust_balanced_accuracy": 0.5, "never_predicted": ["benign"]}, {"robust_balanced_accuracy": 0.4})):
        loop.progress.epoch = epoch
        loop._choose(record)
        assert loop.progress.best_epoch == epoch + 1


def test_the_model_in_the_folder_is_the_one_that_was_chosen(finished, training):
    curve = json.loads((finished / "curve.json").read_text())
    model = load(ModelSpec(source=str(finished)), training.val.kind, training.val.classes)
    loop = Loop(training, Store(finished), quiet)
    numbers = training.judge(model, loop._read(training.val, 1), (20, 20))
    chosen = curve["epochs"][curve["chosen"] - 1]
    assert numbers == {name: chosen[name] for name in numbers}


def test_a_finished_folder_holds_no_checkpoint(finished):
    assert not (finished / checkpoint.FILE).exists()
    assert sorted(p.name for p in finished.iterdir()) == sorted([*SAME, "times.json"])


@pytest.mark.parametrize("steps", [1, 6, 12])
def test_interrupted_anywhere_it_ends_with_the_same_bytes(steps, finished, training, tmp_path):
    store = Store.open(tmp_path / "run", words(training))
    with pytest.raises(Stopped):
        Loop(training, store, stopping_after(steps), keep_every=0).run()
    Loop(training, store, quiet, keep_every=0).run()
    assert content(store.path) == content(finished)


def test_batches_that_are_added_up_make_fewer_steps_and_go_on_alike(tmp_path):
    plan = small(accumulate=2, batch_size=12, average="swa", clip=1.0, l1=1e-5)
    training = prepare(plan)
    assert training.batches == len(training.train) // 24
    store = Store.open(tmp_path / "run", words(training))
    with pytest.raises(Stopped):
        Loop(training, store, stopping_after(4), keep_every=0).run()
    Loop(training, store, quiet).run()
    assert content(store.path) == content(trained(plan, tmp_path / "whole"))


def test_killed_at_random_moments_and_inside_checkpoint_writes_it_ends_with_the_same_bytes():
    """Real deaths, by SIGKILL: the benchmark that deals them, with four instead of thirty."""
    bench = Path(__file__).parents[2] / "benchmarks" / "kill_training.py"
    command = [sys.executable, str(bench), "--kills", "4", "--objectives", "madry"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "2 kills at random moments" in told.stdout
    assert "2 inside a checkpoint write" in told.stdout


def test_every_image_of_a_batch_is_independent_of_the_global_stream(finished, tmp_path):
    torch.manual_seed(12345)
    assert content(trained(small(), tmp_path / "run")) == content(finished)


def test_the_global_stream_is_left_alone(tmp_path):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    trained(small(stages=[{"epochs": 1}], judge=None), tmp_path / "run")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_loss_that_is_no_number_stops_with_a_sentence(tmp_path):
    plan = small(learning_rate=1e30, warm_up=0, judge=None, stages=[{"epochs": 3}], objective={"name": "standard"}, precision="float32")
    with pytest.raises(RunError, match=r"the loss became (nan|inf) at step \d+ of 12: training has diverged; .*learning_rate below 1e\+30"):
        trained(plan, tmp_path / "run")
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_damaged_checkpoint_is_refused(training, tmp_path):
    store = Store.open(tmp_path / "run", words(training))
    (store.path / checkpoint.FILE).write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match="cannot be read as a checkpoint"):
        Loop(training, store, quiet)


def test_a_checkpoint_of_another_training_or_network_is_refused(training, tmp_path):
    store = Store.open(tmp_path / "run", words(training))
    with pytest.raises(Stopped):
        Loop(training, store, stopping_after(2), keep_every=0).run()
    other = prepare(small(seed=1))
    beside = Store.open(tmp_path / "other", words(other))
    shutil.copy(store.path / checkpoint.FILE, beside.path)
    with pytest.raises(RunError, match=r"expected the checkpoint of the training in plan\.json, .* is of another"):
        Loop(other, beside, quiet)
    changed = replace(training, model=prepare(small(model={"source": "timm:test_resnet", "size": 20})).model)
    with pytest.raises(RunError, match="is of another network than cnn is now"):
        Loop(changed, store, quiet)


def test_a_disk_without_room_for_checkpoints_is_refused_before_the_first_step(training, tmp_path, monkeypatch):
    store = Store.open(tmp_path / "run", words(training))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    with pytest.raises(RunError, match=r"expected \d+ MiB for checkpoints in .*, 1 MiB are free: make room or give another --out"):
        Loop(training, store, quiet).run()


def test_killed_inside_a_checkpoint_write_it_goes_on_from_the_one_before(finished, training, tmp_path, monkeypatch):
    """Half of the new file lies beside its place, as a process leaves it that dies there; the old one is whole."""
    store = Store.open(tmp_path / "run", words(training))
    sound, writes = Path.write_bytes, iter(range(1, 100))

    def half(path, data):
        if path.name.startswith(checkpoint.FILE) and next(writes) == 4:
            sound(path, data[: len(data) // 2])
            raise Stopped
        return sound(path, data)

    monkeypatch.setattr(Path, "write_bytes", half)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)  # a dead process tidies nothing
    with pytest.raises(Stopped):
        Loop(training, store, quiet, keep_every=0).run()
    monkeypatch.undo()
    part = store.path / f"{checkpoint.FILE}.part"
    assert 0 < part.stat().st_size < (store.path / checkpoint.FILE).stat().st_size
    Loop(training, store, quiet, keep_every=0).run()
    assert content(store.path) == content(finished)
    assert not part.exists()


def test_a_checkpoint_with_code_is_refused_and_not_run(training, tmp_path):
    class Code:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "harm"),))

    store = Store.open(tmp_path / "run", words(training))
    torch.save({"words": "{}", "best": None, "learner": Code()}, store.path / checkpoint.FILE)
    with pytest.raises(RunError, match="cannot be read as a checkpoint"):
        Loop(training, store, quiet)
    assert not (tmp_path / "harm").exists()


def test_training_starts_from_the_weights_of_another_run(finished):
    begun = prepare(small(start=str(finished)))
    kept = load(ModelSpec(source=str(finished)), "binary", load_dataset(SMALL["data"]).classes)
    for name, value in kept.network.state_dict().items():
        assert torch.equal(begun.model.network.state_dict()[name], value)
