"""A1 and A2 on records whose answer is known."""

import json

import pytest

from reproduce.jogani import claims
from reproduce.verdicts import answered
from robustdx.auditing.plan import clean_cell
from robustdx.records import Cell, table
from robustdx.store import Store

IMAGES, EPS = 60, 2 / 255
STANDING = {"standard": (30, 6), "at-fgsm": (36, 30), "at-pgd": (48, 45), "at-mixed": (40, 38)}
"""Images of 60 that each network keeps under FGSM and under PGD."""


def row(i, right):
    decided = [0 if right else 1]
    scores = {f"{form}_{what}": v for form in ("clean", "searched", "saved") for what, v in (("scores", [0.5, 0.5]), ("decision", decided))}
    return {"id": f"{i:03}", "patient": f"p{i // 2}", "label": [0.0], **scores, "forwards": 1, "backwards": 0}


def audited(folder, keeps):
    store = Store(folder)
    for attack, right in zip(("clean", "fgsm", "pgd"), (IMAGES, *keeps), strict=True):
        told = {"settings": {}, "early_stop": True, "verdict": "saved"}
        cell = clean_cell("test") if attack == "clean" else Cell(attack=attack, threat="linf", eps=EPS, split="test", **told)
        store.add_part(cell, 0, table([row(i, i < right) for i in reversed(range(IMAGES))]), 1.0)
        store.finish(cell, 1)
    share = {"value": 0.5, "low": 0.4, "high": 0.6}
    metrics = {"accuracy": share, "balanced_accuracy": share}
    cells = [{"attack": c.attack, "eps": c.eps, "split": "test", "metrics": metrics} for c, _ in store.cells()]
    store.write_text("results.json", json.dumps({"cells": cells}))


@pytest.fixture
def runs(tmp_path):
    for name, keeps in STANDING.items():
        audited(tmp_path / f"{name}-audit", keeps)
    return tmp_path


@pytest.fixture
def networks(runs):
    return {name: claims.Audited.read(runs / f"{name}-audit") for name in claims.TRAININGS}


def test_images_are_in_one_order_whatever_the_order_of_the_records(networks):
    assert networks["standard"].ids == sorted(networks["standard"].ids)
    assert networks["at-pgd"].right["fgsm", EPS] == [1.0] * 48 + [0.0] * 12


def test_pgd_is_the_stronger_attack_where_fewer_images_stand(networks):
    (answer,) = answered(claims.a1(networks))
    assert answer.words == "holds"
    assert answer.difference == pytest.approx((30 - 6) / IMAGES)


def test_training_on_pgd_is_asked_against_every_other_under_both_attacks(networks):
    answers = answered(claims.a2(networks))
    assert len(answers) == 3 * 2
    assert all(a.difference > 0 for a in answers)
    assert next(a for a in answers if "plain, under PGD" in a.question.claim).words == "holds"


def test_networks_on_other_images_are_refused(networks):
    networks["at-pgd"].ids.reverse()
    with pytest.raises(SystemExit, match="audited on other images"):
        claims.a2(networks)


def test_the_page_has_a_row_for_each_training(runs, capsys):
    claims.main([str(runs)])
    told = capsys.readouterr().out
    assert "| both | 50.0 [40.0, 60.0] (50.0) |" in told
    assert "60 test images of 30 lesions" in told
