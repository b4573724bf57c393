"""Points spread evenly in d directions have the dimension d."""

import pytest
import torch

from robustdx.detectors import LID, Mahalanobis
from robustdx.detectors.lid import dimension
from robustdx.errors import DataError, PlanError
from tests.detectors.conftest import DRAWS


def ball(n, d, seed):
    g = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(n, d, generator=g), dim=1)
    return direction * torch.rand(n, 1, generator=g) ** (1 / d)


@pytest.mark.parametrize("d", [2, 5, 9])
def test_points_in_a_ball(d):
    inside, lies_in = ball(4000, d, 0), torch.zeros(4000, 12)
    lies_in[:, :d] = inside
    middle = torch.zeros(200, 12)
    middle[:, :d] = 0.1 * ball(200, d, 1)
    assert float(dimension(middle, lies_in, 50).mean()) == pytest.approx(d, rel=0.1)
    assert float(dimension(lies_in[:300], lies_in, 50, itself=True).mean()) == pytest.approx(d, rel=0.35), "at the rim a little less"


def test_it_is_the_estimate_written_out():
    known = torch.tensor([[1.0], [2.0], [4.0], [100.0]])
    r = torch.tensor([1.0, 2.0, 4.0])
    wanted = -1 / (r / 4).log().mean()
    torch.testing.assert_close(dimension(torch.zeros(1, 1), known, 3), wanted[None])


def test_what_does_not_fit_is_refused(model, data, tmp_path):
    with pytest.raises(PlanError, match="more images than that, got 20 of 20"):
        LID(neighbours=20, reference=20)
    with pytest.raises(DataError, match="expected more than 70 clean images, got 60"):
        LID(neighbours=70, reference=100).fit(model, data, DRAWS, out=tmp_path / "m")
    Mahalanobis().fit(model, data, DRAWS, out=tmp_path / "m")
    with pytest.raises(PlanError, match="weights of mahalanobis, not of lid"):
        LID(weights=str(tmp_path / "m"))
