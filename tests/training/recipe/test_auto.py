"""A recipe chooses from evidence, says why, keeps its budget, and never looks at test images."""

import json
import time
from dataclasses import replace

import pytest
import torch

from robustdx.catalogue import build, dump
from robustdx.data import load_dataset
from robustdx.errors import ImageError, PlanError, RunError
from robustdx.training.plan import HardenPlan
from robustdx.training.prepare import prepare
from robustdx.training.recipe import Auto, Budget, auto, kept, price, read_budget, trials
from robustdx.training.recipe.auto import USUAL, _whole
from robustdx.training.recipe.trials import Candidate, Ground, Trial, better

DATA = "synthetic,task=multiclass,images=240"


def plan(**changes) -> HardenPlan:
    words = {"model": {"source": "cnn", "size": 48}, "data": DATA, "eps": "2/255", **changes}
    return build(HardenPlan, words, where="plan")


@pytest.fixture(scope="module", autouse=True)
def short():
    """Trials of a few steps, judged on a few images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto, "SHORTEST", 2)
        patch.setattr(auto, "LONGEST", 4)
        patch.setattr(trials, "JUDGED", 16)
        yield


@pytest.fixture(scope="module")
def training():
    return prepare(plan())


def epochs_worth(training, epochs: float) -> Budget:
    """So many epochs of the usual objective at full size."""
    return Budget(flop=epochs * len(training.train) * price.flop(training, USUAL, training.model.size, training.plan.adversary))


@pytest.fixture(scope="module")
def recipe(training):
    return Auto(training, epochs_worth(training, 24))()


def chosen(recipe):
    return {choice.what: choice for choice in recipe.choices}


def test_every_choice_has_a_reason_and_evidence(recipe):
    assert set(chosen(recipe)) == {"batch", "resolution", "work", "objective", "learning rate", "stages"}
    assert all(choice.why and choice.evidence for choice in recipe.choices)
    trials = chosen(recipe)["objective"].evidence
    assert len(trials) == 3
    assert all({"steps", "balanced_accuracy", "robust_balanced_accuracy"} <= set(found) for found in trials.values())


def test_the_work_of_the_plan_and_of_the_trials_is_the_budget(training, recipe):
    budget = chosen(recipe)["work"].evidence["flop"]
    trained = sum(
        stage.epochs
        * len(training.train)
        * price.flop(training, stage.objective, recipe.plan.size_of(i) or training.model.size, recipe.plan.adversary)
        for i, stage in enumerate(recipe.plan.stages)
    )
    assert 0.8 * budget < trained < budget, "trials take at most 15 %"


def test_it_begins_small_and_clean_and_is_attacked_at_full_size(training, recipe):
    first, second = recipe.plan.stages
    assert (first.objective["name"], tuple(first.size)) == ("standard", (24, 24))
    assert (second.objective, second.size) == (recipe.plan.objective, None)
    assert recipe.plan.judge is not None


def test_the_same_seed_chooses_the_same(training, recipe):
    again = Auto(prepare(plan()), epochs_worth(training, 24))()
    assert (again.plan, again.choices) == (recipe.plan, recipe.choices)


def test_test_images_are_never_read(recipe, monkeypatch):
    """They cannot be: reading one raises."""
    data = load_dataset(DATA)
    read = data.read

    def guarded(example, size, channels):
        if example.split == "test":
            raise ImageError("a test image was opened")
        return read(example, size, channels)

    monkeypatch.setattr("robustdx.training.prepare.load_dataset", lambda source: replace(data, read=guarded))
    training = prepare(plan())
    assert Auto(training, epochs_worth(training, 24))().plan == recipe.plan


def test_trials_learn_and_are_judged_on_training_images_alone_and_on_other_patients(training):
    ground = Ground.of(training, (24, 24))
    known = {e.id: e.patient for e in training.train.examples}
    learned, judged = ({e.id for e in d.examples} for d in (ground.learned, ground.judged))
    assert learned | judged <= set(known)
    assert not {known[i] for i in learned} & {known[i] for i in judged}


def trial(name, robust, ground):
    return Trial(Candidate({"name": name}, 0.05), 40, tuple(robust), tuple(robust))


def test_another_takes_the_place_of_the_usual_choice_only_beyond_chance(training):
    ground = Ground.of(training, (24, 24))
    n = len(ground.judged)
    usual = trial("madry", [0.0] * n, ground)
    lucky = trial("trades", [1.0] + [0.0] * (n - 1), ground)
    better_by_far = trial("n-fgsm", [1.0] * n, ground)
    assert better(ground, usual, [lucky])[0] is usual
    assert better(ground, usual, [lucky, better_by_far])[0] is better_by_far


def test_images_are_smaller_where_nobody_named_a_size_and_the_budget_is_short():
    unnamed = prepare(plan(model={"source": "timm:test_resnet"}, data="synthetic,task=binary,images=60"))
    own = unnamed.model.size
    worth = len(unnamed.train) * price.flop(unnamed, USUAL, own, unnamed.plan.adversary)
    short, long = (Auto(unnamed, Budget(flop=n * worth))(try_out=False) for n in (6, 20))
    assert (chosen(short)["size"].chosen, short.plan.model.size) == (f"{own[0] // 2}x{own[1] // 2}", (own[0] // 2, own[1] // 2))
    assert ("size" in chosen(long), long.plan.model.size) == (False, None)


def test_without_an_adversary_there_is_nothing_to_try():
    training = prepare(plan(eps=0))
    made = Auto(training, epochs_worth(prepare(plan()), 10))()
    assert [s.objective["name"] for s in made.plan.stages] == ["standard"]
    assert made.plan.judge is None


def test_from_trained_weights_it_begins_under_attack_and_slower(training, recipe, tmp_path):
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in training.model.network.state_dict().items()}, tmp_path / "w.safetensors")
    begun = prepare(plan(start=str(tmp_path / "w.safetensors")))
    made = Auto(begun, epochs_worth(training, 5))(try_out=False)
    assert all(stage.objective == USUAL for stage in made.plan.stages)
    assert made.plan.learning_rate < Auto(training, epochs_worth(training, 5))(try_out=False).plan.learning_rate


def test_a_large_budget_of_the_adversary_begins_with_half_of_it(training):
    made = Auto(prepare(plan(eps="8/255")), epochs_worth(training, 5))(try_out=False)
    assert [stage.eps for stage in made.plan.stages] == [None, 4 / 255, None]


def test_a_budget_too_short_for_one_epoch_says_what_it_needs(training):
    with pytest.raises(PlanError, match=r"too short for one epoch of these images: give at least --budget .*TFLOP"):
        Auto(training, Budget(flop=1e6))()
    with pytest.raises(PlanError, match=r"give at least --budget [\d.]+m"):
        Auto(training, Budget(seconds=1e-4))()


def test_time_becomes_work_by_the_measured_speed_and_is_handed_on(training):
    began = time.monotonic()
    made = Auto(training, Budget(seconds=600.0))(try_out=False)
    taken = time.monotonic() - began
    evidence = chosen(made)["work"].evidence
    assert evidence["flop_per_second"] > 0
    assert 600 - taken - 0.1 < made.plan.seconds < 600, "what choosing took is not there to train in"


def test_operations_are_counted_forward_and_back(training):
    """Against the layers: a convolution costs 2 k k c_in c_out per output pixel, and as much again for each of two gradients."""
    model, convolutions = training.model, []
    hooks = [
        m.register_forward_hook(lambda m, x, out: convolutions.append((m, out.shape)))
        for m in model.network.modules()
        if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)
    ]
    with torch.no_grad():
        model.eval()(torch.rand(1, 3, 48, 48))
    for hook in hooks:
        hook.remove()
    each = []
    for layer, out in convolutions:
        pixels = out[2] * out[3] if len(out) == 4 else 1
        each.append(2 * layer.weight.numel() * pixels)
    whole = 3 * sum(each) - each[0]  # the first layer needs no gradient of the image
    assert price.flop(training, {"name": "standard"}, (48, 48), training.plan.adversary) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("text", ["20", "20 minutes", "-5m", "", "TFLOP"])
def test_a_budget_that_cannot_be_read_is_refused(text):
    with pytest.raises(PlanError, match="expected a time such as 20m"):
        read_budget(text)


@pytest.mark.parametrize("text", ["20m", "90s", "1.5h", "40TFLOP"])
def test_a_budget_is_told_as_it_can_be_read(text):
    assert read_budget(str(read_budget(text))) == read_budget(text)


def test_trials_have_a_few_lengths_so_that_a_little_more_speed_changes_nothing():
    assert [_whole(n) for n in (0, 2, 3.9, 4, 10_000)] == [2, 2, 2, 4, 4]


def test_who_goes_on_goes_on_with_the_same_plan(recipe, tmp_path):
    kept.write(tmp_path, plan(), "60m", recipe)
    assert kept.read(tmp_path, plan(), "60m") == replace(recipe, choices=kept.read(tmp_path, plan(), "60m").choices)
    assert json.loads((tmp_path / "recipe.json").read_text())["plan"] == dump(recipe.plan)
    with pytest.raises(RunError, match="asked for in other words"):
        kept.read(tmp_path, plan(seed=1), "60m")
