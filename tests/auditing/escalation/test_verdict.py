"""From a trial and a staircase to a verdict: each flag is raised by what it says, and only a claim can be doubted."""

import pytest

from robustdx.auditing.escalation.steps import draws_for
from robustdx.auditing.escalation.verdict import FLAGS, Rung, Stair, judged

SOUND = {"passes": True, "zero": 0.0, "true": 1.0, "steady": 1.0, "useful": 1.0, "largest": 1.0, "agree": 1.0, "sound": True}
CALM = {"images": 16, "repeats": True, "drawn": False, "alone": True, "forgets": True, "flat": 0.0, "slopes": {"as it is": SOUND}}


def trial(**changes):
    larger = changes.pop("larger", [[0.1, 3, 8], [0.2, 0, 8]])
    return {"eps": 0.03, "standing": 8, "beyond": 0, "larger": larger, "steps": [], "probes": CALM | changes}


def stair(standing, of=100, asked=0):
    return Stair("linf", 0.03, of, [Rung("gradient", of - standing - asked, standing + asked), Rung("queries", asked, standing)])


RAISED = {
    "not a pure function": ({"repeats": False}, 0),
    "minds its company": ({"alone": False}, 0),
    "remembers": ({"forgets": False}, 0),
    "flat": ({"flat": 0.3}, 0),
    "no sound gradient": ({"slopes": {"as it is": SOUND | {"useful": 0.5, "sound": False}}}, 0),
    "a blind search finds more": ({}, 3),
    "stands at any budget": ({"larger": [[1.0, 2, 8]]}, 0),
}


def raised(words, stairs):
    return [flag.name for flag in FLAGS if flag.found(words, stairs)]


def test_a_calm_model_raises_none():
    assert raised(trial(), [stair(40)]) == []


@pytest.mark.parametrize("name", RAISED)
def test_each_flag_is_raised_by_what_it_says_and_no_other(name):
    changes, asked = RAISED[name]
    assert raised(trial(**changes), [stair(40, asked=asked)]) == [name]


def test_every_flag_is_tried_here_and_told_in_full():
    assert [flag.name for flag in FLAGS] == list(RAISED)
    assert all(flag.raised_if and flag.means and flag.do for flag in FLAGS)


def test_a_view_that_is_sound_is_enough():
    slopes = {"as it is": SOUND | {"passes": False, "sound": False}, "reconnected": SOUND}
    assert raised(trial(slopes=slopes), [stair(40)]) == []


def test_a_gradient_that_is_of_use_and_foretells_nothing_is_said_to():
    """What a stand-in for JPEG of quality 10 gave on skin lesions: the flag spoke of its use alone, which was not what it lacked."""
    slopes = {
        "by a stand-in": SOUND | {"useful": 0.94, "true": 0.62, "sound": False},
        "as it is": SOUND | {"passes": False, "sound": False},
    }
    (seen,) = [said for flag in FLAGS if (said := flag.found(trial(slopes=slopes), [stair(40)]))]
    assert "of use on 94%" in seen
    assert "foretells what the model does on 62%" in seen


@pytest.mark.parametrize(("standing", "claims"), [(0, False), (1, False), (2, False), (3, True), (40, True)])
def test_only_what_stands_is_claimed(standing, claims):
    assert stair(standing).claims == claims


def test_without_a_claim_there_is_nothing_to_doubt():
    assert judged(trial(repeats=False), [])["verdict"] == "established"


@pytest.mark.parametrize("agree", [0.95, 0.5, 0.2, 0.08])
def test_so_many_draws_as_their_gradients_disagree(agree):
    """The mean of k unit vectors with pairwise cosine c has the cosine sqrt(k c / (1 + (k - 1) c)) with the mean of all."""
    k = draws_for(agree)
    assert (k * agree / (1 + (k - 1) * agree)) ** 0.5 > 0.8 or k == 24
    assert k == 1 or k >= draws_for(agree + 0.04)
