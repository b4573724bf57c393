"""The purifiers that learn: they clean images they never saw, and their files are refused where they do not fit."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.errors import DataError, ImageError, PlanError, RobustdxError, RunError, WeightsError
from robustdx.models import DiagnosticModel
from robustdx.purifiers import PURIFIERS, Denoiser, Diffusion
from robustdx.purifiers import diffusion as room
from robustdx.tasks import MultiClass
from tests.purifiers.specimens import distance, noisy

SIDE = 16
SIGMA = 0.1
SMALL = {
    "denoiser": {"width": 8, "epochs": 10, "noise": 0.15, "lr": 8e-3, "batch_size": 4},
    "diffusion": {"width": 8, "epochs": 16, "time": 0.03, "lr": 6e-3, "batch_size": 8},
}
TINY = {"width": 2, "epochs": 1}


def blobs(seed, count=64):
    """Smooth images, each with blobs of its own, as 8 bits hold them."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    x = torch.nn.functional.interpolate(coarse, SIDE, mode="bicubic").clamp(0, 1)
    return (x * 255).round() / 255


def dataset(count=64):
    return from_torch([(image, i % 2) for i, image in enumerate(blobs(0, count))], classes="ab", task="multiclass")


def draws(count=8):
    return Draws(0, tuple(f"{i}" for i in range(count)))


def model():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIDE * SIDE, 2))
    return DiagnosticModel(network, MultiClass(("a", "b")), size=(SIDE, SIDE))


@pytest.fixture(scope="module", params=["denoiser", "diffusion"])
def learned(request, tmp_path_factory):
    purifier = PURIFIERS.parse({"name": request.param, **SMALL[request.param]})
    return purifier.fit(dataset(), draws(), size=(SIDE, SIDE), out=tmp_path_factory.mktemp("weights") / f"{request.param}.safetensors")


def test_images_that_it_never_saw_come_back_nearer_to_what_they_were(learned):
    x = blobs(1, 8)
    hit = noisy(x, SIGMA)
    assert distance(learned(hit, draws()), x) < 0.9 * distance(hit, x)


def used(purifier):
    """The settings that a file does not hold."""
    return {"time": purifier.time} if isinstance(purifier, Diffusion) else {}


def test_it_is_its_file_and_its_settings(learned):
    again = PURIFIERS.parse({"name": PURIFIERS.name(learned), "weights": learned.weights, **used(learned)})
    assert again == learned
    assert torch.equal(again(blobs(1, 8), draws()), learned(blobs(1, 8), draws()))


def test_a_setting_that_is_not_what_it_was_trained_with_is_refused(learned):
    with pytest.raises(PlanError, match="trained with width = 8, got width = 16"):
        type(learned)(weights=learned.weights, width=16)


def test_other_channels_are_refused(learned):
    with pytest.raises(ImageError, match="trained for images with 3 channels, got 1"):
        learned(blobs(1, 8)[:, :1], draws())


def test_a_file_that_has_changed_is_refused(learned, tmp_path):
    other = type(learned)(**TINY).fit(dataset(8), draws(), size=(SIDE, SIDE), out=tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="the file has changed"):
        replace(learned, weights=other.weights)


def test_weights_of_the_other_purifier_are_refused(learned):
    other = Diffusion if isinstance(learned, Denoiser) else Denoiser
    with pytest.raises(PlanError, match=f"holds the weights of {PURIFIERS.name(learned)}, not of"):
        other(weights=learned.weights)


