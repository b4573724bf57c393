"""Each fake is as good a network as the one inside, looks robust, and is not; each honest defence is worth what is known of it."""

import json

import pytest
import torch

from robustdx.selftest.fakes import FAKES
from robustdx.selftest.honest import HONEST
from robustdx.selftest.planted import VICTIMS
from robustdx.selftest.victims import Photos, photos, robust
from tests.selftest.climbing import saved
from tests.selftest.dedicated import BY_CHANCE, DEDICATED, broken_by
from tests.selftest.measure import COUNT, KNOWN, accuracy_under_pgd, clean_accuracy
from tests.selftest.measuring import broken_by_climbing, naive

FEW, CLEAN = 10, 96
KNOWN_ANSWERS = json.loads(KNOWN.read_text())
ROWS = {**KNOWN_ANSWERS["fakes"], **KNOWN_ANSWERS["honest"]}


@pytest.fixture(autouse=True)
def _seeded():
    """Two fakes draw from the global generator; the tests do not go by luck."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def few() -> Photos:
    return photos(FEW)


@pytest.fixture(scope="module")
def without() -> dict[str, float]:
    """Clean accuracy of the networks inside."""
    return {name: clean_accuracy(make(), photos(CLEAN)) for name, make in VICTIMS.items()}


@pytest.mark.parametrize("name", FAKES)
def test_a_fake_answers_as_well_as_the_network_inside(name, without):
    assert clean_accuracy(FAKES[name](), photos(CLEAN)) >= without[FAKES[name].around] - 0.035


@pytest.mark.parametrize("name", FAKES)
def test_a_fake_looks_robust_and_is_not(name, few):
    """On fewer photos where many stand to the end, which is what takes time."""
    few = few if FAKES[name].around == "undefended" else photos(6)
    claimed = accuracy_under_pgd(FAKES[name], few, steps=10)
    left = 1 - float(broken_by(name, few).float().mean())
    assert claimed >= left + 0.24


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_defence_stands_where_the_strong_climb_left_it(name):
    """On the first photos, in fewer steps: none stands or falls that did not before, but for the last digit."""
    few = photos(6)
    before = [i in ROWS[name]["broken"] for i in few.ids]
    now = broken_by_climbing(name, few, steps=16).tolist()
    assert sum(a != b for a, b in zip(now, before, strict=True)) <= 1


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_defence_is_worth_what_it_claims(name):
    assert abs(ROWS[name]["claimed"] - ROWS[name]["dedicated"]) <= 0.02


def test_the_helpful_purifier_does_not_harm():
    for what in ("clean", "dedicated"):
        assert ROWS["blurred"][what] >= ROWS["trained"][what] - 0.02


def test_every_fake_has_a_dedicated_attack_and_a_known_answer():
    assert set(FAKES) == set(DEDICATED) == set(KNOWN_ANSWERS["fakes"])
    assert set(HONEST) == set(KNOWN_ANSWERS["honest"])
    assert set(BY_CHANCE) < set(FAKES)
    assert KNOWN_ANSWERS["ids"] == list(photos(COUNT).ids)


@pytest.mark.parametrize("name", ["distilled", "k_winners", "batch_norm"])
def test_a_fake_made_of_the_networks_own_layers_leaves_the_network_alone(name, few):
    model = robust()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    FAKES[name].make(model)(few.x[:2])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_what_plain_pgd_shows_lies_on_the_grid_within_eps(few):
    shown = naive(FAKES["saturated"](), few, steps=2)
    assert torch.equal(shown, saved(shown, few.x))
