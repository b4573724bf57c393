"""What every detector in the catalogue promises. A new detector is tested here without a line of its own."""

import pytest
import torch

from robustdx.detectors import DETECTORS
from robustdx.errors import PlanError
from robustdx.models import Watched, still
from tests.detectors.conftest import DRAWS, data, model, x  # noqa: F401

CHEAP = {"feature-squeezing": {"search": 3}, "lid": {"neighbours": 5, "reference": 40}}
"""Settings under which a detector that is slow by default shows the same."""


@pytest.fixture(params=sorted(DETECTORS.methods))
def unfitted(request):
    return DETECTORS.parse({"name": request.param, **CHEAP.get(request.param, {})})


@pytest.fixture
def detector(unfitted, model, data, tmp_path):  # noqa: F811
    return unfitted.fit(model, data, DRAWS, out=tmp_path / "fitted.safetensors") if hasattr(unfitted, "fit") else unfitted


def test_one_finite_score_for_each_image(detector, model, x):  # noqa: F811
    scores = detector(model, x, DRAWS)
    assert scores.shape == (len(x),)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()
    assert len(scores.unique()) == len(x), "images that differ have scores that differ"


def test_same_draws_same_scores_and_the_images_are_left_alone(detector, model, x):  # noqa: F811
    before = x.clone()
    assert torch.equal(detector(model, x, DRAWS), detector(model, x, DRAWS))
    assert torch.equal(x, before)


def test_a_batch_equals_its_singles(detector, model, x):  # noqa: F811
    together = detector(model, x, DRAWS)
    alone = torch.cat([detector(model, x[i : i + 1], DRAWS.take([i])) for i in range(len(x))])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_a_score_has_a_slope_that_can_be_followed(detector, model, x):  # noqa: F811
    start = x.clamp(0.1, 0.9).requires_grad_()
    with torch.enable_grad():
        score = detector(model, start, DRAWS)
        (grad,) = torch.autograd.grad(score.sum(), start)
    assert grad.isfinite().all()
    assert (grad.flatten(1).abs().amax(1) > 0).all()
    down = [start.detach() - reach * grad.sign() for reach in (1e-4, 1e-3, 1e-2)]
    assert min(detector(model, lower, DRAWS).sum().item() for lower in down) < score.sum().item()


def test_the_model_is_left_as_it_was(detector, unfitted, model, data, x, tmp_path):  # noqa: F811
    model.train()
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    if hasattr(unfitted, "fit"):
        unfitted.fit(model, data, DRAWS, out=tmp_path / "again.safetensors")
    with still(model):
        detector(model, x, DRAWS)
    assert all(m.training for m in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_its_words_make_it_again(detector):
    assert DETECTORS.parse(DETECTORS.dump(detector)) == detector
    assert hash(detector) == hash(DETECTORS.parse(DETECTORS.dump(detector)))


def test_fitted_twice_it_is_the_same(unfitted, model, data, tmp_path):  # noqa: F811
    if not hasattr(unfitted, "fit"):
        pytest.skip("learns nothing")
    one, two = (unfitted.fit(model, data, DRAWS, out=tmp_path / name) for name in ("one", "two"))
    assert one.sha256 == two.sha256


def test_one_that_has_learned_nothing_is_refused(unfitted, model, x):  # noqa: F811
    if not hasattr(unfitted, "fit"):
        pytest.skip("learns nothing")
    with pytest.raises(PlanError, match="has to see clean images first: fit it"):
        unfitted(model, x, DRAWS)


def test_it_can_watch_a_model(detector, model, x):  # noqa: F811
    outputs = Watched(model, detector, threshold=0.5, unit=2.0)(x, DRAWS)
    assert outputs.shape == (len(x), 4)
    torch.testing.assert_close(outputs[:, :3], model(x))
    torch.testing.assert_close(outputs[:, 3], (detector(model, x, DRAWS.fork("detector")) - 0.5) / 2)
