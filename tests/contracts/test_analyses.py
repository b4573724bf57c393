"""What every analysis in the catalogue promises. A new analysis is tested here without a line of its own."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from robustdx.analyses import ANALYSES, Seen, Views
from robustdx.catalogue import document
from robustdx.draws import Draws
from robustdx.errors import DataError, ImageError, UnsupportedTask
from robustdx.models import DiagnosticModel
from robustdx.tasks import Aimed, Binary, Class, MultiClass, MultiLabel, Ordinal

N = 12
IDS = tuple(f"img{i}" for i in range(N))
TASKS = {
    "binary": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "multi-class": (MultiClass(tuple("abc")), 3),
    "multi-label": (MultiLabel(tuple("abcd")), 4),
    "grades": (Ordinal(tuple("abc")), 3),
    "cumulative grades": (Ordinal(tuple("abc"), cumulative=True), 2),
    "goal": (Aimed(MultiClass(tuple("abc")), Class("b")), 3),
}


def network(outputs):
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3), nn.ReLU())
    return nn.Sequential(features, nn.Dropout(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, outputs))


def model_of(task, outputs):
    return DiagnosticModel(network(outputs), task, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)).eval()


def labels(task):
    plain = getattr(task, "task", task)
    k = len(plain.classes)
    return (torch.arange(N * k).view(N, k) % (k - 1) == 0).float() if isinstance(plain, MultiLabel) else torch.arange(N) % k


def views_of(task):
    g = torch.Generator().manual_seed(1)
    x = torch.rand(N, 3, 12, 10, generator=g)
    moved = {name: (x + eps * torch.randn(x.shape, generator=g).sign()).clamp(0, 1) for name, eps in (("small", 0.02), ("large", 0.2))}
    return Views(x, moved, labels(task), Draws(0, IDS), tuple(f"p{i // 2}" for i in range(N)), torch.ones(N, 12, 10))


def part(views, at):
    attacked = {name: x[at] for name, x in views.attacked.items()}
    patients = tuple(views.patients[i] for i in at)
    return Views(views.clean[at], attacked, views.y[at], views.draws.take(at), patients, views.masks[at])


def values(finding):
    return [float("nan") if n.value is None else n.value for n in finding.numbers]


def claims(analysis, task):
    return isinstance(getattr(task, "task", task), analysis.tasks)


@pytest.fixture(params=sorted(ANALYSES.methods))
def analysis(request):
    return ANALYSES.parse(request.param)


@pytest.fixture(params=TASKS.values(), ids=list(TASKS))
def task(request, analysis):
    if not claims(analysis, request.param[0]):
        pytest.skip("refused: see test_a_task_without_a_meaning_is_refused_by_name")
    return request.param


@pytest.fixture
def some(analysis):
    """A task that the analysis claims."""
    return next((t, k) for t, k in TASKS.values() if claims(analysis, t))


def test_it_says_numbers_that_json_can_hold_for_every_task(analysis, task):
    finding = analysis.conclude(analysis(model_of(*task), views_of(task[0])))
    assert json.loads(json.dumps(finding.words(), allow_nan=False)) == finding.words()
    assert {n.view for n in finding.numbers} >= {"small", "large"}
    assert len({(n.view, n.where, n.measure) for n in finding.numbers}) == len(finding.numbers), "a name is used once"
    assert all((n.value is None) <= bool(n.why) for n in finding.numbers), "what has no number has a reason"
    assert any(n.value is not None for n in finding.numbers if n.view == "large")


def test_its_pictures_are_numbers(analysis, task):
    finding = analysis.conclude(analysis(model_of(*task), views_of(task[0])))
    for kept in finding.pictures.values():
        assert all(isinstance(v, np.ndarray) and np.isfinite(v.astype(float)).all() for of, v in kept.items() if not of.startswith("label"))


def test_same_images_same_words_and_the_images_are_left_alone(analysis, some):
    model, views = model_of(*some), views_of(some[0])
    before = views.clean.clone()
    one, two = (analysis.conclude(analysis(model, views)) for _ in range(2))
    assert one.numbers == two.numbers
    assert torch.equal(views.clean, before)


def test_batches_joined_are_the_whole(analysis, some):
    model, views = model_of(*some), views_of(some[0])
    whole = analysis.conclude(analysis(model, views))
    parts = Seen.joined([analysis(model, part(views, at)) for at in ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9, 10], [11])])
    assert parts.ids == IDS
    found = analysis.conclude(parts)
    assert [dataclasses.replace(n, value=0) for n in found.numbers] == [dataclasses.replace(n, value=0) for n in whole.numbers]
    assert values(found) == pytest.approx(values(whole), rel=1e-3, abs=1e-4, nan_ok=True)
    assert {v: {of: a.shape for of, a in kept.items()} for v, kept in found.pictures.items()} == {
        v: {of: a.shape for of, a in kept.items()} for v, kept in whole.pictures.items()
    }


def test_nothing_changes_where_nothing_was_done(analysis, some):
    """The clean images under another name: what compares says the same, and what stands for itself is the clean number."""
    model, views = model_of(*some), views_of(some[0])
    finding = analysis.conclude(analysis(model, dataclasses.replace(views, attacked={"none": views.clean})))
    same = {"distance": 0, "cosine": 1, "cka": 1, "cka_biased": 1, "pearson": 1, "spearman": 1, "top_overlap": 1, "ssim": 1}
    for n in finding.numbers:
        if n.view == "none" and n.value is not None:
            measure = n.measure.partition(":")[0]
            frobenius = {"frobenius": 0, "frobenius_relative": 0, "correlation": 1} if n.where == "clean" else {}
            expected = {**same, **frobenius}.get(measure)
            twin = next((m.value for m in finding.numbers if (m.view, m.where, m.measure) == ("clean", n.where, n.measure)), None)
            if expected is None and twin is None:  # compared with the truth: as the clean decisions are
                assert n.where == "truth"
                continue
            assert n.value == pytest.approx(twin if expected is None else expected, abs=1e-4), n


def test_the_model_is_left_as_it_was(analysis, some):
    model = model_of(*some).train()
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    analysis(model, views_of(some[0]))
    assert all(m.training for m in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())
    assert model.network[0][2].inplace


def test_it_looks_at_the_network_in_eval_mode(analysis, some):
    """Dropout and batch norm in training mode would change what is seen."""
    views, model = views_of(some[0]), model_of(*some)
    assert analysis.conclude(analysis(model.train(), views)).numbers == analysis.conclude(analysis(model.eval(), views)).numbers


@pytest.mark.parametrize(("task", "outputs"), TASKS.values(), ids=list(TASKS))
@pytest.mark.parametrize("name", sorted(ANALYSES.methods))
def test_a_task_without_a_meaning_is_refused_by_name(name, task, outputs):
    analysis = ANALYSES.parse(name)
    if claims(analysis, task):
        pytest.skip("has a meaning")
    with pytest.raises(
        UnsupportedTask, match=f"{name} has a meaning for .*, this model is an? {type(getattr(task, 'task', task)).__name__}"
    ):
        analysis(model_of(task, outputs), views_of(task))


def test_its_words_make_it_again_and_every_setting_is_explained(analysis):
    assert ANALYSES.parse(ANALYSES.dump(analysis)) == analysis
    assert all(document(type(analysis))[f.name] for f in dataclasses.fields(analysis))


def test_views_that_are_not_of_the_same_images_are_refused():
    x, y, draws = torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), Draws(0, ("a", "b"))
    with pytest.raises(ImageError, match=r"the view 'pgd': expected the same images as the clean ones, \(2, 3, 8, 8\), got \(2, 3, 8, 9\)"):
        Views(x, {"pgd": torch.rand(2, 3, 8, 9)}, y, draws)
    with pytest.raises(ImageError, match=r"expected masks of shape \(2, 8, 8\)"):
        Views(x, {"pgd": x}, y, draws, masks=torch.ones(2, 8, 9))
    with pytest.raises(DataError, match="none called clean or truth"):
        Views(x, {"clean": x}, y, draws)
    with pytest.raises(DataError, match="expected a patient for each of 2 images, got 1"):
        Views(x, {"pgd": x}, y, draws, patients=("p",))
    with pytest.raises(DataError, match="a label and a stream for each of 2 images, got 2 labels and 1 streams"):
        Views(x, {"pgd": x}, y, draws.take([0]))


def test_batches_under_other_attacks_are_not_joined():
    model, views = model_of(MultiClass(tuple("abc")), 3), views_of(MultiClass(tuple("abc")))
    other = dataclasses.replace(views, attacked={"pgd": views.clean})
    with pytest.raises(DataError, match="the same attacks"):
        Seen.joined([ANALYSES.parse("cka")(model, v) for v in (views, other)])
