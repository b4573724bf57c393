"""MDDA: what each part does, the gradient through all of them, and what is refused."""

import numpy as np
import pytest
import torch
from scipy import stats

from robustdx.draws import Draws
from robustdx.errors import ImageError, PlanError
from robustdx.models import Defended, DiagnosticModel
from robustdx.purifiers import MDDA, PURIFIERS, ROF
from robustdx.purifiers.white_noise import noise
from robustdx.tasks import MultiClass

IDS = tuple("abcdef")
DRAWS = Draws(0, IDS)
SMALL = {"scales": (0.5, 1.0), "blocks": 2, "rof_iterations": 6}


def images(n=6, side=24, dtype=torch.float32):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def test_without_blocks_on_its_own_scale_unsmoothed_it_is_the_identity():
    x = images()
    assert torch.equal(MDDA(blocks=0, scales=(1,), smoothing=0)(x, DRAWS), x)


def test_on_one_scale_without_noise_it_is_rof():
    x = images()
    one = MDDA(blocks=1, scales=(1,), smoothing=0, sigma=0, rof_weight=0.1, rof_iterations=9)
    assert torch.equal(one(x, DRAWS), ROF(weight=0.1, iterations=9)(x, DRAWS))


@pytest.mark.parametrize("settings", [{}, {"samples": 2, "schedule": "variance-preserving", "growth": 1.5, "rof_coupled": True}])
def test_same_seed_any_batch_size_the_same_image_to_the_bit(settings):
    x, mdda = images(), MDDA(**settings)
    together = mdda(x, DRAWS)
    assert torch.equal(together, mdda(x, DRAWS))
    assert torch.equal(together, torch.cat([mdda(x[i : i + 1], DRAWS.take([i])) for i in range(len(x))]))
    assert torch.equal(together[[4, 1, 3]], mdda(x[[4, 1, 3]], DRAWS.take([4, 1, 3])))
    assert not torch.equal(together, mdda(x, Draws(1, IDS)))
    assert together.shape == x.shape
    assert 0 <= together.min() <= together.max() <= 1


@pytest.mark.parametrize("settings", [{}, {"schedule": "variance-preserving", "rof_coupled": True, "samples": 2}])
def test_the_exact_gradient_is_that_of_finite_differences(settings):
    """Along random directions, in float64: all parts at once, noise included."""
    mdda, x, draws = MDDA(**SMALL, **settings), images(1, 8, torch.float64).requires_grad_(), DRAWS.take([0])
    towards = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (grad,) = torch.autograd.grad((mdda(x, draws) * towards).sum(), x)
    for seed in range(5):
        way = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        with torch.no_grad():
            plus, minus = ((mdda(x + h * way, draws) * towards).sum() for h in (1e-6, -1e-6))
        torch.testing.assert_close((plus - minus) / 2e-6, (grad * way).sum(), rtol=1e-4, atol=1e-6)


def test_the_kernels_gradient_is_that_of_float64():
    x, draws = images(2, 16), DRAWS.take([0, 1])
    fast, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    for one in (fast, exact):
        MDDA(rof_iterations=12)(one, draws).square().sum().backward()
    assert (fast.grad - exact.grad.float()).norm() < 1e-4 * exact.grad.norm()


def test_aggregation_shares_between_neighbours():
    """Constants tell the weights: half from the scale itself, the rest in equal parts from those beside it."""
    mdda = MDDA(own=0.5)
    pyramid = [torch.full((1, 3, s, s), v) for s, v in ((4, 0.0), (8, 1.0), (16, 4.0), (32, 10.0))]
    mixed = [float(x.mean()) for x in mdda._aggregated(pyramid)]
    assert mixed == pytest.approx([0.5, 0.5 + 0.25 * 4, 2 + 0.25 * 11, 5 + 2.0])
    assert all(torch.equal(a, b) for a, b in zip(MDDA(own=1)._aggregated(pyramid), pyramid, strict=True))


