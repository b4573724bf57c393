"""A generator learns to fool, attacks in one pass, and is refused where it does not fit."""

import json
import logging
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import nn

from robustdx.attacks import ATTACKS, GAP, PGD
from robustdx.attacks.learning.generators import generator
from robustdx.attacks.learning.lessons import Aim
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError, RobustdxError, WeightsError
from robustdx.models import DiagnosticModel, Subject
from robustdx.tasks import Aimed, Binary, Class, MultiClass, MultiLabel, Targeted
from robustdx.threats import L2, Linf
from tests.attacks.learning import K, accuracy, dataset, draws, images, victim

THREAT = Linf(6 / 255)
SMALL = {"width": 6, "lr": 2e-3, "epochs": 6, "batch_size": 4}
TINY = {"width": 2, "epochs": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gap")


@pytest.fixture(scope="module")
def gap(folder):
    return GAP(**SMALL).fit(victim(), dataset(), THREAT, draws(), out=folder / "gap.safetensors")


@pytest.fixture(scope="module")
def universal(folder):
    return GAP(**SMALL, universal=True).fit(victim(), dataset(), Linf(8 / 255), draws(), out=folder / "universal.safetensors")


@pytest.fixture(scope="module")
def tiny(folder):
    return GAP(**TINY).fit(victim(), dataset(count=16), THREAT, draws(), out=folder / "tiny.safetensors")


def noise(x, threat):
    """Noise of the largest size that the threat allows."""
    return threat.project(x + threat.eps * threat.steepest(draws(len(x)).fork("noise").normal(like=x)), x)


def test_what_it_learned_fools_far_more_than_noise_also_on_images_it_never_saw(gap):
    for seed in (0, 1):
        x, y = images(seed)
        assert accuracy(victim(), noise(x, THREAT), y) > 0.95
        assert accuracy(victim(), gap(victim(), x, y, THREAT, draws()), y) < 0.4


def test_it_comes_near_what_a_gradient_for_each_image_finds(gap):
    x, y = images(0)
    with_gradients = accuracy(victim(), PGD(steps=10)(victim(), x, y, THREAT, draws()), y)
    assert accuracy(victim(), gap(victim(), x, y, THREAT, draws()), y) <= with_gradients + 0.2


@pytest.mark.parametrize(
    ("settings", "threat", "below"),
    [
        ({"generator": "residual", "epochs": 8}, THREAT, 0.7),
        ({}, L2(0.4), 0.6),
        ({"straight_through": True, "aim": "least_likely"}, Linf(8 / 255), 0.8),
    ],
    ids=["residual", "L2", "released"],
)
def test_every_form_learns(settings, threat, below, tmp_path):
    x, y = images(0)
    attack = GAP(**{**SMALL, **settings}).fit(victim(), dataset(), threat, draws(), out=tmp_path / "w.safetensors")
    assert accuracy(victim(), noise(x, threat), y) > 0.85
    assert accuracy(victim(), attack(victim(), x, y, threat, draws()), y) < below


def test_a_universal_one_fools_with_one_perturbation(universal):
    x, y = images(1)
    assert accuracy(victim(), noise(x, Linf(8 / 255)), y) > 0.95
    assert accuracy(victim(), universal(victim(), x, y, Linf(8 / 255), draws()), y) < 0.75


def test_several_findings_are_turned(tmp_path):
    """PGD, which looks at each image by itself, leaves half of the decisions right here."""
    model, (x, y) = victim(findings=True), images(0)
    labels, threat = nn.functional.one_hot(y, K).float(), Linf(10 / 255)
    attack = GAP(**SMALL | {"epochs": 10}).fit(model, dataset(findings=True), threat, draws(), out=tmp_path / "w.safetensors")
    assert accuracy(model, noise(x, threat), labels) > 0.95
    assert accuracy(model, attack(model, x, labels, threat, draws()), labels) < 0.8


def test_targeted_it_takes_the_labels_for_targets(tmp_path):
    model, (x, y) = victim(), images(0)
    wanted = model.with_task(Targeted(model.task))
    threat, data = Linf(16 / 255), dataset()
    to_b = type(data)(data.name, data.classes, data.kind, [type(e)(e.id, 1) for e in data.examples], data.read)
    attack = GAP(**SMALL | {"epochs": 3}).fit(wanted, to_b, threat, draws(), out=tmp_path / "w.safetensors")
    decided = model(attack(wanted, x, torch.ones_like(y), threat, draws())).argmax(1)
    assert (model(noise(x, threat)).argmax(1) == 1).float().mean() < 0.4
    assert (decided == 1).float().mean() > 0.9


def test_one_pass_of_the_generator_and_one_look_at_the_image(gap):
    x, y = images(1, 8)
    for settings, forwards in ((gap, 8), (GAP(weights=gap.weights, early_stop=False), 0)):
        subject = Subject(victim())
        settings(subject, x, y, THREAT, draws(8))
        assert (sum(subject.forwards.values()), sum(subject.backwards.values())) == (forwards, 0)


def test_early_stop_leaves_what_is_wrong_already(gap):
    x, y = images(1, 8)
    y = (y + torch.tensor([1, 0] * 4)) % K
    same = (gap(victim(), x, y, THREAT, draws(8)) == x).flatten(1).all(1)
    assert torch.equal(same, victim().task.errors(victim()(x), y) == 1)


@pytest.mark.parametrize("threat", [Linf(4 / 255), Linf(0.3 / 255), Linf((4 / 255, 2 / 255, 1 / 255)), L2(0.3)], ids=str)
def test_the_perturbation_is_inside_the_threat_before_pixels_are_clamped(threat, gap, universal):
    x, _ = images(2, 6)
    for attack in (gap, universal):
        change = attack.change(x, threat)
        assert change.abs().amax() > 0
        assert (threat.distance(change, torch.zeros_like(x)) <= threat.eps * (1 + 1e-5)).all()


def test_a_universal_perturbation_is_the_same_for_all_images_before_pixels_are_clamped(universal, gap):
    x, _ = images(1, 6)
    change = universal.change(x, THREAT)
    assert (change == change[:1]).all()
    assert torch.equal(universal.change(x.flip(0) * 0, THREAT), change)
    own = gap.change(x, THREAT)
    assert (own != own[:1]).any()


def test_an_image_is_attacked_the_same_whatever_stands_beside_it(gap):
    x, y = images(1, 6)
    together = gap(victim(), x, y, THREAT, draws(6))
    alone = torch.cat([gap(victim(), x[i : i + 1], y[i : i + 1], THREAT, draws(6).take([i])) for i in range(6)])
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)


