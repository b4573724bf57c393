"""Separability against scikit-learn and against sums by hand; and what an attack does that moves images without mixing them."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from robustdx.analyses import Seen, Separability, Views
from robustdx.analyses.separability import fisher_ratio, probe
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass

CLASSES = ("naevus", "melanoma", "keratosis")


def clouds(n=90, d=5, apart=2.0, seed=0):
    """Three Gaussian clouds on a triangle, and the class of each point."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return rng.normal(size=(n, d)) + apart * np.eye(3, d)[y], y


def seen(views, y, patients=None, findings=False, classes=CLASSES):
    y = np.asarray(y, float).reshape(len(y), -1)
    rows = {view: {"layer": f} for view, f in views.items()}
    return Seen(tuple(map(str, range(len(y)))), classes, y, findings, rows, patients)


def test_fisher_by_hand():
    """Classes at 0, 2 and 10, 14: means 1 and 12, the whole 6.5; between 4 * 5.5^2, within 1 + 1 + 4 + 4."""
    x, y = np.array([[0.0], [2], [10], [14]]), np.array([0, 0, 1, 1])
    assert fisher_ratio(x, y) == pytest.approx(4 * 5.5**2 / 10)
    assert np.isnan(fisher_ratio(np.array([[0.0], [0], [1], [1]]), y))


def test_numbers_equal_scikit_learns():
    x, y = clouds()
    patients = tuple(f"p{i // 6}" for i in range(90))
    found = Separability().conclude(seen({"clean": x, "pgd": x + 1}, y, patients))
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    groups = np.unique(patients, return_inverse=True)[1]
    said = cross_val_predict(regression, x, y, groups=groups, cv=StratifiedGroupKFold(5, shuffle=True, random_state=0))
    recalls = [(said[y == c] == c).mean() for c in range(3)]
    assert found.value("clean", "layer", "probe") == pytest.approx(np.mean(recalls))
    assert found.value("clean", "layer", "silhouette") == pytest.approx(silhouette_score(x, y))
    assert found.value("clean", "layer", "fisher") == pytest.approx(fisher_ratio(x, y))


def test_no_patient_is_asked_about_that_was_learned_from():
    """Features that name the patient and nothing else: by image the probe is perfect, by patient it is chance."""
    patients = np.repeat(np.arange(40), 4)
    y = patients % 2
    x = np.random.default_rng(0).normal(size=(40, 60))[patients]
    assert probe(x, [x], y, None, 5)[0] > 0.95
    assert probe(x, [x], y, patients, 5)[0] < 0.7


def test_an_attack_that_moves_the_classes_into_each_other_and_one_that_only_moves_them():
    """Moved by one another's means the classes stay apart, but not where the clean probe looks; squeezed together they do not."""
    x, y = clouds(apart=6.0)
    moved = x - 6 * np.eye(3, 5)[y] + 6 * np.eye(3, 5)[(y + 1) % 3]
    squeezed = x - 6 * np.eye(3, 5)[y]
    found = Separability().conclude(seen({"clean": x, "moved": moved, "squeezed": squeezed}, y))
    assert found.value("clean", "layer", "probe") == found.value("clean", "layer", "probe_of_clean") > 0.95
    assert found.value("moved", "layer", "probe") > 0.95
    assert found.value("moved", "layer", "probe_of_clean") < 0.05
    assert found.value("moved", "layer", "fisher") == pytest.approx(found.value("clean", "layer", "fisher"), rel=0.2)
    assert found.value("squeezed", "layer", "probe") < 0.5
    assert found.value("squeezed", "layer", "fisher") < 0.1 < found.value("clean", "layer", "fisher")
    assert found.value("squeezed", "layer", "silhouette") < 0.05 < found.value("clean", "layer", "silhouette")


def test_findings_are_each_asked_for_themselves_where_annotated():
    x, y = clouds()
    truth = np.eye(3)[y]
    truth[:10, 0], truth[:, 2] = np.nan, 1
    found = Separability().conclude(seen({"clean": x, "pgd": x[::-1]}, truth, findings=True))
    assert found.value("clean", "layer", "fisher:naevus") == pytest.approx(fisher_ratio(x[10:], truth[10:, 0]))
    assert found.value("clean", "layer", "fisher:melanoma") == pytest.approx(fisher_ratio(x, truth[:, 1]))
    each = [found.value("clean", "layer", f"fisher:{name}") for name in ("naevus", "melanoma")]
    assert found.value("clean", "layer", "fisher") == pytest.approx(np.mean(each))
    assert "keratosis" not in {n.measure.partition(":")[2] for n in found.numbers}, "present everywhere: it cannot be asked"


def test_the_picture_lays_all_views_out_in_one_plane():
    x, y = clouds()
    found = Separability().conclude(seen({"clean": x, "pgd": x + 1}, y))
    plane = PCA(2, svd_solver="full").fit_transform(np.concatenate([x, x + 1]))
    np.testing.assert_allclose(found.pictures["clean"]["points:layer"], plane[:90])
    np.testing.assert_allclose(found.pictures["pgd"]["points:layer"], plane[90:])
    np.testing.assert_array_equal(found.pictures["pgd"]["label:layer"][:, 0], y)
    assert not Separability(picture="none").conclude(seen({"clean": x, "pgd": x}, y)).pictures["clean"]


def test_neighbourhoods_keep_clouds_apart_and_are_the_same_twice():
    x, y = clouds(30, apart=20.0)
    one, two = (Separability(picture="t-sne").conclude(seen({"clean": x, "pgd": x}, y)).pictures["clean"]["points:layer"] for _ in "ab")
    np.testing.assert_array_equal(one, two)
    assert silhouette_score(one, y) > 0.5


def test_a_class_of_one_patient_leaves_nobody_to_learn_from():
    x, y = clouds(30)
    patients = tuple("alone" if c == 2 else f"p{i}" for i, c in enumerate(y))
    found = Separability().conclude(seen({"clean": x, "pgd": x}, y, patients))
    (probe_,) = [n for n in found.numbers if (n.view, n.measure) == ("pgd", "probe")]
    assert probe_.value is None
    assert "one patient only" in probe_.why
    assert found.value("pgd", "layer", "fisher") > 0


def test_what_cannot_be_told_apart_is_refused_in_words():
    x, _ = clouds(12)
    with pytest.raises(DataError, match="separability needs images of at least 2 classes, all 12 are of melanoma"):
        Separability().conclude(seen({"clean": x, "pgd": x}, np.ones(12)))
    with pytest.raises(DataError, match="a finding that is present in some images and absent in others"):
        Separability().conclude(seen({"clean": x, "pgd": x}, np.tile([[1, 0, np.nan]], (12, 1)), findings=True))
    with pytest.raises(PlanError, match="folds must be at least 2, got 1"):
        Separability(folds=1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3))
    views = Views(torch.rand(3, 3, 4, 4), {"pgd": torch.rand(3, 3, 4, 4)}, torch.tensor([0, 1, 2]), Draws(0, tuple("abc")))
    model = DiagnosticModel(network, MultiClass(CLASSES)).eval()
    with pytest.raises(PlanError, match="there is no layer named 'layer4': take one of 0, 1, 2, 3"):
        Separability(layers=("layer4",))(model, views)
    decision = Separability()(model, views).rows["clean"]["decision"]
    np.testing.assert_allclose(decision, network[:3](views.clean).detach(), rtol=1e-5)
    named = dataclasses.replace(Separability(), layers=("2",))(model, views).rows["clean"]["2"]
    np.testing.assert_array_equal(named, decision)
