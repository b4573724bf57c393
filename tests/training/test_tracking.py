"""Followed by TensorBoard and MLflow: each epoch once, whatever is stopped, missing or silent."""

import builtins

import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from robustdx.errors import MissingExtra, RunError
from robustdx.store import Store
from robustdx.training import tracking
from robustdx.training.tracking import address, flat, following, written_down

PLAN = {"eps": 0.01, "objective": {"name": "madry", "steps": 2}}
EPOCHS = [{"epoch": n, "size": [16, 16], "objective": "madry", "loss": 1 / n, "accuracy": n / 10} for n in range(1, 5)]


@pytest.fixture
def store(tmp_path):
    (tmp_path / "run").mkdir()
    return Store(tmp_path / "run")


def followed(store, before, then, **where):
    with following(store, PLAN, before, **where) as tracker:
        for record in then:
            tracker.epoch(record)


def test_tensorboard_has_each_epoch_once_after_a_stop(store):
    where = {"tensorboard": True, "mlflow": None}
    followed(store, [], EPOCHS[:3], **where)
    followed(store, EPOCHS[:2], EPOCHS[2:], **where)  # the third was told, and the checkpoint of it was lost
    read = EventAccumulator(str(store.path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in read.Scalars("loss")] == [(n, pytest.approx(1 / n)) for n in range(1, 5)]
    assert set(read.Tags()["scalars"]) == {"loss", "accuracy"}


def test_mlflow_has_one_run_with_each_epoch_once_after_a_stop(store, tmp_path):
    where = {"tensorboard": False, "mlflow": str(tmp_path / "tracked")}
    followed(store, [], EPOCHS[:3], **where)
    followed(store, EPOCHS[:2], EPOCHS[2:], **where)
    client = MlflowClient(tracking_uri=address(where["mlflow"]))
    (run,) = client.search_runs([client.get_experiment_by_name("robustdx").experiment_id])
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3, 4]
    assert [m.value for m in client.get_metric_history(run.info.run_id, "accuracy")] == [0.1, 0.2, 0.3, 0.4]
    assert run.data.params == {"eps": "0.01", "objective.name": "madry", "objective.steps": "2"}
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")


class Silent:
    """A server that answers from its third call on."""

    def __init__(self):
        self.calls, self.told = 0, []

    def log_metric(self, run, name, value, step):
        self.calls += 1
        if self.calls < 3:
            raise ConnectionError("no route to host")
        self.told.append((name, step))


def test_a_server_that_falls_silent_ends_no_training():
    tracker = tracking._MLflow(Silent(), "run", set())
    for record in EPOCHS[:2]:
        with pytest.warns(UserWarning, match=r"no route to host.*told with the next epoch"):
            tracker.epoch(record)
    tracker.epoch(EPOCHS[2])
    assert [step for name, step in tracker.client.told if name == "loss"] == [1, 2, 3]


def test_a_server_that_is_not_there_is_refused_before_anything_runs(store, monkeypatch):
    class Absent:
        def __init__(self, tracking_uri):
            raise ConnectionError("no route to host")

    monkeypatch.setattr(tracking, "_client_class", lambda: Absent)
    with pytest.raises(RunError, match=r"MLflow at https://host refuses .no route to host.: check the address"):
        followed(store, [], EPOCHS, tensorboard=False, mlflow="https://me:secret@host")


@pytest.mark.parametrize(("asked", "package"), [("tensorboard", "tensorboard"), ("mlflow", "mlflow-skinny")])
def test_what_is_not_installed_is_named(asked, package, monkeypatch):
    whole = builtins.__import__

    def without(name, *rest):
        if name.startswith((asked, f"torch.utils.{asked}")):
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    wanted = {"tensorboard": False, "mlflow": None} | {asked: "somewhere"}
    with pytest.raises(MissingExtra, match=rf"needs the package {package}: pip install 'robustdx\[tracking\]'"):
        tracking.require(**wanted)


def test_no_password_is_written_down(store):
    assert written_down(["robustdx", "--mlflow", "https://me:secret@host/x"]) == "robustdx --mlflow https://host/x"
    assert flat({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}
