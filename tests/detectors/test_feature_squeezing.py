"""Each squeezer against a library's, and the score on a model whose answer is known."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.restoration import denoise_nl_means
from torch import nn

from robustdx.detectors import FeatureSqueezing, squeezers
from robustdx.errors import ImageError, PlanError
from robustdx.models import DiagnosticModel
from robustdx.tasks import Binary
from tests.detectors.conftest import DRAWS


def test_fewer_bits():
    x = torch.tensor([0.0, 0.2, 0.4, 0.6, 1.0]).view(1, 1, 1, 5).requires_grad_()
    squeezed = squeezers.fewer_bits(x, 1)
    assert squeezed.flatten().tolist() == pytest.approx([0, 0, 0, 1, 1])
    (grad,) = torch.autograd.grad(squeezed.sum(), x)
    assert (grad == 1).all(), "rounding is taken for the identity"


def test_the_median_is_scipys(x):
    wanted = [ndimage.median_filter(c, 3, mode="mirror") for c in x[0].numpy()]
    np.testing.assert_allclose(squeezers.median(x[:1], 3)[0].numpy(), np.stack(wanted), atol=1e-6)


def test_alike_surroundings_are_averaged_as_in_scikit_image(x):
    """scikit-image weighs a patch's pixels by a Gaussian unless in its fast mode, whose patches and border are ours in the middle."""
    gray = x[:1, :1]
    wanted = denoise_nl_means(gray[0, 0].numpy(), patch_size=3, patch_distance=2, h=0.2, fast_mode=True)
    found = squeezers.alike(gray, 5, 3, 0.2)[0, 0].numpy()
    np.testing.assert_allclose(found[4:-4, 4:-4], wanted[4:-4, 4:-4], atol=0.02)
    assert found.std() < 0.7 * gray.std()


class Centre(nn.Module):
    """One logit: 10 times what the pixel in the middle has above a half."""

    def forward(self, x):
        return 10 * (x[:, :1, 4, 4] - 0.5)


def test_the_score_is_the_largest_change_of_the_probabilities():
    model = DiagnosticModel(Centre(), Binary())
    x = torch.full((6, 3, 9, 9), 0.5)
    x[1, :, 4, 4] = 0.9  # the median takes it away; p goes from sigmoid(4) to 1/2, for both classes
    scores = FeatureSqueezing(bits=0, median=3, search=0)(model, x, DRAWS)
    assert scores[0] == 0
    assert float(scores[1]) == pytest.approx(2 * (torch.sigmoid(torch.tensor(4.0)).item() - 0.5))
    assert (FeatureSqueezing(bits=5, median=3, search=3)(model, x, DRAWS) >= scores).all()


def test_what_does_not_fit_is_refused(model, x):
    for settings in ({"bits": 9}, {"search": 4}, {"patch": 2}, {"bits": 0, "median": 0, "search": 0}, {"strength": 0.0}):
        with pytest.raises(PlanError):
            FeatureSqueezing(**settings)
    with pytest.raises(ImageError, match="squeeze less"):
        FeatureSqueezing()(model, x[:, :, :5], DRAWS)
