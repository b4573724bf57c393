"""`robustdx list` and `robustdx describe` say what there is, in the words of the code."""

import pytest

from robustdx.attacks import ATTACKS
from robustdx.catalogue import document
from robustdx.perturbations import PERTURBATIONS, SEQUENCES
from robustdx.purifiers import PURIFIERS


def test_list_names_everything(robustdx):
    outcome = robustdx("list")
    assert outcome.status == 0
    for room in ("attacks:", "purifiers:", "threats:", "tasks:", "data:", "objectives:"):
        assert room in outcome.out
    assert "Projected gradient ascent from random starts" in outcome.out


def test_list_of_one_kind(robustdx):
    outcome = robustdx("list", "attacks")
    assert outcome.out.splitlines()[0] == "attacks:"
    assert [line.split()[0] for line in outcome.out.splitlines()[1:]] == [*sorted(ATTACKS.methods), *ATTACKS.presets]


def test_list_of_purifiers(robustdx):
    lines = robustdx("list", "purifiers").out.splitlines()
    assert lines[0] == "purifiers:"
    assert [line.split()[0] for line in lines[1:]] == sorted(PURIFIERS.methods)


@pytest.mark.parametrize(
    "name", ["pgd", "linf", "binary", "folder", "madry", "jpeg", "plan", "model", "rotate", "cka", "worst-case", "box"]
)
def test_describe_tells_every_setting(name, robustdx):
    outcome = robustdx("describe", name)
    assert outcome.status == 0
    assert outcome.out.startswith(f"{name}: ")


def test_describe_shows_the_default_and_the_words_under_the_field(robustdx):
    outcome = robustdx("describe", "pgd")
    assert "steps = 40" in outcome.out
    assert document(ATTACKS.find("pgd"))["restarts"] in outcome.out


@pytest.mark.parametrize("words", [("describe", "preset"), ("list", "presets"), ("list",)])
def test_presets_of_an_audit_tell_their_price(words, robustdx):
    outcome = robustdx(*words)
    assert "pgd 81; cascade 825; square (on 100 images drawn by patient) 1,002." in outcome.out
    assert [line.split()[0] for line in outcome.out.splitlines()[-3:]] == ["standard", "thorough", "clinical"]


def test_describe_one_preset_tells_its_attacks(robustdx):
    lines = robustdx("describe", "quick").out.splitlines()
    assert lines[0].startswith("quick: A first look in minutes")
    assert lines[2:] == ["  fgsm", "  pgd, steps = 20"]


def test_describe_clinical_tells_what_it_does_without_an_adversary(robustdx):
    lines = robustdx("describe", "clinical").out.splitlines()
    assert "  fgsm" in lines
    assert "  perturbations: gaussian_noise, severities = [1, 3, 5]" in lines
    assert "  sequences: centred, images = 100" in lines


def test_list_of_perturbations_and_sequences(robustdx):
    names = [line.split()[0] for line in robustdx("list", "perturbations").out.splitlines()[1:]]
    assert names == [*sorted(PERTURBATIONS.methods), *PERTURBATIONS.presets]
    names = [line.split()[0] for line in robustdx("list", "sequences").out.splitlines()[1:]]
    assert names == [*sorted(SEQUENCES.methods), "xu2021", "imagenet-p", "centred"]


def test_a_name_in_several_lists_is_described_in_each(robustdx):
    out = robustdx("describe", "gaussian_noise").out
    assert "gaussian_noise (perturbations): " in out
    assert "gaussian_noise (sequences): " in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "atacks"], "robustdx: there is no list named 'atacks': did you mean attacks?\n"),
        (["describe", "pdg"], "robustdx: there is no method named 'pdg': did you mean pgd?\n"),
    ],
)
def test_slips(words, told, robustdx):
    outcome = robustdx(*words)
    assert (outcome.status, outcome.out, outcome.err) == (2, "", told)