def test_the_same_draws_give_the_same_weights_and_others_give_others(tmp_path):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    hashes = [
        GAP(**TINY).fit(victim(), dataset(count=16), THREAT, Draws(seed, ()), out=tmp_path / f"{i}.safetensors").sha256
        for i, seed in enumerate((0, 0, 1))
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(torch.random.get_rng_state(), before), "torch's own random numbers go on as if nothing had happened"


def test_the_model_is_left_as_it_was(tmp_path):
    model = victim().train()
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    GAP(**TINY).fit(model, dataset(count=16), THREAT, draws(), out=tmp_path / "w.safetensors")
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    model.eval()


def test_progress_is_told(tmp_path):
    told = []
    GAP(width=2, epochs=2, batch_size=6).fit(
        victim(), dataset(count=16), THREAT, draws(), out=tmp_path / "w.safetensors", progress=lambda *what: told.append(what)
    )
    assert told[0] == ("training gap, epoch 1 of 2", 1, 6)
    assert told[-1] == ("training gap, epoch 2 of 2", 6, 6)


class TestSavedAndLoaded:
    def test_a_plan_needs_the_file_alone(self, gap):
        assert ATTACKS.parse({"name": "gap", "weights": gap.weights}) == gap
        assert gap.sha256 == sha256(Path(gap.weights).read_bytes()).hexdigest()

    def test_without_a_place_the_file_is_named_by_its_hash(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        made = GAP(**TINY).fit(victim(), dataset(count=16), THREAT, draws())
        assert made.weights == f"gap-{made.sha256[:12]}.safetensors"
        assert Path(made.weights).is_file()

    def test_other_weights_under_the_same_name_are_another_attack(self, tmp_path):
        out = tmp_path / "w.safetensors"
        first = GAP(**TINY).fit(victim(), dataset(count=16), THREAT, Draws(0, ()), out=out)
        second = GAP(**TINY).fit(victim(), dataset(count=16), THREAT, Draws(1, ()), out=out)
        assert first != second
        with pytest.raises(WeightsError, match="the file has changed"):
            first.change(images(0, 1)[0], THREAT)
        with pytest.raises(WeightsError, match="the file has changed"):
            ATTACKS.parse({"name": "gap", "weights": str(out), "sha256": first.sha256})

    def test_its_words_are_those_it_was_trained_with(self, universal):
        made = GAP(weights=universal.weights, early_stop=False)
        assert (made.universal, made.width, made.early_stop) == (True, 6, False)

    def test_the_released_preset(self):
        made = ATTACKS.parse({"name": "gap-released", "width": 8})
        assert made == GAP(straight_through=True, aim="least_likely", epochs=13, width=8)


class TestRefusals:
    def damaged(self, tiny, tmp_path, words=None, **tensors):
        """A file like the one of `tiny`, but for some of its words or tensors."""
        path = tmp_path / "damaged.safetensors"
        content = Path(tiny.weights).read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        written = words if isinstance(words, str) else json.dumps({**json.loads(header["robustdx"]), **(words or {})})
        state = {k: v for k, v in {**load_file(tiny.weights), **tensors}.items() if v is not None}
        path.write_bytes(save(state, {"robustdx": written}))
        return GAP(weights=str(path))

    def test_untrained(self):
        x, y = images(0, 2)
        with pytest.raises(PlanError, match=r'has to be trained .* fit\(model, data, threat, draws\) and give weights = "FILE"'):
            GAP()(victim(), x, y, THREAT, draws(2))

    @pytest.mark.parametrize("shape", [(3, 20, 16), (1, 16, 16)])
    def test_images_of_another_size(self, shape, tiny):
        with pytest.raises(PlanError, match=rf"trained for images of 16x16 with 3 channels, got {shape[1]}x16 with {shape[0]}"):
            tiny.change(torch.rand(1, *shape), THREAT)

    def test_another_eps_is_scaled_and_noted(self, tiny, caplog):
        x, _ = images(0, 2)
        with caplog.at_level(logging.WARNING):
            half = tiny.change(x, Linf(3 / 255))
        assert "trained for linf at eps 0.0235294: its perturbation is scaled to linf at eps 0.0117647" in caplog.text
        torch.testing.assert_close(half, tiny.change(x, THREAT) / 2)

    def test_a_setting_that_differs_from_the_training(self, tiny):
        with pytest.raises(PlanError, match=r"was trained with generator = 'unet', got generator = 'residual'"):
            GAP(weights=tiny.weights, generator="residual")

    def test_no_file(self):
        with pytest.raises(PlanError, match=r"cannot read the weights nowhere\.safetensors \(No such file"):
            GAP(weights="nowhere.safetensors")

    @pytest.mark.parametrize("content", [b"", b"\x80\x02code", b"\xff" * 64, (10**12).to_bytes(8, "little") + b"{}"])
    def test_no_safetensors(self, content, tmp_path):
        path = tmp_path / "w.safetensors"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="no safetensors file, or a damaged one"):
            GAP(weights=str(path))

    def test_weights_of_a_network(self, tmp_path):
        save_file(victim().network.state_dict(), tmp_path / "w.safetensors")
        with pytest.raises(WeightsError, match="does not say of which attack"):
            GAP(weights=str(tmp_path / "w.safetensors"))

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ("{", "header is not what fit writes"),
            ("[" * 100000, "header is not what fit writes"),
            ("[]", "does not say of which attack"),
            ({"attack": "uap"}, "weights of uap, not of gap"),
            ({"size": [16]}, "expected a size of two sides"),
            ({"size": [-1, 16]}, "expected a size of two sides"),
            ({"eps": 0}, "eps above 0"),
            ({"eps": "much"}, "expected a number"),
            ({"settings": {"width": 10**12}}, "width must lie between 1 and 1024"),
            ({"settings": {"width": "wide"}}, "expected a whole number"),
            ({"settings": {"weights": "other.safetensors"}}, "not a file's to say"),
            ({"settings": {"colour": 1}}, "there is no key named 'colour'"),
            ({"more": 1}, "there is no key named 'more'"),
        ],
        ids=str,
    )
    def test_a_header_that_lies(self, words, told, tiny, tmp_path):
        with pytest.raises(RobustdxError, match=told):
            self.damaged(tiny, tmp_path, words)

    @pytest.mark.parametrize(
        ("words", "tensors", "told"),
        [
            ({"settings": {"width": 1024}}, {}, "another shape"),
            ({"settings": {"width": 2, "generator": "residual"}}, {}, "missing"),
            ({}, {"down.0.weight": None}, "missing"),
            ({}, {"more": torch.ones(1)}, "unexpected"),
            ({}, {"pattern": torch.ones(1, 3, 16, 16)}, "its pattern does not fit"),
            ({"settings": {"width": 2, "universal": True}}, {}, "its pattern does not fit"),
        ],
        ids=str,
    )
    def test_weights_that_do_not_fit(self, words, tensors, told, tiny, tmp_path):
        with pytest.raises(WeightsError, match=told):
            self.damaged(tiny, tmp_path, words, **tensors).change(images(0, 1)[0], THREAT)

    def test_weights_that_are_no_numbers(self, tiny, tmp_path):
        with pytest.raises(WeightsError, match=r"up\.5\.bias holds NaN or infinite values"):
            self.damaged(tiny, tmp_path, **{"up.5.bias": torch.full((3,), torch.nan)})

    def test_lessons_without_budget_or_images(self, tmp_path):
        out = tmp_path / "w.safetensors"
        with pytest.raises(PlanError, match="expected an eps above 0 to learn for"):
            GAP().fit(victim(), dataset(), Linf(0.0), draws(), out=out)
        with pytest.raises(DataError, match="expected images to learn from"):
            GAP().fit(victim(), dataset().only("train"), THREAT, draws(), out=out)
        assert not out.exists()

    def test_settings_that_learn_nothing(self):
        for settings in ({"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"width": 0}):
            with pytest.raises(PlanError, match=rf"{next(iter(settings))}.*must"):
                GAP(**settings)
        with pytest.raises(PlanError, match="expected weights beside sha256"):
            GAP(sha256="00")


class TestGenerators:
    @pytest.mark.parametrize("kind", ["unet", "residual"])
    @pytest.mark.parametrize(
        ("channels", "size"), [(3, (224, 224)), (1, (299, 299)), (3, (112, 112)), (3, (150, 200)), (1, (9, 7)), (3, (65, 71))]
    )
    def test_any_size_comes_back(self, kind, channels, size):
        network = generator(kind, channels, 2).eval()
        with torch.no_grad():
            painted = network(torch.rand(1, channels, *size))
        assert painted.shape == (1, channels, *size)
        assert painted.abs().amax() <= 1

    def test_the_released_u_net_has_these_weights(self):
        """papers.md 4.5: the widths of the eleven inner layers at ngf = 64, and norms of their own."""
        with torch.device("meta"):
            network = generator("unet", 3, 64)
        assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in network.down] == [
            *((3, 64, 4), (64, 128, 4), (128, 256, 4), (256, 512, 4), (512, 512, 4), (512, 512, 3))
        ]
        assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in network.up] == [
            *((512, 512, 3), (1024, 512, 4), (1024, 256, 4), (512, 128, 4), (256, 64, 4), (128, 3, 4))
        ]
        assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 4 + 5


