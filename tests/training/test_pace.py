"""A training with a time budget takes as many steps as fit; a stage may end in the middle of an epoch and have a budget of its own."""

import json

import pytest
from small_training import small, trained

from robustdx.errors import PlanError
from robustdx.training.pace import ENDING, Pace
from robustdx.training.prepare import prepare
from robustdx.training.step import Step


def paced(seconds, each, judging=0.0):
    pace = Pace(seconds, steps_per_epoch=10, judging=judging)
    pace.stepped(each)
    return pace


def test_what_is_left_of_the_time_is_divided_by_what_a_step_takes():
    assert paced(100 + ENDING, each=1.0).whole(step=30, elapsed=60.0) == 30 + 40


def test_each_epoch_to_come_has_to_be_judged_and_so_has_the_last():
    # 40 s are left, 5 of them for the last judging; a step takes 1 s, and half a second more for the judging of its epoch
    assert paced(100 + ENDING, each=1.0, judging=5.0).whole(step=30, elapsed=60.0) == 30 + int(35 / 1.5)


def test_a_machine_that_becomes_slower_takes_fewer_steps():
    pace = paced(100 + ENDING, each=1.0)
    for _ in range(60):
        pace.stepped(4.0)
    assert pace.whole(step=30, elapsed=60.0) == 30 + 10


def test_a_stage_before_the_last_ends_when_it_has_had_its_share(tmp_path):
    endless = [{"epochs": 50, "size": 16, "objective": {"name": "standard"}}, {"epochs": 50}]
    pace = Pace.of(prepare(small(seconds=100.0, stages=endless)))
    early, whole = pace.shares
    assert 0 < early < 0.5 < whole == 1, "small clean images cost less than large attacked ones"
    assert (pace.late(0, early * 100 - 1), pace.late(0, early * 100 + 1)) == (False, True)
    curve = json.loads((trained(small(seconds=5.0, stages=endless), tmp_path / "run") / "curve.json").read_text())
    assert {tuple(e["size"]) for e in curve["epochs"]} == {(16, 16), (20, 20)}
    assert [e["epoch"] for e in curve["epochs"]] == list(range(1, len(curve["epochs"]) + 1)), "they are counted as they were run"
    assert curve["epochs"][curve["chosen"] - 1]["size"] == [20, 20]


def test_steps_that_are_taken_stay_taken_when_the_time_is_over():
    assert paced(10, each=1.0).whole(step=30, elapsed=60.0) == 30


def test_a_training_ends_with_its_time_and_is_whole(tmp_path):
    endless = small(seconds=5.0, stages=[{"epochs": 1, "size": 16, "objective": {"name": "standard"}}, {"epochs": 100}])
    folder = trained(endless, tmp_path / "run")
    curve = json.loads((folder / "curve.json").read_text())
    assert (folder / "model.safetensors").is_file()
    assert 2 <= len(curve["epochs"]) < 100
    assert 2 <= curve["chosen"] <= len(curve["epochs"])


def test_the_last_stage_goes_on_beyond_its_epochs_while_there_is_time(tmp_path):
    folder = trained(small(seconds=4.0, stages=[{"epochs": 0.1}]), tmp_path / "run")
    assert len(json.loads((folder / "curve.json").read_text())["epochs"]) > 1


def test_a_stage_may_end_in_the_middle_of_an_epoch(tmp_path):
    training = prepare(small(stages=[{"epochs": 1.5, "size": 16}, {"epochs": 0.5}]))
    whole = training.batches
    assert [training.steps_of(epoch) for epoch in range(3)] == [whole, round(whole / 2), round(whole / 2)]
    assert training.learner().whole == training.steps(3) == whole + 2 * round(whole / 2)
    assert [training.plan.stage_of(epoch) for epoch in range(3)] == [0, 0, 1]
    assert training.work(3) > training.work(2) > training.work(1)


def test_a_stage_may_have_a_smaller_budget(tmp_path, monkeypatch):
    seen = []
    taken = Step.__call__

    def told(self, learner, shown):
        seen.append(self.threat.eps)
        return taken(self, learner, shown)

    monkeypatch.setattr(Step, "__call__", told)
    trained(small(eps="8/255", stages=[{"epochs": 0.2, "eps": "4/255"}, {"epochs": 0.2}]), tmp_path / "run")
    assert list(dict.fromkeys(seen)) == pytest.approx([4 / 255, 8 / 255])


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"seconds": 0}, "seconds must be above 0"), ({"stages": [{"epochs": 1, "eps": 2}]}, "a stage's own eps must lie between 0 and 1")],
)
def test_what_means_nothing_is_refused(changes, told):
    with pytest.raises(PlanError, match=told):
        small(**changes)
