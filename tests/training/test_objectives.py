"""What is lowered: one loss per image, on the image itself or on the worst that the adversary may show."""

import pytest
import torch
from torch.nn import functional as F

from robustdx.attacks import FGSM
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.models import ModelSpec, new, still
from robustdx.tasks import MultiLabel
from robustdx.threats import L2, Linf
from robustdx.training import OBJECTIVES, Madry, Noisy, Standard

DRAWS = Draws(0, tuple("abcdef"))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return new(ModelSpec(source="cnn", size=16), "multiclass", ("a", "b", "c"))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.rand(6, 3, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])


def shown(objective, model, batch, threat):
    """What the objective shows the network in training mode: the image that the weights learn from."""
    images = []
    watch = model.network.register_forward_pre_hook(lambda network, args: images.append(args[0].detach()) if network.training else None)
    model.train()
    objective(model, *batch, threat, DRAWS)
    watch.remove()
    (image,) = images
    return image  # mean 0 and std 1: the network is shown the pixels themselves


def test_standard_is_the_loss_of_the_task(model, batch):
    loss = Standard()(model, *batch, Linf(0.1), DRAWS)
    assert loss.shape == (6,)
    torch.testing.assert_close(loss, F.cross_entropy(model(batch[0]), batch[1], reduction="none"))


def test_label_smoothing_is_torchs(model, batch):
    loss = Standard(label_smoothing=0.2)(model, *batch, Linf(0.1), DRAWS)
    torch.testing.assert_close(loss, F.cross_entropy(model(batch[0]), batch[1], reduction="none", label_smoothing=0.2))


def test_label_smoothing_of_findings_smooths_each(batch):
    torch.manual_seed(0)
    model = new(ModelSpec(source="cnn", size=16), "multilabel", ("a", "b", "c"))
    y = torch.tensor([[0.0, 1.0, 1.0]] * 6)
    loss = Standard(label_smoothing=0.2)(model, batch[0], y, Linf(0.1), DRAWS)
    torch.testing.assert_close(loss, MultiLabel(("a", "b", "c")).loss(model(batch[0]), y * 0.8 + 0.1))


@pytest.mark.parametrize("threat", [Linf(8 / 255), L2(0.5)])
def test_the_inner_image_lies_in_the_threat_and_is_worse(model, batch, threat):
    with still(model), torch.no_grad():
        clean = float(model.task.loss(model(batch[0]), batch[1]).mean())
    x_adv = shown(Madry(steps=5), model, batch, threat)
    assert float(threat.distance(x_adv, batch[0]).max()) <= threat.eps * (1 + 1e-5)
    assert 0 <= float(x_adv.min()) <= float(x_adv.max()) <= 1
    with still(model), torch.no_grad():
        assert float(model.task.loss(model(x_adv), batch[1]).mean()) > clean


def test_noisy_shows_the_image_under_noise_cut_off_at_the_ends_of_the_scale(model, batch):
    seen = shown(Noisy(sigma=0.5), model, batch, Linf(0.1))
    torch.testing.assert_close(seen, (batch[0] + 0.5 * DRAWS.fork("noise").normal(like=batch[0])).clamp(0, 1))
    assert (float(seen.min()), float(seen.max())) == (0, 1)


def test_one_whole_step_from_the_image_itself_is_fgsm(model, batch):
    with still(model):
        expected = FGSM()(model, *batch, Linf(0.03), DRAWS)
    x_adv = shown(Madry(steps=1, step_size=1.0, random_start=False), model, batch, Linf(0.03))
    torch.testing.assert_close(x_adv, expected)


def test_the_weights_see_it_in_training_mode_and_get_the_only_gradients(model, batch):
    model.train()
    Madry(steps=2)(model, *batch, Linf(0.03), DRAWS).mean().backward()
    assert model.training
    assert all(m.training for m in model.modules())
    assert all(p.requires_grad and p.grad is not None for p in model.parameters())
    inner = [int(m.num_batches_tracked) for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert set(inner) == {1}, "the search for the image must not move the running means"


@pytest.mark.parametrize(
    "words",
    [
        "standard",
        {"name": "standard", "label_smoothing": 0.1},
        {"name": "madry", "steps": 2, "step_size": 0.75},
        {"name": "noisy", "sigma": 0.1},
    ],
)
def test_words_and_objective_are_the_same(words):
    objective = OBJECTIVES.parse(words)
    assert OBJECTIVES.parse(OBJECTIVES.dump(objective)) == objective


@pytest.mark.parametrize(
    "words", [{"name": "madry", "steps": 0}, {"name": "standard", "label_smoothing": 1.0}, {"name": "noisy", "sigma": 0}, "madri"]
)
def test_what_means_nothing_is_refused(words):
    with pytest.raises(PlanError):
        OBJECTIVES.parse(words)
