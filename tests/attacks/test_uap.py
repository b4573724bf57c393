"""One perturbation for all images."""

import pytest
import torch
from torch import nn

from robustdx.attacks import ATTACKS, UAP
from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.errors import PlanError, WeightsError
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary
from robustdx.threats import L2, Linf, Masked
from tests.attacks.learning import accuracy, dataset, draws, images, victim

THREAT = Linf(8 / 255)


@pytest.fixture(scope="module", params=["gradient", "minimal"])
def uap(request, tmp_path_factory):
    return UAP(form=request.param).fit(victim(), dataset(), THREAT, draws(), out=tmp_path_factory.mktemp("uap") / "w.safetensors")


def test_one_perturbation_fools_far_more_than_noise_also_images_it_never_saw(uap):
    for seed in (0, 1):
        x, y = images(seed)
        signs = torch.randn(1, *x.shape[1:], generator=torch.Generator().manual_seed(0)).sign()
        assert accuracy(victim(), THREAT.project(x + THREAT.eps * signs, x), y) > 0.85
        assert accuracy(victim(), uap(victim(), x, y, THREAT, draws()), y) < 0.8


def test_it_is_the_same_for_all_images_before_pixels_are_clamped(uap):
    change = uap.change(images(1, 6)[0], THREAT)
    assert (change == change[:1]).all()
    assert change.abs().amax() <= THREAT.eps * (1 + 1e-5)


@pytest.mark.parametrize("threat", [Linf(6 / 255), L2(0.5)], ids=str)
@pytest.mark.parametrize("form", ["gradient", "minimal"])
def test_on_a_linear_model_it_is_the_steepest_direction(form, threat, tmp_path):
    """All images of one class have one best perturbation, eps * steepest(-w): the closed form."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 6, 1))
    nn.init.constant_(network[1].bias, 60.0)
    nn.init.normal_(network[1].weight)
    model = DiagnosticModel(network, Binary(), size=(6, 6))
    data = from_torch([(image, 1) for image in torch.rand(24, 3, 6, 6) * 0.6 + 0.2], classes=("no", "yes"), task="binary")
    attack = UAP(form=form, batch_size=8).fit(model, data, threat, draws(), out=tmp_path / "w.safetensors")
    w = network[1].weight.detach().view(1, 3, 6, 6)
    best = threat.eps * threat.steepest(-w)
    found = attack.change(torch.full((1, 3, 6, 6), 0.5), threat)
    assert float((found * w).sum() / (best * w).sum()) > 0.999


def test_other_budgets_scale_it_and_other_norms_too(uap):
    x = images(0, 2)[0]
    torch.testing.assert_close(uap.change(x, Linf(2 / 255)), uap.change(x, THREAT) / 4)
    for threat in (L2(0.3), Linf((4 / 255, 2 / 255, 1 / 255))):
        x_adv = uap(victim(), x, images(0, 2)[1], threat, draws(2))
        assert (threat.distance(x_adv, x) <= threat.eps * (1 + 1e-5)).all()


def test_a_mask_cuts_what_was_learned(uap):
    x, y = images(0, 4)
    region = torch.zeros(4, 1, 16, 16)
    region[:, :, 4:9] = 1
    changed = UAP(weights=uap.weights, early_stop=False)(victim(), x, y, Masked(THREAT, region), draws(4)) != x
    assert changed[:, :, 4:9].any()
    assert not changed[:, :, 9:].any()


def test_saved_and_loaded_it_is_the_same(uap):
    loaded = ATTACKS.parse({"name": "uap", "weights": uap.weights})
    assert loaded == uap
    assert ATTACKS.parse(ATTACKS.dump(uap)) == uap


def test_the_same_draws_give_the_same_perturbation(tmp_path):
    made = [UAP(epochs=2).fit(victim(), dataset(), THREAT, Draws(seed, ()), out=tmp_path / f"{i}.st") for i, seed in enumerate((0, 0, 1))]
    assert made[0].sha256 == made[1].sha256 != made[2].sha256


def test_refusals(uap, tmp_path):
    x, y = images(0, 2)
    with pytest.raises(PlanError, match="uap has to be trained before it can attack"):
        UAP()(victim(), x, y, THREAT, draws(2))
    with pytest.raises(PlanError, match="trained for images of 16x16 with 3 channels, got 8x16"):
        uap.change(x[:, :, :8], THREAT)
    with pytest.raises(PlanError, match="holds the weights of uap, not of gap"):
        ATTACKS.parse({"name": "gap", "weights": uap.weights})
    with pytest.raises(PlanError, match="learns for whole images"):
        UAP().fit(victim(), dataset(), Masked(THREAT, torch.ones(1, 1, 16, 16)), draws(), out=tmp_path / "w.st")
    with pytest.raises(PlanError, match="momentum must lie in"):
        UAP(momentum=1.0)
    with pytest.raises(WeightsError, match="the file has changed"):
        UAP(weights=uap.weights, sha256="00")
