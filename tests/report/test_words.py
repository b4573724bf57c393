"""The sentences say what was measured, and no more."""

import doctest
from dataclasses import replace

import pytest
from fabricated import BUDGETS, LUNG, edit, make_run

from robustdx.report import numbers, words
from robustdx.report.cautions import cautions, limits
from robustdx.report.findings import read

NBSP, DASH = numbers.NBSP, numbers.DASH
ROBUST = 60 / 255


def said(folder, **options):
    return read(make_run(folder / "run", **({"images": 240} | options)))


def titles(f):
    return [c.title for c in cautions(f)]


def test_an_undefended_model_in_one_sentence(run):
    assert words.headline(read(run)) == "ResNet-18 decides 83 of 100 images correctly, but only 1 after a change too small to see."


def test_what_was_tested(run):
    assert words.tested(read(run)) == [
        f"ResNet-18 (11.2 million parameters, 150{NBSP}{numbers.TIMES}{NBSP}200 pixels) tells 7 classes apart.",
        "320 test images of 173 lesions from HAM10000.",
        "Attacked by FGSM and PGD, which know the network (white box); every pixel may change by at most 0.25 to 8/255.",
    ]


def test_the_defence_is_named_where_there_is_one(tmp_path):
    f = said(tmp_path)
    behind = replace(f, run={**f.run, "model": {**f.run["model"], "defence": ["jpeg (quality = 60)", "median"]}})
    assert words.tested(f)[0].endswith("pixels) tells 7 classes apart.")
    assert words.tested(behind)[0].endswith("pixels), behind jpeg (quality = 60) and median, tells 7 classes apart.")


def test_what_came_out(run):
    clean, worst, bounds, turned = words.came_out(read(run))
    assert f"accuracy 82.8{NBSP}% (" in clean
    assert clean.endswith(f"Always answering “nv” would score 68.8{NBSP}%.")
    assert worst.startswith(f"Accuracy in the worst case: 57{NBSP}% at 0.25, 25{NBSP}% at 0.5, 5{NBSP}% at 1,")
    assert bounds == "It first falls below half of the clean accuracy at 0.5/255, below always answering “nv” at 0.25/255."
    assert turned.startswith("A change of at most 2/255 per pixel, too small to see, turned 99 of 100 right answers wrong (")


def test_how_sure_it_is(run):
    intervals, bound, judged = words.sure(read(run))
    assert intervals == f"In brackets: 95{NBSP}% intervals (bootstrap, 100 draws) over the 173 lesions."
    assert "PGD with 40 steps" in bound
    assert bound.endswith("the true robustness may be lower.")
    assert "on the image as saved in 8 bit; at 0.25 and 0.5/255" in judged


def test_a_model_that_stands_is_called_so_only_against_what_was_tried(tmp_path):
    assert words.headline(said(tmp_path, holds=ROBUST)).endswith("after a change too small to see, against the attacks tried.")


def test_a_single_step_is_no_evidence(tmp_path):
    f = said(tmp_path, attacks=("fgsm",), holds=ROBUST)
    assert words.headline(f).endswith("no evidence that it is robust.")
    assert any("too weak to show that the model is robust" in s for s in words.sure(f))
    assert "The strongest attack took fewer than 10 steps" in titles(f)


def test_a_change_that_may_be_seen_is_not_called_invisible(tmp_path):
    f = said(tmp_path, budgets={"linf": (4 / 255, 8 / 255)})
    assert "too small to see" not in " ".join([words.headline(f), *words.came_out(f)])
    assert "Every budget was larger than 2/255 per pixel" in titles(f)


def test_a_length_is_never_called_invisible(tmp_path):
    f = said(tmp_path, budgets={"l2": (0.01, 0.1)})
    assert "too small to see" not in " ".join([words.headline(f), *words.came_out(f)])


def test_without_patients_the_intervals_are_called_too_narrow(tmp_path):
    f = said(tmp_path, grouped=False)
    assert words.sure(f)[0].endswith("over images, since the data names no patients: they are probably too narrow.")
    assert "The data names no patients" in titles(f)


def test_lesions_and_patients_are_told_apart(tmp_path):
    assert " patients from scans" in words.tested(said(tmp_path, source="folder:scans", data="scans", groups="patients"))[1]


def test_a_cut_group_comes_before_every_other_caution(tmp_path):
    flag = {"cell": "clean-test", "title": "Something else", "raised_if": "r", "means": "m", "do": "d"}
    f = read(edit(make_run(tmp_path / "run", images=240, cut_groups=483), flags=[flag]))
    assert titles(f) == ["483 lesions have images in more than one split", "Something else"]


def test_one_budget_says_nothing_about_where_it_gives_way(tmp_path):
    assert "Only one budget was tried: 1/255 per pixel" in titles(said(tmp_path, budgets={"linf": (1 / 255,)}))


def test_a_threshold_nobody_chose_is_named(tmp_path):
    f = said(tmp_path, validation=False, kind="binary", classes=("no", "yes"), shares=(1, 1))
    assert "Sensitivity and specificity stand at a threshold nobody chose" in titles(f)


def test_a_quick_look_is_named(tmp_path):
    assert "Only 60 images: a quick look" in titles(said(tmp_path, images=60))


def test_many_budgets_do_not_crowd_the_first_screen(tmp_path):
    f = said(tmp_path, images=60, budgets={"linf": tuple(n / 255 for n in range(1, 14))})
    assert [round(255 * eps) for eps, _ in f.told("linf")] == [1, 2, 3, 6, 8, 11, 13]


def test_a_model_that_guesses_is_not_said_to_stand(tmp_path):
    f = said(tmp_path, images=200, accuracy=0.14, holds=ROBUST)
    assert words.headline(f).endswith("hardly better than guessing: attacking it says little.")


def test_a_sound_run_has_no_cautions(run):
    assert titles(read(run)) == []


def test_findings_are_counted_as_findings(tmp_path):
    f = said(tmp_path, kind="multilabel", classes=LUNG, shares=(1,) * 6)
    assert "of 100 findings correctly" in words.headline(f)
    assert f"Always answering “no finding” would score 83.3{NBSP}%" in words.came_out(f)[0]


def test_below_the_grid_the_unrounded_image_is_judged(tmp_path):
    f = said(tmp_path, budgets={"linf": BUDGETS[:2]})
    assert words.sure(f)[-1] == "Judged in full precision on the unrounded image: every change is less than one step of an 8-bit file."


def test_without_an_attack_nothing_is_said_about_robustness(tmp_path):
    f = said(tmp_path, attacks=(), budgets={})
    assert words.headline(f).endswith("No attack was tried on it.")
    assert len(words.sure(f)) == 1
    assert limits(f)[0].startswith("No attack was tried.")


def test_limits_name_the_other_threat(run):
    assert any("not tried: L2, patches" in limit for limit in limits(read(run)))


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0"), (0.001, "fewer than 1"), (0.005, "fewer than 1"), (0.5, "50"), (0.9951, "more than 99"), (1, "100")]
)
def test_something_is_never_rounded_to_nothing(share, text):
    assert numbers.hundred(share) == text


def test_doctests():
    assert doctest.testmod(numbers).failed == 0
