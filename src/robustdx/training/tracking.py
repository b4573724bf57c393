"""A training followed elsewhere: TensorBoard and MLflow are told each epoch once, however often a run was stopped."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from robustdx.errors import MissingExtra, RunError
from robustdx.store import Store
from robustdx.training.care import Record

EXTRA = "tracking"
EVENTS = "tensorboard"
"""Where TensorBoard's files lie in the run folder."""
KEPT = "mlflow.json"
"""Which run of MLflow a run folder belongs to."""
LETTERS = 500
"""The longest value of a parameter that every MLflow server takes."""


class Tracker(Protocol):
    """Told of epochs, each once."""

    def epoch(self, record: Record) -> None: ...


@contextmanager
def following(
    store: Store, plan: Mapping[str, Any], before: Sequence[Record], *, tensorboard: bool, mlflow: str | None
) -> Iterator[Tracker]:
    """Trackers that know the epochs `before` already when the block begins. Nothing is imported that was not asked for.

    Raises:
        MissingExtra: what was asked for is not installed.
        RunError: the tracking server does not answer.
    """
    with ExitStack() as stack:
        made: list[Tracker] = []
        if tensorboard:
            made.append(stack.enter_context(_tensorboard(store)))
        if mlflow is not None:
            made.append(stack.enter_context(_mlflow(store, plan, mlflow)))
        everyone = _Everyone(made)
        for record in before:
            everyone.epoch(record)
        yield everyone


def require(*, tensorboard: bool, mlflow: str | None) -> None:
    """Refuse before anything runs what is not installed."""
    if tensorboard:
        _writer()
    if mlflow is not None:
        _client_class()


@dataclass(frozen=True)
class _Everyone:
    trackers: Sequence[Tracker]

    def epoch(self, record: Record) -> None:
        for tracker in self.trackers:
            tracker.epoch(record)


@contextmanager
def _tensorboard(store: Store) -> Iterator[Tracker]:
    """Event files cannot be corrected, so a run that goes on writes them anew, from its first epoch."""
    shutil.rmtree(store.path / EVENTS, ignore_errors=True)
    writer = _writer()(str(store.path / EVENTS))
    try:
        yield _TensorBoard(writer)
    finally:
        writer.close()


@dataclass(frozen=True)
class _TensorBoard:
    writer: Any

    def epoch(self, record: Record) -> None:
        for name, value in numbers(record).items():
            self.writer.add_scalar(name, value, record["epoch"])
        self.writer.flush()


@contextmanager
def _mlflow(store: Store, plan: Mapping[str, Any], where: str) -> Iterator[Tracker]:
    client_class = _client_class()
    try:
        client = client_class(tracking_uri=address(where))
        run = _run_of(client, store, plan, where)
        tracker = _MLflow(client, run, known={m.step for m in client.get_metric_history(run, "loss")})
    except Exception as error:
        told = f"MLflow at {without_password(where)} refuses ({_reason(error)}): check the address, or leave --mlflow out"
        raise RunError(told) from error
    yield tracker
    tracker.send(last=True)


@dataclass(frozen=True)
class _MLflow:
    """A server that stops answering does not end a training: what it has not heard is told again with the next epoch."""

    client: Any
    run: str
    known: set[int]
    """Epochs that the server has."""
    waiting: list[Record] = field(default_factory=list)

    def epoch(self, record: Record) -> None:
        if record["epoch"] not in self.known:
            self.waiting.append(record)
            self.send()

    def send(self, *, last: bool = False) -> None:
        try:
            while self.waiting:
                self._tell(self.waiting[0])
                self.known.add(self.waiting.pop(0)["epoch"])
            if last:
                self.client.set_terminated(self.run)
        except Exception as error:
            later = "the same command tells it again" if last else "it is told with the next epoch"
            warnings.warn(f"MLflow does not answer ({_reason(error)}): {later}", stacklevel=2)

    def _tell(self, record: Record) -> None:
        # The loss last: an epoch whose loss the server has was told whole.
        for name, value in sorted(numbers(record).items(), key=lambda one: one[0] == "loss"):
            self.client.log_metric(self.run, name, value, step=record["epoch"])


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _run_of(client: Any, store: Store, plan: Mapping[str, Any], where: str) -> str:
    """The run on the server that this folder began, or a new one with the plan as its parameters."""
    if (store.path / KEPT).is_file():
        kept = store.read_json(KEPT)
        if kept["where"] == without_password(where):
            client.update_run(kept["run"], status="RUNNING")
            return str(kept["run"])
    experiment = client.get_experiment_by_name("robustdx")
    number = experiment.experiment_id if experiment else client.create_experiment("robustdx")
    run = str(client.create_run(number, run_name=store.path.resolve().name).info.run_id)
    for name, value in flat(plan).items():
        client.log_param(run, name, str(value)[:LETTERS])
    store.write_json(KEPT, {"where": without_password(where), "run": run})
    return run


def numbers(record: Record) -> dict[str, float]:
    """What of an epoch can be drawn."""
    return {k: float(v) for k, v in record.items() if isinstance(v, int | float) and not isinstance(v, bool) and k != "epoch"}


def flat(words: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A plan as names and values: {"objective": {"steps": 7}} as {"objective.steps": 7}."""
    found: dict[str, Any] = {}
    for key, value in words.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found


def address(where: str) -> str:
    """What MLflow calls it: the address of a server or a database as it is, a folder as one."""
    if "://" in where:
        return where
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow prefers a database, for which the small package lacks the parts
    return Path(where).resolve().as_uri()


def without_password(where: str) -> str:
    """An address that can be written down."""
    scheme, between, rest = where.partition("://")
    return f"{scheme}{between}{rest.rpartition('@')[2]}" if between else where


def written_down(words: Sequence[str]) -> str:
    """A command as the shell takes it, without the password of an address in it."""
    return re.sub(r"(://)[^/@\s]*@", r"\1", shlex.join(words))


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("tensorboard", EXTRA, "--tensorboard") from None
    return SummaryWriter


def _client_class() -> Any:
    """MLflow's client; nothing about its use is sent to its makers."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise MissingExtra("mlflow-skinny", EXTRA, "--mlflow") from None
    return MlflowClient
