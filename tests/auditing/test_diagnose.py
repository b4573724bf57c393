"""Each flag is raised by the numbers it is about, and by no others."""

import pytest

from robustdx.auditing.diagnose import diagnose


def result(attack, accuracy, eps=4 / 255, *, balanced=None, searched=None, patients=200, method=None):
    clean, threat = attack == "clean", "" if attack == "clean" else "linf"
    e = {"value": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05}
    balanced = accuracy if balanced is None else balanced
    metrics = {"accuracy": e, "balanced_accuracy": {"value": balanced, "low": balanced - 0.05, "high": balanced + 0.05}}
    return {
        "key": f"{attack}-{eps * 255:g}",
        "attack": attack,
        "threat": threat,
        "eps": 0.0 if clean else eps,
        "split": "test",
        "images": 300,
        "patients": patients,
        "verdict": "saved",
        "settings": {} if attack in ("clean", "worst") else {"name": method or attack},
        "metrics": metrics | {f"accuracy:{c}": e for c in "abcd"},
        **({"searched": {"accuracy": {"value": searched}}} if searched is not None else {}),
    }


SOUND = [
    result("clean", 0.8),
    *(result("fgsm", a, e / 255, searched=a) for a, e in ((0.5, 2), (0.3, 4), (0.2, 8))),
    *(result("pgd", a, e / 255, searched=a) for a, e in ((0.4, 2), (0.1, 4), (0.0, 8))),
    *(result("worst", a, e / 255) for a, e in ((0.4, 2), (0.1, 4), (0.0, 8))),
]


def titles(*changed):
    kept = [c for c in SOUND if not any((c["attack"], c["eps"]) == (n["attack"], n["eps"]) for n in changed)]
    return [flag["title"] for flag in diagnose([*kept, *changed], "multiclass")]


def test_a_sound_evaluation_raises_none():
    assert titles() == []


@pytest.mark.parametrize(
    ("changed", "title"),
    [
        (result("clean", 0.7, balanced=0.27), "Clean balanced accuracy on test, 0.270, is not above chance (0.250)"),
        (result("fgsm", 0.33, 8 / 255), "Under fgsm accuracy is 3.0 points higher at eps 8/255 than at 4/255"),
        (result("pgd", 0.32), "pgd leaves 2.0 points more standing than fgsm at eps 4/255"),
        (result("pgd", 0.13, searched=0.1), "Rounding to 8 bits changes accuracy under pgd by +3.0 points at eps 4/255"),
        (result("worst", 0.41, 8 / 255), "At eps 8/255 the model keeps 41.0 % accuracy against every attack"),
        (result("clean", 0.8, patients=19), "All intervals on test rest on 19 patients"),
    ],
)
def test_a_suspicious_number_is_named(changed, title):
    assert titles(changed) == [title]


@pytest.mark.parametrize(
    "changed",
    [
        result("clean", 0.2, balanced=0.6),
        result("fgsm", 0.319, 8 / 255),
        result("pgd", 0.309),
        result("pgd", 0.119, searched=0.1),
        result("worst", 0.4, 8 / 255),
        result("clean", 0.8, patients=20),
    ],
)
def test_a_number_at_the_edge_is_not(changed):
    assert titles(changed) == []


def test_an_attack_is_known_by_its_method_and_not_by_its_label():
    assert titles(result("long", 0.35, method="pgd")) == ["long leaves 5.0 points more standing than fgsm at eps 4/255"]


def test_a_flag_says_where_what_raised_it_what_it_means_and_what_to_do():
    (flag,) = diagnose([result("clean", 0.3)], "multiclass")
    assert set(flag) == {"cell", "title", "raised_if", "means", "do"}
    assert flag["cell"] == "clean-4"
