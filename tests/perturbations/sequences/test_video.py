"""The round trip through H.264 of the released benchmarks."""

import sys

import pytest
import torch

from robustdx.errors import MissingExtra
from robustdx.perturbations.sequences import GaussianNoise, Rotate
from robustdx.perturbations.sequences.presets import preset
from robustdx.perturbations.sequences.video import Filmed


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"robustdx\[video\]"):
        preset("xu2021", video=True)
    assert preset("xu2021")[1] == 10, "without video nothing is missing"


@pytest.mark.parametrize("sequence", [Rotate(), GaussianNoise()])
@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 33, 47)], ids=["colour", "grey, odd"])
def test_frames_come_back_nearly_as_they_were(sequence, shape, draws):
    pytest.importorskip("av", reason="needs the extra video")
    channels, h, w = shape
    x = (torch.linspace(0.2, 0.8, h)[:, None] * torch.linspace(0.5, 1, w)).expand(2, channels, h, w).contiguous()
    plain, filmed = (list(s.frames(x, 4, draws)) for s in (sequence, Filmed(sequence=sequence)))
    assert len(filmed) == 4
    for before, after in zip(plain, filmed, strict=True):
        assert after.shape == before.shape
        assert after.dtype == torch.float32
        assert 0 <= after.min() <= after.max() <= 1
        assert float((after - before).abs().mean()) < 0.02
    assert any(not torch.equal(b, a) for b, a in zip(plain, filmed, strict=True)), "compression leaves its traces"


def test_each_image_has_a_film_of_its_own(draws):
    pytest.importorskip("av", reason="needs the extra video")
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    filmed = Filmed(sequence=Rotate())
    together, alone = list(filmed.frames(x, 3, draws)), list(filmed.frames(x[1:], 3, draws.take([1])))
    assert all(torch.equal(t[1:], a) for t, a in zip(together, alone, strict=True))


def test_it_speaks_for_what_it_films():
    pytest.importorskip("av", reason="needs the extra video")
    made, count = preset("xu2021", video=True)
    plain = dict(preset("xu2021")[0])
    assert count == 10
    for name, filmed in made:
        assert (filmed.compared, filmed.random) == (plain[name].compared, plain[name].random)
        assert filmed.sequence == plain[name]