def test_the_noise_is_of_the_size_asked_for():
    x = torch.full((6, 3, 24, 24), 0.5)
    for schedule, spread in (("additive", 0.1), ("variance-preserving", 0.1 / (1 - 0.04) ** 0.5)):
        noisy = MDDA(scales=(1,), blocks=1, rof_weight=0, smoothing=0, sigma=0.1, schedule=schedule)(x, DRAWS)
        assert float(noisy.std()) == pytest.approx(spread, rel=0.02)


def test_another_denoiser_takes_rofs_place():
    mdda = PURIFIERS.parse({"name": "mdda", "denoiser": {"name": "rof", "weight": 0.2}, "scales": [1], "blocks": 1, "sigma": 0})
    assert mdda.denoiser == ROF(weight=0.2)
    assert PURIFIERS.parse(PURIFIERS.dump(mdda)) == mdda
    bare = MDDA(scales=(1,), blocks=1, sigma=0, smoothing=0, denoiser=ROF(weight=0.2))
    assert torch.equal(bare(images(), DRAWS), ROF(weight=0.2)(images(), DRAWS))


def test_it_says_whether_it_is_random_and_differentiable():
    assert (MDDA().random, MDDA().differentiable) == (True, True)
    assert not any(mdda.random for mdda in (MDDA(sigma=0), MDDA(blocks=0)))
    assert not MDDA(denoiser=lambda x, draws: x.round()).differentiable


def test_a_model_behind_it_has_a_gradient():
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 3))
    model = Defended(DiagnosticModel(network, MultiClass(tuple("abc")), size=(24, 24)), MDDA(**SMALL))
    x = images().requires_grad_()
    (grad,) = torch.autograd.grad(model(x, DRAWS).logsumexp(1).sum(), x)
    assert grad.isfinite().all()
    assert grad.any()


def test_noise_is_normal_and_each_images_own():
    fields = noise(DRAWS, torch.empty(6, 3, 100, 101))
    flat = fields.numpy().reshape(6, -1)
    assert all(stats.kstest(one, "norm").pvalue > 1e-3 for one in flat)
    assert np.abs(np.corrcoef(flat) - np.eye(6)).max() < 0.03
    assert abs(np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1]) < 0.01
    assert torch.equal(noise(DRAWS.take([3]), torch.empty(1, 3, 100, 101))[0], fields[3])
    assert torch.equal(noise(DRAWS, torch.empty(6, 5)), noise(DRAWS, torch.empty(6, 3000))[:, :5])


def test_philox_gives_the_published_numbers():
    """Known answers of Random123: Philox4x32-10 of counter 0 under key 0."""
    from robustdx.purifiers import philox

    words = np.empty((4, 8), np.uint32)
    philox.fill(words, 0, np.uint32(0), np.uint32(0))
    assert [hex(w) for w in words[:, 0]] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sigma": -0.1}, "sigma must be at least 0"),
        ({"blocks": -1}, "blocks must be at least 0"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"scales": ()}, "scales must be"),
        ({"scales": (0, 1)}, "scales must be"),
        ({"scales": (1, 1)}, "differ"),
        ({"own": 1.5}, "own must lie"),
        ({"smoothing": -1}, "smoothing must be"),
        ({"growth": 0}, "growth must be"),
        ({"rof_weight": -1}, "at least 0"),
        ({"rof_iterations": 0}, "at least 1"),
        ({"schedule": "variance-preserving", "sigma": 0.3, "growth": 2}, "below 0.5"),
    ],
)
def test_what_means_nothing_is_refused(settings, words):
    with pytest.raises(PlanError, match=words):
        MDDA(**settings)


def test_an_image_too_small_is_refused_with_the_size_that_is_needed():
    with pytest.raises(ImageError, match=r"at least 6 x 6 pixels for the scale 0\.25, got 5 x 5"):
        MDDA()(images(side=5), DRAWS)
    assert MDDA()(images(side=6), DRAWS).shape == (6, 3, 6, 6)
    with pytest.raises(ImageError, match="smoothing"):
        MDDA(smoothing=4)(images(side=8), DRAWS)
