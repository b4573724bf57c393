"""An iterative attack shows its steps: all of them, all images, and they end where the attack ends."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from robustdx.attacks import ATTACKS, BIM, PGD, SMIA, Attack, Iterative, Momentum
from robustdx.models import Subject
from tests.attacks.walking import DRAWS, TASKS, THREATS, B, images, labels, model_for

ITERATIVE = {
    "bim": BIM(steps=4),
    "pgd": PGD(steps=4, restarts=2),
    "mi": Momentum(steps=4),
    "vni-di-ti-si": Momentum(steps=4, nesterov=True, diverse=0.5, smooth=3, scales=2, neighbours=2),
    "smia": SMIA(steps=4),
    "smia, as released, stabilised, anywhere": SMIA(steps=4, probe="gradient", stabilise="hard", random_start=True),
}
by_task = pytest.mark.parametrize(("task", "outputs"), TASKS.values(), ids=list(TASKS))
by_attack = pytest.mark.parametrize("attack", ITERATIVE.values(), ids=list(ITERATIVE))
by_threat = pytest.mark.parametrize("threat", THREATS.values(), ids=list(THREATS))


def last(attack: Attack) -> Attack:
    """The attack that ends where its path does."""
    if isinstance(attack, BIM):
        return PGD(steps=4, step_size=0.25, random_start=False, early_stop=False, keep="last")
    return replace(attack, early_stop=False, keep="last", **({"restarts": 1} if isinstance(attack, PGD) else {}))


@by_attack
@by_task
@by_threat
def test_it_ends_where_the_attack_ends_and_stays_inside(attack, task, outputs, threat):
    model, x, y = model_for(task, outputs), images(), labels(task)
    path = list(attack.path(model, x, y, threat, DRAWS))
    assert len(path) == 4 + 1
    assert torch.equal(path[-1], last(attack)(model, x, y, threat, DRAWS))
    if not getattr(attack, "random_start", False):
        assert torch.equal(path[0], x)
    for x_t in path:
        assert x_t.shape == x.shape
        assert not x_t.requires_grad
        assert x_t.min() >= 0
        assert x_t.max() <= 1
        assert (threat.distance(x_t, x) <= threat.eps * (1 + 1e-5)).all()


@by_attack
def test_none_leaves_early_and_nothing_is_judged(attack):
    task, outputs = TASKS["multi-class"]
    model, x = model_for(task, outputs), images()
    wrong = (model(x).argmax(1) + 1) % 3
    subject = Subject(model)
    path = list(attack.path(subject, x, wrong, THREATS["linf"], DRAWS))
    assert all(len(x_t) == B for x_t in path)
    assert len(set(subject.backwards.values())) == 1
    assert all(not torch.equal(a, b) for a, b in pairwise(path))


@by_attack
def test_twice_the_same_and_only_as_far_as_it_is_asked(attack):
    task, outputs = TASKS["one logit"]
    model, x, y = model_for(task, outputs), images(), labels(task)
    once, again = (list(attack.path(model, x, y, THREATS["linf"], DRAWS)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    subject = Subject(model)
    next(iter(attack.path(subject, x, y, THREATS["linf"], DRAWS)))
    assert not subject.forwards, "the start costs nothing"


@pytest.mark.parametrize("name", ["fgsm", "square", "deepfool", "bim", "pgd", "momentum", "smia"])
def test_which_attacks_are_iterative(name):
    assert isinstance(ATTACKS.parse(name), Iterative) == (name in ("bim", "pgd", "momentum", "smia"))