def spoilt(path, tmp_path, change):
    """A copy of a file of weights under the same header, with other tensors."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        words = file.metadata()
    out = tmp_path / "spoilt.safetensors"
    save_file(change(load_file(path)), out, words)
    return str(out)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: dict(itertools.islice(state.items(), 3)), "first"),
        (lambda state: {k: v[..., :1].contiguous() for k, v in state.items()}, "shape|size"),
        (lambda state: {k: v * float("nan") for k, v in state.items()}, "NaN"),
    ],
    ids=["missing", "other shapes", "NaN"],
)
def test_weights_that_do_not_fit_their_header_are_refused(learned, change, told, tmp_path):
    with pytest.raises(WeightsError, match=told):
        type(learned)(weights=spoilt(learned.weights, tmp_path, change))(blobs(1, 8), draws())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (None, "does not say of which purifier"),
        ({"robustdx": "{"}, "header"),
        ({"robustdx": '{"attack": "gap"}'}, "does not say of which purifier"),
    ],
)
def test_other_files_are_refused(words, told, tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "w.safetensors", words)
    with pytest.raises(RobustdxError, match=told):
        Denoiser(weights=str(tmp_path / "w.safetensors"))


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no safetensors file"):
        Diffusion(weights=str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("purifier", [Denoiser(), Diffusion()], ids=["denoiser", "diffusion"])
def test_before_it_has_learned_it_purifies_nothing(purifier):
    with pytest.raises(PlanError, match="has to be trained before it can purify"):
        purifier(blobs(1, 8), draws())


@pytest.mark.parametrize("kind", [Denoiser, Diffusion])
def test_the_same_draws_give_the_same_weights_and_others_give_others(kind, tmp_path):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    fits = [kind(**TINY).fit(dataset(8), Draws(seed, ()), size=(SIDE, SIDE), out=tmp_path / f"{i}") for i, seed in enumerate((0, 0, 1))]
    assert fits[0].sha256 == fits[1].sha256 != fits[2].sha256
    assert torch.equal(torch.random.get_rng_state(), before), "torch's own random numbers go on as if nothing had happened"


def test_without_a_name_the_file_is_called_by_its_hash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit = Denoiser(**TINY).fit(dataset(8), draws(), size=(SIDE, SIDE))
    assert Path(fit.weights).name == f"denoiser-{fit.sha256[:12]}.safetensors"
    assert Path(fit.weights).exists()


def test_progress_is_told(tmp_path):
    told = []
    Denoiser(**TINY, batch_size=4).fit(
        dataset(8), draws(), size=(SIDE, SIDE), out=tmp_path / "w", progress=lambda *words: told.append(words)
    )
    assert told == [("training denoiser, epoch 1 of 1", 1, 2), ("training denoiser, epoch 1 of 1", 2, 2)]


def test_nothing_to_learn_from_and_divergence_are_said_in_words(tmp_path):
    with pytest.raises(DataError, match="found none"):
        Denoiser(**TINY).fit(replace(dataset(8), examples=[]), draws(), size=(SIDE, SIDE), out=tmp_path / "w")
    with pytest.raises(RunError, match="diverged"):
        Denoiser(**TINY).fit(dataset(8), draws(), size=(SIDE, SIDE), out=tmp_path / "w", damage=lambda x, draws: x / 0)


def test_a_denoiser_repairs_the_damage_that_it_was_shown(tmp_path):
    """Images whose red has been turned up: noise alone teaches nothing about it."""

    def reddened(x, draws):
        return torch.cat(((x[:, :1] + 0.2).clamp(0, 1), x[:, 1:]), 1)

    fit = {"size": (SIDE, SIDE), "out": tmp_path / "w.safetensors"}
    taught = Denoiser(**SMALL["denoiser"] | {"noise": 0.01, "epochs": 6}).fit(dataset(), draws(), damage=reddened, **fit)
    x = blobs(1, 8)
    assert distance(taught(reddened(x, None), draws()), x) < 0.75 * distance(reddened(x, None), x)


def test_a_model_may_guide_it_and_is_left_as_it_was(tmp_path):
    guide = model().train()
    weights = {k: v.clone() for k, v in guide.state_dict().items()}
    fits = [Denoiser(**TINY).fit(dataset(8), draws(), size=(SIDE, SIDE), model=m, out=tmp_path / f"{m is None}") for m in (guide, None)]
    assert fits[0].sha256 != fits[1].sha256
    assert guide.training
    assert all(p.grad is None and p.requires_grad for p in guide.parameters())
    assert all(torch.equal(v, weights[k]) for k, v in guide.state_dict().items())


def test_a_diffusion_that_knew_the_image_would_give_it_back(monkeypatch):
    """The right answer at every step leads to the image, whatever was drawn."""
    x = blobs(1, 8)

    def knows(z, time):
        left = room._left()[round(float(time[0]) * room.LONG)]
        return (z - left**0.5 * (2 * x - 1)) / (1 - left) ** 0.5

    monkeypatch.setattr(room.taught, "network", lambda *args, **kwargs: knows)
    for steps, time in ((1, 0.1), (10, 0.1), (7, 1.0)):
        torch.testing.assert_close(Diffusion(steps=steps, time=time)(x, draws()), x, atol=1e-4, rtol=0)


def test_more_time_drowns_more(learned):
    if not isinstance(learned, Diffusion):
        pytest.skip("a denoiser has no time")
    x = blobs(1, 8)
    short, long = (distance(replace(learned, time=time)(x, draws()), x) for time in (0.02, 0.4))
    assert short < long


def test_a_step_back_is_that_of_diffusers():
    diffusers = pytest.importorskip("diffusers", reason="needs the extra 'diffusion' to compare with")
    scheduler = diffusers.DDPMScheduler(1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", variance_type="fixed_small")
    scheduler.set_timesteps(10)
    z, told = (Draws(0, tuple("abc")).fork(name).normal(like=torch.empty(3, 3, 4, 4)) for name in "zt")

    class Given:
        def normal(self, like):
            return torch.randn(like.shape, generator=torch.Generator().manual_seed(0))

    wanted = scheduler.step(told, 500, z, generator=torch.Generator().manual_seed(0)).prev_sample
    torch.testing.assert_close(room._back(lambda z, time: told, z, 501, 401, Given()), wanted, atol=1e-5, rtol=1e-4)
