"""What monitors do to a training: it goes back, goes on, counts otherwise or ends, and a death changes none of it."""

import json

import pytest
from small_training import Stopped, content, quiet, small, stopping_after, trained

from robustdx.errors import RunError
from robustdx.store import Store
from robustdx.training import Standard, attend
from robustdx.training.loop import Loop
from robustdx.training.monitors import CatastrophicOverfitting, DeadClass, RobustOverfitting
from robustdx.training.prepare import prepare, words

PLAIN = {"objective": {"name": "standard"}, "judge": None, "stages": [{"epochs": 2}]}


def curve(folder) -> dict:
    return json.loads((folder / "curve.json").read_text())


def poisoned(monkeypatch, *calls: int) -> None:
    """Plain training whose loss is no number at these calls of the objective, counted from 1."""
    count, sound = iter(range(1, 10**6)), Standard.__call__

    def loss(self, *arguments):
        losses = sound(self, *arguments)
        return losses * float("nan") if next(count) in calls else losses

    monkeypatch.setattr(Standard, "__call__", loss)


def test_a_loss_that_is_no_number_once_costs_an_epoch_and_half_the_rate(monkeypatch, tmp_path):
    poisoned(monkeypatch, 6)  # the second batch of the second epoch
    told = curve(trained(small(**PLAIN), tmp_path / "run"))
    assert [(e["epoch"], e["step"], e["monitor"]) for e in told["events"]] == [(2, 6, "divergence")]
    assert told["events"][0]["done"] == "went back to the weights after epoch 1, halved the learning rate"
    assert [e["epoch"] for e in told["epochs"]] == [1, 2]


def test_a_first_batch_without_a_number_goes_back_to_the_first_weights(monkeypatch, tmp_path):
    poisoned(monkeypatch, 1)
    assert "went back to the first weights" in curve(trained(small(**PLAIN), tmp_path / "run"))["events"][0]["done"]


def test_a_loss_that_stays_no_number_stops_with_a_sentence(monkeypatch, tmp_path):
    poisoned(monkeypatch, *range(6, 20))
    with pytest.raises(RunError, match=r"the loss became nan at step 5 of 8: .* \(monitors went back and halved the rate 3 times\)"):
        trained(small(**PLAIN), tmp_path / "run")
    assert len(curve(tmp_path / "run")["events"]) == 3


def test_without_monitors_it_stops_at_once(monkeypatch, tmp_path):
    poisoned(monkeypatch, 6)
    with pytest.raises(RunError, match="the loss became nan at step 6 of 8"):
        trained(small(**PLAIN, monitors=False), tmp_path / "run")


def test_nothing_that_is_no_number_stays_in_the_weights(monkeypatch, tmp_path):
    """Not even in running means, which a forward pass moves before the loss is known."""
    sound, calls = Standard.__call__, iter(range(1, 100))

    def loss(self, model, *arguments):
        if next(calls) != 6:
            return sound(self, model, *arguments)
        for buffer in model.network.buffers():
            buffer.fill_(float("nan") if buffer.is_floating_point() else 0)
        return sound(self, model, *arguments) * float("nan")

    monkeypatch.setattr(Standard, "__call__", loss)
    assert all(e["accuracy"] >= 0 and e["loss"] > 0 for e in curve(trained(small(**PLAIN), tmp_path / "run"))["epochs"])


def test_a_model_left_in_eval_mode_is_set_to_train_and_told_once_an_epoch(monkeypatch, tmp_path):
    sound, seen = Standard.__call__, []

    def loss(self, model, *arguments):
        seen.append(model.training and all(m.training for m in model.modules()))
        losses = sound(self, model, *arguments)
        model.eval()
        return losses

    monkeypatch.setattr(Standard, "__call__", loss)
    events = curve(trained(small(**PLAIN), tmp_path / "run"))["events"]
    assert all(seen)
    assert [(e["epoch"], e["monitor"], e["done"]) for e in events] == [
        (1, "mode", "set them to train again"),
        (2, "mode", "set them to train again"),
    ]
    assert "5 of them batch norms" in events[0]["seen"]


def test_a_class_without_examples_is_named_and_the_rest_is_learned(tmp_path):
    plan = small(data="synthetic,images=100", **PLAIN)
    training = prepare(plan)
    name = training.train.classes[3]
    for split in (training.train, training.val):
        split.examples[:] = [e for e in split.examples if e.label != 3]
    store = Store.open(tmp_path / "run", words(training))
    Loop(training, store, quiet).run()
    seen = [e["seen"] for e in curve(store.path)["events"]]
    assert f"class without examples: no training image is {name}" in seen
    assert f"class without examples: no validation image is {name}" in seen


EVERY = {
    "switch": CatastrophicOverfitting(gap=-1, fall=2, switches=2),
    "lower and stop": RobustOverfitting(patience=1, fall=-1, window=1),
}


@pytest.mark.parametrize("case", EVERY)
def test_what_was_done_survives_a_death(case, monkeypatch, tmp_path):
    monkeypatch.setattr(attend, "MONITORS", (EVERY[case], DeadClass(patience=1)))
    plan = small(stages=[{"epochs": 3}], data="synthetic,images=60", model={"source": "cnn", "size": 16})
    training = prepare(plan)
    whole = trained(plan, tmp_path / "whole")
    for steps in (3, 6):
        store = Store.open(tmp_path / f"run-{steps}", words(training))
        with pytest.raises(Stopped):
            Loop(training, store, stopping_after(steps), keep_every=0).run()
        Loop(training, store, quiet, keep_every=0).run()
        assert content(store.path) == content(whole)


def test_a_collapse_takes_training_back_and_on_with_more_steps(monkeypatch, tmp_path):
    monkeypatch.setattr(attend, "MONITORS", (CatastrophicOverfitting(gap=-1, fall=2, switches=2),))
    told = curve(trained(small(stages=[{"epochs": 2}]), tmp_path / "run"))
    done = [e["done"] for e in told["events"]]
    assert done[0] == "went back to the first weights, went on with madry (steps = 3)"
    assert done[1] == "went back to the first weights, went on with madry (steps = 6)"
    assert set(done[2:]) == {"nothing more: training goes on"}
    assert [e["epoch"] for e in told["epochs"]] == [1, 2]


def test_robust_overfitting_lowers_the_rate_and_then_ends_the_training(monkeypatch, tmp_path):
    monkeypatch.setattr(attend, "MONITORS", (RobustOverfitting(patience=1, fall=-1, window=1),))
    told = curve(trained(small(stages=[{"epochs": 8}], warm_up=0), tmp_path / "run"))
    assert [e["done"].partition(" ")[0] for e in told["events"]] == ["multiplied", "stopped"]
    assert len(told["epochs"]) == told["events"][1]["epoch"] < 8
    assert (tmp_path / "run" / "manifest.json").exists()


def test_a_monitor_that_sees_nothing_changes_nothing(finished, tmp_path):
    unwatched = trained(small(monitors=False), tmp_path / "run")
    assert (unwatched / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()
    assert "gradient_cosine" in curve(finished)["epochs"][1]
    assert "gradient_cosine" not in {**curve(finished)["epochs"][0], **curve(unwatched)["epochs"][1]}
