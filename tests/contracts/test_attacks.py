"""What every attack in the catalogue promises. A new attack is tested here without a line of its own."""

import pytest
import torch
from torch import nn

from robustdx.attacks import ATTACKS
from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import DiagnosticModel, still
from robustdx.tasks import Binary, MultiClass, MultiLabel, Targeted
from robustdx.threats import L2, Linf

B = 5
DRAWS = Draws(3, tuple(f"img{i}" for i in range(B)))
TASKS = {
    "binary": (Binary(), 1),
    "two outputs": (Binary(), 2),
    "multi-class": (MultiClass(tuple("abc")), 3),
    "multi-label": (MultiLabel(tuple("abcd")), 4),
    "targeted": (Targeted(MultiClass(tuple("abc"))), 3),
}

CHEAP = {
    "apgd": {"steps": 8},
    "apgd-targeted": {"steps": 6, "targets": 2},
    "cascade": {"members": [{"name": "fgsm"}, {"name": "pgd", "steps": 4}]},
    "fab": {"steps": 8},
    "cw": {"steps": 8, "search_steps": 3},
    "ddn": {"steps": 10},
    "fmn": {"steps": 10},
    "square": {"queries": 20},
    "simba": {"queries": 20},
    "nes": {"queries": 30, "samples": 6},
    "hopskipjump": {"queries": 60, "samples": 6},
    "boundary": {"queries": 60},
    "random": {"samples": 8},
    "gap": {"width": 2, "epochs": 2},
    "uap": {"epochs": 2},
    "momentum": {"steps": 4, "nesterov": True, "diverse": 0.5, "smooth": 3, "scales": 2, "neighbours": 2},
    "smia": {"steps": 5},
}
"""Settings under which an attack that is slow by default shows the same."""

REFUSED = {("ddn", Linf): "fmn", ("boundary", Linf): "hopskipjump"}
"""Threats for which an attack has no form, and the attack that it names instead."""


def network(outputs):
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(16, outputs))


@pytest.fixture(params=TASKS.values(), ids=list(TASKS))
def model(request):
    task, outputs = request.param
    return DiagnosticModel(network(outputs), task, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)).eval()


@pytest.fixture
def x():
    return torch.randint(0, 256, (B, 3, 9, 7), generator=torch.Generator().manual_seed(0)) / 255


@pytest.fixture
def y(model):
    g = torch.Generator().manual_seed(1)
    k = len(model.task.classes)
    return (
        torch.randint(0, 2, (B, k), generator=g).float() if isinstance(model.task, MultiLabel) else torch.randint(0, k, (B,), generator=g)
    )


@pytest.fixture(params=[Linf(8 / 255), Linf(0.4 / 255), L2(0.7)], ids=str)
def threat(request, attack):
    if (ATTACKS.name(attack), type(request.param)) in REFUSED:
        pytest.skip("refused: see test_a_threat_without_a_form_is_refused_by_name")
    return request.param


@pytest.fixture(scope="module", params=sorted(ATTACKS.methods))
def attack(request, tmp_path_factory):
    attack = ATTACKS.parse({"name": request.param, **CHEAP.get(request.param, {})})
    return fitted(attack, tmp_path_factory.mktemp("weights") / "learned.safetensors") if hasattr(attack, "fit") else attack


def fitted(attack, out):
    """An attack that learns, after a short lesson on noise of the images' size; it then attacks every model, as in transfer."""
    x = torch.randint(0, 256, (4, 3, 9, 7), generator=torch.Generator().manual_seed(2)) / 255
    data = from_torch([(image, i % 3) for i, image in enumerate(x)], classes="abc", task="multiclass")
    model = DiagnosticModel(network(3), MultiClass(tuple("abc")), size=(9, 7))
    return attack.fit(model, data, Linf(8 / 255), DRAWS, out=out)


def test_the_answer_is_inside_the_threat_and_the_pixel_range(attack, model, x, y, threat):
    x_adv = attack(model, x, y, threat, DRAWS)
    assert x_adv.shape == x.shape
    assert x_adv.dtype == x.dtype
    assert not x_adv.requires_grad
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-5)).all()


@pytest.mark.parametrize(("pair", "instead"), REFUSED.items(), ids=[name for name, _ in REFUSED])
def test_a_threat_without_a_form_is_refused_by_name(pair, instead, model, x, y):
    name, threat = pair
    with pytest.raises(PlanError, match=f'{name}.*"{instead}"'):
        ATTACKS.parse(name)(model, x, y, threat(8 / 255), DRAWS)


def test_it_never_helps(attack, model, x, y, threat):
    if isinstance(model.task, MultiLabel):
        pytest.skip("one finding may be gained while the mean over findings is lost")
    x_adv = attack(model, x, y, threat, DRAWS)
    assert (model.task.errors(model(x_adv), y) >= model.task.errors(model(x), y)).all()


def test_same_draws_same_answer_and_the_images_are_left_alone(attack, model, x, y, threat):
    before = x.clone()
    assert torch.equal(attack(model, x, y, threat, DRAWS), attack(model, x, y, threat, DRAWS))
    assert torch.equal(x, before)


def test_a_batch_equals_its_singles(attack, model, x, y, threat):
    together = attack(model, x, y, threat, DRAWS)
    for i in range(B):
        alone = attack(model, x[i : i + 1], y[i : i + 1], threat, DRAWS.take([i]))
        differ = ((alone - together[i : i + 1]).abs() > 1e-5).float().mean()
        assert differ < 0.03, "more than float32's last bit at gradients near 0"


def test_the_model_is_left_as_it_was(attack, model, x, y, threat):
    model.train()
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    with still(model):
        attack(model, x, y, threat, DRAWS)
    assert all(m.training for m in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())


class Brightness(nn.Module):
    """The mean of all pixels decides; nothing stands between them and the sum, so that all of its gradient is one number in memory."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1)
        nn.init.ones_(self.line.weight), nn.init.constant_(self.line.bias, -0.5)

    def forward(self, x):
        return self.line(x.sum((1, 2, 3))[:, None] / x[0].numel())


def test_a_network_that_only_adds_pixels_is_attacked_like_any_other(attack, x):
    model = DiagnosticModel(Brightness(), Binary()).eval()
    y, threat = (model(x)[:, 0] > 0).long(), Linf(8 / 255)
    if (ATTACKS.name(attack), Linf) in REFUSED:
        threat = L2(0.7)
    assert (threat.distance(attack(model, x, y, threat, DRAWS), x) <= threat.eps * (1 + 1e-5)).all()


def test_no_budget_returns_the_image(attack, model, x, y, threat):
    assert torch.equal(attack(model, x, y, type(threat)(0.0), DRAWS), x)


def test_its_words_make_it_again(attack):
    assert ATTACKS.parse(ATTACKS.dump(attack)) == attack
    assert hash(attack) == hash(ATTACKS.parse(ATTACKS.dump(attack)))
