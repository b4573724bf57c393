"""What hides its gradient falls, what is robust stands, and what cannot be told is not established."""

import pytest
import torch
from planted import EPS, behind, examined, images, left, linear, truly_standing

from robustdx.draws import Draws
from robustdx.models import Defended


def flags(done):
    return {flag["name"] for flag in done.judgement["flags"]}


HIDING = {
    "rounded": (lambda x: (x * 255).round() / 255, None),
    "detached": (lambda x: x.detach() + 0 * x, None),
    "whole numbers": (lambda x: (x * 255).long().float() / 255, None),
    "huge": (None, lambda z: z * 1000),
    "tiny": (None, lambda z: z / 1000),
    "rounded outputs": (None, lambda z: (z * 100).round() / 100),
    "detached outputs": (None, lambda z: z.detach() + 0 * z),
    "wrong sign": (lambda x: 2 * x.detach() - x, None),
}


@pytest.mark.parametrize("hiding", HIDING)
def test_what_hides_its_gradient_is_left_what_the_bare_model_is_left(hiding):
    bare, model = behind(*HIDING[hiding])
    batch = images(bare)
    assert left(examined(model, batch)) <= truly_standing(bare, batch) + 1


def test_the_bare_model_is_left_its_closed_form_and_that_is_established():
    model = linear()
    batch = images(model)
    done = examined(model, batch, EPS / 4)
    assert left(done) == truly_standing(model, batch, EPS / 4) > 2
    assert (done.judgement["verdict"], flags(done)) == ("established", set())
    assert [step["name"] for step in done.judgement["steps"]] == ["gradient"], "a sound gradient calls for nothing more"


def test_a_defence_is_attacked_as_by_one_who_does_not_know_it_and_as_by_one_who_does():
    bare = linear()
    done = examined(Defended(bare, lambda x, draws: (x * 255).round() / 255), images(bare))
    assert [step["name"] for step in done.judgement["steps"]][:3] == ["grey box", "gradient", "straight through"]


def drawn(x: torch.Tensor, draws: Draws) -> torch.Tensor:
    return (x + 0.05 * draws.normal(like=x)).clamp(0, 1)


def test_answers_that_are_drawn_are_averaged_known_and_handed_in_again():
    bare = linear()
    done = examined(Defended(bare, drawn), images(bare))
    assert {"mean over draws", "draws known", "handed in again"} <= {step["name"] for step in done.judgement["steps"]}
    assert done.judgement["trial"]["probes"]["drawn"]
    assert done.judgement["trial"]["probes"]["repeats"]


class Store:
    """Answers what is nearly what it has answered before as it did then."""

    def __init__(self):
        self.answers = []

    def __call__(self, z):
        return torch.stack([self.known(row.detach()) for row in z])

    def known(self, row):
        near = [answer for answer in self.answers if (answer - row).abs().max() < 0.2]
        self.answers += [] if near else [row]
        return near[0] if near else row


SUSPECT = {
    "not a pure function": (None, lambda z: z + 0.5 * torch.randn_like(z).abs() * z.sign()),
    "minds its company": (None, lambda z: z * 3 - 2 * z.mean(0)),
    "remembers": (None, Store()),
    "flat": (None, lambda z: z.sign()),
    "no sound gradient": (None, lambda z: z.sign().detach()),
}


@pytest.mark.parametrize("flag", SUSPECT)
def test_what_cannot_be_told_is_not_established_and_says_why(flag):
    bare, model = behind(*SUSPECT[flag])
    done = examined(model, images(bare), EPS / 4)
    assert flag in flags(done)
    assert done.judgement["verdict"] == "not established"


def test_every_step_leaves_no_more_than_the_one_before():
    bare, model = behind(*HIDING["rounded"])
    rungs = examined(model, images(bare)).judgement["staircase"][0]["rungs"]
    standing = [rung["standing"] for rung in rungs]
    assert standing == sorted(standing, reverse=True)
    assert rungs[0]["step"] == "attacks of the plan"


def test_the_same_images_are_examined_alike_twice():
    bare, model = behind(*HIDING["rounded"])
    one, other = (examined(model, images(bare)) for _ in range(2))
    assert one.rows == other.rows
    assert torch.equal(one.images, other.images)


def test_the_saved_images_show_what_the_records_say():
    bare, model = behind(*HIDING["rounded"])
    batch = images(bare)
    done = examined(model, batch)
    with torch.no_grad():
        decided = model.task.decide(model(done.images)).tolist()
    assert decided == [row["saved_decision"][0] for row in done.rows]
    assert torch.equal(done.images, (done.images * 255).round() / 255)
    assert ((done.images - batch.x).abs().amax((1, 2, 3)) <= EPS + 1e-6).all()
