"""A training in words: every key documented, every slip named."""

import dataclasses
import json
import shutil
import tomllib
import warnings

import numpy as np
import pytest
import tomli_w
import torch
from PIL import Image
from safetensors.torch import load_file
from small_training import small

from robustdx.attacks import FGSM
from robustdx.catalogue import build, document, dump
from robustdx.errors import DataError, ModelError, PlanError, UnsupportedTask, WeightsError
from robustdx.threats import Linf
from robustdx.training import Madry, Standard
from robustdx.training.augment import Augment
from robustdx.training.plan import HardenPlan, Stage
from robustdx.training.prepare import prepare


def test_a_plan_survives_being_written_down():
    plan = small(augment={"mirror": False, "rotate": 3}, average="swa", clip=1, l1="1/100000", accumulate=2)
    again = build(HardenPlan, tomllib.loads(tomli_w.dumps(dump(plan))), where="plan")
    assert again == plan
    assert again.augment == Augment(mirror=False, rotate=3.0)
    assert again.stages[1] == Stage(epochs=2)


def test_words_become_methods():
    plan = small()
    assert plan.objective_of(0) == Standard()
    assert plan.objective_of(1) == Madry(steps=1)
    assert plan.adversary == Linf(2 / 255)
    assert plan.judged_by == FGSM()
    assert [plan.stage_of(epoch) for epoch in range(plan.epochs)] == [0, 1, 1]


@pytest.mark.parametrize("cls", [HardenPlan, Stage, Augment, Standard, Madry])
def test_every_key_is_documented(cls):
    assert all(document(cls)[field.name] for field in dataclasses.fields(cls))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"objektive": "madry"}, "did you mean objective?"),
        ({"objective": {"name": "madri"}}, "did you mean madry?"),
        ({"objective": {"name": "madry", "step": 3}}, "did you mean steps?"),
        ({"judge": {"name": "pdg"}}, "did you mean pgd?"),
        ({"augment": {"miror": True}}, "did you mean mirror?"),
        ({"augment": {"rotate": -1}}, "rotate must be at least 0, got -1"),
        ({"stages": []}, "at least one stage"),
        ({"stages": [{"epochs": 0}]}, "epochs above 0, got 0"),
        ({"stages": [{"epochs": 1, "size": [1, 2, 3]}]}, "(height, width)"),
        ({"stages": [{"epochs": 1, "size": 16}]}, "the last stage must have the model's own size, got 16"),
        ({"batch_size": 1}, "at least 2"),
        ({"accumulate": 0}, "at least 1 batch, got 0"),
        ({"l1": -1}, "l1 and warm_up at least 0"),
        ({"clip": 0}, "clip must be above 0, got 0: leave it out"),
        ({"average": "ema"}, "average"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"effective": 1}, "effective must lie between 0 and 1, got 1"),
        ({"sampling": 1.5}, "sampling must lie between 0 and 1, got 1.5"),
        ({"average": 1}, "average must lie between 0 and 1"),
        ({"eps": "3"}, "eps must lie in [0, 1]"),
        ({"eps": "two"}, "a fraction like 8/255"),
        ({"model": {"source": "cnn", "size": 20, "weights": "w.safetensors"}}, "say start"),
    ],
)
def test_a_plan_that_means_nothing_is_refused(changes, told):
    with pytest.raises(PlanError) as refusal:
        small(**changes)
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "refusal", "told"),
    [
        ({"data": "synthetic", "task": "multilabel"}, PlanError, "leave task out or say multiclass"),
        ({"start": "nowhere"}, WeightsError, "nowhere is neither"),
        ({"model": {"source": "timm:resnet81", "size": 20}}, ModelError, "did you mean"),
        ({"stages": [{"epochs": 1, "size": 4}, {"epochs": 1}]}, ModelError, "cannot take images of 4 x 4"),
        ({"data": "folder:nowhere"}, DataError, "nowhere"),
        ({"batch_size": 73}, PlanError, "batch_size 73 is more than the 72 training images of synthetic: give a batch_size of about 9"),
        ({"accumulate": 5}, PlanError, "batch_size 16 times accumulate 5 is more than the 72"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_before_anything_runs(changes, refusal, told):
    with pytest.raises(refusal) as came:
        prepare(small(**changes))
    assert told in str(came.value)


def test_data_of_too_few_patients_for_a_split_are_refused_in_words(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (12, 16, 16, 3), dtype=np.uint8)
    for i, image in enumerate(images):
        file = tmp_path / "ab"[i % 2] / f"P{i // 4}_{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(file)
    with pytest.raises(DataError) as came:
        prepare(small(data=rf"folder:{tmp_path},patient=(P\d)_"))
    assert "the 12 images are of 3 patients, and val is left without: give more" in str(came.value)


def test_a_start_whose_outputs_stand_for_other_classes_is_refused(finished, tmp_path):
    copied = shutil.copytree(finished, tmp_path / "copy")
    facts = json.loads((copied / "model.json").read_text())
    (copied / "model.json").write_text(json.dumps({**facts, "classes": facts["classes"][::-1]}))
    with pytest.raises(ModelError, match="both must be the same"):
        prepare(small(start=str(copied)))


def test_a_start_with_another_number_of_classes_gives_all_but_the_last_layer(finished):
    begun, fresh = prepare(small(data="synthetic,images=100", start=str(finished))), prepare(small(data="synthetic,images=100"))
    given = load_file(finished / "model.safetensors")
    state = begun.model.network.state_dict()
    assert torch.equal(state["features.0.0.weight"], given["features.0.0.weight"])
    assert torch.equal(state["head.weight"], fresh.model.network.head.weight)


@pytest.mark.parametrize("objective", ["madry", "at-fgsm", "at-mixed", "mpadvt", "trades", "free", {"name": "awp", "objective": "mart"}])
def test_an_adversary_who_can_do_nothing_is_refused(objective):
    words = {"name": objective} if isinstance(objective, str) else objective
    with pytest.raises(PlanError, match=r"trains against an adversary, who can do nothing with eps = 0: give one like 2/255"):
        small(eps=0, objective=words)
    small(eps=0, objective={"name": "standard"})
    small(eps=0, objective={"name": "mpadvt", "version": "as_published"})  # which brings an eps of its own


def test_an_objective_without_meaning_for_the_task_is_refused_before_anything_runs():
    normal = {"source": "cnn", "size": 20, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    with pytest.warns(UserWarning, match="released"):
        plan = small(data="synthetic,task=multilabel,images=100", objective={"name": "maadvt-released"}, model=normal)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is wrong on purpose says so once
        with pytest.raises(UnsupportedTask, match="no form for several findings"):
            prepare(plan)


def test_a_published_budget_is_refused_where_pixels_are_not_normalised():
    with pytest.raises(PlanError, match=r'mpadvt, version "as_published": the published eps is one of normalised images.*\[0.0942'):
        prepare(small(objective={"name": "mpadvt", "version": "as_published"}))
    prepare(small(objective={"name": "mpadvt", "version": "as_published", "std": [0.0942, 0.1331, 0.1521]}))


def test_the_work_of_a_plan_is_what_its_objectives_cost():
    training = prepare(small(stages=[{"epochs": 2}], objective={"name": "trades", "steps": 3}))
    assert training.work(2) == 2 * (7 + 4) * len(training.train)