class TestAim:
    """The costs are cross-entropies written in margins: they agree with torch's own."""

    outputs, clean, y = torch.randn(7, 4), torch.randn(7, 4), torch.randint(0, 4, (7,))

    def test_least_likely_is_the_cross_entropy_of_that_class(self):
        aim = Aim.at(MultiClass(tuple("abcd")), self.clean, self.y, "least_likely")
        want = nn.functional.cross_entropy(self.outputs, self.clean.argmin(1), reduction="none")
        torch.testing.assert_close(aim.cost(self.outputs, torch.arange(7)), want)

    def test_any_is_the_chance_of_keeping_the_decision(self):
        aim = Aim.at(MultiClass(tuple("abcd")), self.clean, self.y, "any")
        kept = self.outputs.softmax(1).gather(1, self.clean.argmax(1, keepdim=True))[:, 0]
        torch.testing.assert_close(aim.cost(self.outputs, torch.arange(7)), -(1 - kept).log())

    @pytest.mark.parametrize("goal", ["any", "least_likely"])
    def test_of_two_classes_it_is_the_other(self, goal):
        aim = Aim.at(Binary(), self.clean[:, :2], self.y, goal)
        want = nn.functional.cross_entropy(self.outputs[:, :2], self.clean[:, :2].argmin(1), reduction="none")
        torch.testing.assert_close(aim.cost(self.outputs[:, :2], torch.arange(7)), want)

    @pytest.mark.parametrize("goal", ["any", "least_likely"])
    def test_of_several_findings_all_are_turned(self, goal):
        aim = Aim.at(MultiLabel(tuple("abcd")), self.clean, self.clean, goal)
        want = nn.functional.binary_cross_entropy_with_logits(self.outputs, (self.clean < 0).float(), reduction="none").mean(1)
        torch.testing.assert_close(aim.cost(self.outputs, torch.arange(7)), want)

    def test_targeted_it_is_the_loss_towards_the_target(self):
        aim = Aim.at(Targeted(MultiClass(tuple("abcd"))), self.clean, self.y, "any")
        torch.testing.assert_close(
            aim.cost(self.outputs, torch.arange(7)), nn.functional.cross_entropy(self.outputs, self.y, reduction="none")
        )

    def test_a_goal_that_cannot_be_asked_pulls_nowhere(self):
        aim = Aim.at(Aimed(MultiClass(tuple("abcd")), Class("b")), self.clean, torch.ones(7, dtype=torch.long), "any")
        outputs = self.outputs.clone().requires_grad_()
        (grad,) = torch.autograd.grad(aim.cost(outputs, torch.arange(7)).sum(), outputs)
        assert (grad == 0).all()


def test_images_of_different_sizes_are_refused(tmp_path):
    from robustdx.data.in_memory import from_torch

    data = from_torch([(torch.rand(3, side, side), 0) for side in (8, 9)], classes="abcd", task="multiclass")
    model = DiagnosticModel(victim().network, victim().task)
    with pytest.raises(PlanError, match="needs images of one size"):
        GAP(**TINY).fit(model, data, THREAT, draws(), out=tmp_path / "w.safetensors")
