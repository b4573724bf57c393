"""A gate opens for a number that holds at the lower end of its interval and that can be believed, and for nothing else."""

import shutil

import pytest
from fabricated import edit, make_run

from robustdx.errors import RunError
from robustdx.report.findings import read
from robustdx.report.gate import refusals

EPS, ROBUST = 2 / 255, 60 / 255


@pytest.fixture(scope="module")
def robust(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "robust", holds=ROBUST, accuracy=0.95)


def why(folder, least=0.5, eps=EPS, metric="accuracy"):
    return list(refusals(read(folder), least, eps, metric))


def test_what_holds_and_is_established_passes(robust):
    assert why(robust) == []


def test_the_lower_end_of_the_interval_counts(robust):
    found = read(robust).worst("linf", read(robust).eps("linf")[3])["metrics"]["accuracy"]
    assert why(robust, least=found["low"]) == []
    (reason,) = why(robust, least=(found["low"] + found["value"]) / 2)
    assert reason.startswith("Accuracy at 2/255 is")
    assert "its interval begins at" in reason


@pytest.mark.parametrize("verdict", ["not established", "not questioned"])
def test_what_is_not_established_does_not_pass_however_large(robust, tmp_path, verdict):
    run = shutil.copytree(robust, tmp_path / "run")
    edit(run, escalation=read(run).results["escalation"] | {"verdict": verdict, "why": "A reason."})
    assert why(run) == [f"{verdict.capitalize()}. A reason."]


def test_a_run_from_before_is_not_believed(robust, tmp_path):
    run = shutil.copytree(robust, tmp_path / "run")
    edit(run, escalation={})
    assert "run it again" in why(run)[0]


def test_patients_in_two_splits_do_not_pass(tmp_path):
    run = make_run(tmp_path / "run", holds=ROBUST, accuracy=0.95, cut_groups=3)
    assert why(run) == ["3 lesions lie in more than one split of the data: the number is too good by an unknown amount."]


def test_what_was_not_tried_is_refused(robust):
    with pytest.raises(RunError, match=r"expected a budget that was tried, got 3/255; tried: 0.25/255, .* and 8/255"):
        why(robust, eps=3 / 255)
    with pytest.raises(RunError, match=r"got 'acuracy'; it has .*accuracy"):
        why(robust, metric="acuracy")
    with pytest.raises(RunError, match="smaller is better"):
        why(robust, metric="cost_per_1000")
