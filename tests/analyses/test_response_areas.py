"""Response maps: a model that looks only at the left upper corner is shown to, by every map; numbers against numpy and scikit-image."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from skimage.metrics import structural_similarity
from torch import nn
from torch.nn import functional as F

from robustdx.analyses import ResponseAreas, Views
from robustdx.analyses.agreement import agreement, share_inside, top_overlap
from robustdx.analyses.response_maps import MAPS, Evidence, decided, labelled, last_map
from robustdx.draws import Draws
from robustdx.errors import DataError, PlanError
from robustdx.models import AttnMel, Defended, DiagnosticModel
from robustdx.models.attnmel import Attention
from robustdx.tasks import Binary, MultiClass, MultiLabel, Ordinal

SIDE, CORNER = 32, 16
IDS = tuple("abcd")
DRAWS = Draws(0, IDS)


class Cornered(nn.Module):
    """Sees the left upper quarter of an image and nothing else; answers by how bright it is, through convolutions and attention."""

    def __init__(self, masked_late=False):
        super().__init__()
        self.masked_late = masked_late
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.attn = Attention(4, 4, 4, normalize_attn=True)
        self.head = nn.Linear(4, 2, bias=False)
        self.conv.weight.data = torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
        self.attn.W_l.weight.data = torch.eye(4)[:, :, None, None]
        self.attn.W_g.weight.data.zero_()
        self.attn.phi.weight.data.fill_(3.0)
        self.head.weight.data = torch.tensor([[1.0] * 4, [-1.0] * 4])

    def forward(self, x):
        seen = torch.zeros(1, 1, SIDE, SIDE)
        seen[..., :CORNER, :CORNER] = 1
        features = self.relu(self.conv(x if self.masked_late else x * seen))
        features = features * seen if self.masked_late else features
        _, picked = self.attn(features, features)
        return self.head(picked)


def images(seed=0, n=4, side=SIDE):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def views_of(x=None, attacked=None, masks=None, y=None):
    x = images() if x is None else x
    return Views(x, attacked or {"pgd": images(1)}, torch.tensor([0, 1, 0, 1]) if y is None else y, DRAWS, masks=masks)


def corner():
    """With the one pixel more that a 3 x 3 convolution carries what it sees."""
    masks = torch.zeros(4, SIDE, SIDE)
    masks[:, : CORNER + 1, : CORNER + 1] = 1
    return masks


def cornered(**settings):
    return DiagnosticModel(Cornered(**settings), MultiClass(("dark", "bright")), mean=(0.5,) * 3, std=(0.5,) * 3).eval()


class TestTheCorner:
    @pytest.mark.parametrize("name", ["attention:attn", *(name for name in MAPS if name != "attention")])
    def test_every_map_shows_that_only_the_corner_is_looked_at(self, name):
        analysis = ResponseAreas(maps=tuple(MAPS), layer="conv", inside=True)
        found = analysis.conclude(analysis(cornered(), views_of(masks=corner())))
        for view in ("clean", "pgd"):
            assert found.value(view, name, "inside") > 0.9
            picture = found.pictures[view][name]
            assert picture.shape == (4, SIDE, SIDE)
            assert picture[:, CORNER + 2 :, CORNER + 2 :].max() < 0.01 < picture[:, :CORNER, :CORNER].max()
        assert found.value("clean", "mask", "area") == (CORNER + 1) ** 2 / SIDE**2

    def test_the_same_maps_do_not_lie_in_another_corner(self):
        analysis = ResponseAreas(maps=tuple(MAPS), layer="conv")
        found = analysis.conclude(analysis(cornered(), views_of(masks=corner().flip(1, 2))))
        inside = [n.value for n in found.numbers if n.measure == "inside"]
        assert len(inside) == 10
        assert max(inside) < 0.05

    def test_gradcam_can_show_places_that_do_not_count_and_hirescam_does_not(self):
        """A layer that responds everywhere, behind which all but the corner is thrown away."""
        analysis = ResponseAreas(maps=("saliency", "gradcam", "hirescam"), layer="conv")
        found = analysis.conclude(analysis(cornered(masked_late=True), views_of(masks=corner())))
        assert found.value("clean", "gradcam", "inside") < 0.5
        assert found.value("clean", "hirescam", "inside") > 0.9
        assert found.value("clean", "saliency", "inside") > 0.9

    def test_what_changes_outside_the_corner_changes_no_map_and_what_changes_inside_does(self):
        x = images()
        outside, inside = x.clone(), x.clone()
        outside[:, :, CORNER + 3 :, :], inside[:, :, :CORNER, :CORNER] = 0.3, images(2)[:, :, :CORNER, :CORNER]
        analysis = ResponseAreas(maps=tuple(MAPS), layer="conv")
        found = analysis.conclude(analysis(cornered(), views_of(x, {"outside": outside, "inside": inside})))
        for name in ("attention:attn", "gradcam", "hirescam", "guided_gradcam"):
            assert found.value("outside", name, "pearson") == pytest.approx(1, abs=1e-4)
            assert found.value("outside", name, "top_overlap") == pytest.approx(1)
            assert found.value("inside", name, "pearson") < 0.95


class TestTheMaps:
    """Each map against its formula."""

    def setup_method(self):
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Conv2d(5, 6, 3), nn.ReLU(inplace=True))
        self.network = nn.Sequential(self.body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3))
        self.model = DiagnosticModel(self.network, MultiClass(tuple("abc"))).eval().requires_grad_(False)
        self.x = images(side=12)
        self.c = self.model(self.x).argmax(1)
        self.evidence = Evidence(self.model, DRAWS, decided(self.model.task, self.model(self.x)))

    def gradients(self):
        a = self.body(self.x).requires_grad_()
        logit = self.network[1:](a)[torch.arange(4), self.c]
        return a.detach(), torch.autograd.grad(logit.sum(), a)[0]

    def up(self, cam):
        return F.interpolate(cam[:, None].relu(), (12, 12), mode="bilinear", align_corners=False)[:, 0]

    def test_saliency_by_differences(self):
        """Clipped at the 99th percentile as numpy has it; the slope of a piecewise linear network from two points."""
        found = MAPS["saliency"](self.evidence, self.x, "")["saliency"].double()
        network = self.network.double()
        slopes = torch.zeros(4, 12, 12, dtype=torch.float64)
        for c in range(3):
            for i in range(12):
                for j in range(12):
                    step = torch.zeros(4, 3, 12, 12, dtype=torch.float64)
                    step[:, c, i, j] = 1e-7
                    up, down = (network(self.x.double() + s * step)[torch.arange(4), self.c] for s in (1, -1))
                    slopes[:, i, j] += ((up - down) / 2e-7).abs()
        cut = torch.from_numpy(np.percentile(slopes.flatten(1).numpy(), 99, axis=1))[:, None, None]
        torch.testing.assert_close(found, slopes.minimum(cut), rtol=1e-3, atol=1e-5)

    def test_gradcam_and_hirescam(self):
        a, g = self.gradients()
        found = {name: MAPS[name](self.evidence, self.x, "0")[name] for name in ("gradcam", "hirescam")}
        torch.testing.assert_close(found["gradcam"], self.up((g.mean((2, 3), keepdim=True) * a).sum(1)))
        torch.testing.assert_close(found["hirescam"], self.up((g * a).sum(1)))

    def test_guided_gradcam(self):
        """Guided backpropagation written out: on the way back, a ReLU passes what is above 0 where its input was."""

        class Guided(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x.relu()

            @staticmethod
            def backward(ctx, grad):
                return grad.relu() * (ctx.saved_tensors[0] > 0)

        x = self.x.clone().requires_grad_()
        h = Guided.apply(self.body[2](Guided.apply(self.body[0](x))))
        (guided,) = torch.autograd.grad(self.network[1:](h)[torch.arange(4), self.c].sum(), x)
        a, g = self.gradients()
        expected = (guided * self.up((g.mean((2, 3), keepdim=True) * a).sum(1))[:, None]).abs().sum(1)
        found = MAPS["guided_gradcam"](self.evidence, self.x, "0")["guided_gradcam"]
        cut = expected.flatten(1).quantile(0.99, 1)[:, None, None]
        torch.testing.assert_close(found, expected.minimum(cut))
        assert self.body[1].inplace

    def test_the_layer_is_the_last_with_rows_and_columns(self):
        seen = ResponseAreas(maps=("gradcam",))(self.model, views_of(self.x, {"pgd": images(1, side=12)}))
        named = ResponseAreas(maps=("gradcam",), layer="0.2")(self.model, views_of(self.x, {"pgd": images(1, side=12)}))
        np.testing.assert_array_equal(seen.pictures["clean"]["gradcam"], named.pictures["clean"]["gradcam"])

    def test_the_last_map_is_found_in_a_network_of_many_layers(self):
        layers = [nn.Conv2d(3, 3, 1) for _ in range(30)]
        model = DiagnosticModel(nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 64, 2)), MultiClass(tuple("ab"))).eval()
        assert last_map(model, images(side=8), DRAWS) == "29"

    def test_attnmel_gives_its_own_attention(self):
        torch.manual_seed(0)
        network = AttnMel(2).eval()
        model, x = DiagnosticModel(network, Binary()), images(side=32)
        found = MAPS["attention"](Evidence(model, DRAWS, torch.ones(4, 2)), x, "")
        with torch.no_grad():
            for name, expected in zip(("attention:attn1", "attention:attn2"), network.attention(x), strict=True):
                torch.testing.assert_close(found[name], F.interpolate(expected, (32, 32), mode="bilinear", align_corners=False)[:, 0])

    def test_a_defence_is_seen_through(self):
        half = Defended(self.model, lambda x, draws: x / 2)
        answer = decided(self.model.task, half(self.x, DRAWS))
        for name in ("gradcam", "guided_gradcam"):
            through = MAPS[name](Evidence(half, DRAWS, answer), self.x, "0")[name]
            alone = MAPS[name](Evidence(self.model, DRAWS, answer), self.x / 2, "0")[name]
            torch.testing.assert_close(through, alone if name == "gradcam" else alone / 2, rtol=1e-4, atol=1e-6)


class TestWhichAnswer:
    def test_the_answer_that_is_given_or_the_true_one(self):
        outputs, y = torch.tensor([[2.0, 1], [0, 3]]), torch.tensor([1, 1])
        assert decided(MultiClass(tuple("ab")), outputs).tolist() == [[1, 0], [0, 1]]
        assert labelled(MultiClass(tuple("ab")), y, outputs).tolist() == [[0, 1], [0, 1]]

    def test_of_findings_the_likeliest_or_those_that_are_there(self):
        outputs, y = torch.tensor([[-2.0, -1, 0], [0, 3, 1]]), torch.tensor([[1.0, 0, 1], [0, 0, float("nan")]])
        assert decided(MultiLabel(tuple("abc")), outputs).tolist() == [[0, 0, 1], [0, 1, 0]]
        assert labelled(MultiLabel(tuple("abc")), y, outputs).tolist() == [[1, 0, 1], [0, 1, 0]]

    @pytest.mark.parametrize("task", [Binary(), Ordinal(("0", "1", "2"), cumulative=True)], ids=["one logit", "cumulative"])
    def test_both_answers_of_a_single_logit_and_every_grade_have_a_slope(self, task):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, task.outputs[0]))
        x = images(side=8)
        for k in range(len(task.classes)):
            evidence = Evidence(DiagnosticModel(network, task).eval(), DRAWS, F.one_hot(torch.full((4,), k), len(task.classes)).float())
            assert (MAPS["saliency"](evidence, x, "")["saliency"].flatten(1).amax(1) > 0).all()

    def test_after_an_attack_the_wrong_answer_is_explained_unless_the_label_is_asked_for(self):
        """Two halves, one for each class: the map follows the answer from the left to the right, or stays with the label."""

        class Halves(nn.Module):
            def forward(self, x):
                return torch.stack((x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))), 1)

        x = torch.zeros(4, 3, 8, 8)
        x[..., :4] = 0.9
        masks = torch.zeros(4, 8, 8)
        masks[..., :4] = 1
        model = DiagnosticModel(Halves(), MultiClass(("left", "right"))).eval()
        views = views_of(x, {"flipped": x.flip(3)}, masks, y=torch.zeros(4, dtype=torch.long))
        for explains, inside in (("decision", 0), ("label", 1)):
            analysis = ResponseAreas(maps=("saliency",), explains=explains)
            found = analysis.conclude(analysis(model, views))
            assert found.value("clean", "saliency", "inside") == 1
            assert found.value("flipped", "saliency", "inside") == inside


class TestNumbers:
    def setup_method(self):
        rng = np.random.default_rng(0)
        self.a = rng.random((20, 15))
        self.b = 0.5 * self.a + 0.5 * rng.random((20, 15))

    def test_against_scipy_and_scikit_image(self):
        found = agreement(self.a, self.b, top=0.1)
        assert found["pearson"] == pytest.approx(pearsonr(self.a.ravel(), self.b.ravel())[0])
        assert found["spearman"] == pytest.approx(spearmanr(self.a.ravel(), self.b.ravel())[0])
        assert found["ssim"] == pytest.approx(structural_similarity(self.a, self.b, data_range=1.0))

    def test_overlap_by_sets(self):
        strongest = [set(np.argsort(m.ravel())[-30:]) for m in (self.a, self.b)]
        assert top_overlap(self.a, self.b, 0.1) == pytest.approx(len(strongest[0] & strongest[1]) / 30)
        assert 0.1 < top_overlap(self.a, self.b, 0.1) < 1

    def test_ties_share_the_places_that_are_left(self):
        """Two places: one pixel is the strongest, three share the other; the second map has two that are plain, and one of the three."""
        a, b = np.array([[3.0, 2, 2], [2, 0, 0]]), np.array([[0.0, 2, 0], [0, 0, 1]])
        assert top_overlap(a, a, 2 / 6) == pytest.approx(1)
        assert top_overlap(a, b, 2 / 6) == top_overlap(b, a, 2 / 6) == pytest.approx(1 / 3 / 2)

    def test_inside(self):
        mask = np.zeros((20, 15), bool)
        mask[:5] = True
        assert share_inside(self.a, mask) == pytest.approx(self.a[:5].sum() / self.a.sum())
        assert np.isnan(share_inside(np.zeros((20, 15)), mask))

    @pytest.mark.parametrize("shape", [(5, 4), (2, 2)])
    def test_maps_smaller_than_a_window(self, shape):
        found = agreement(self.a[: shape[0], : shape[1]], self.b[: shape[0], : shape[1]])
        assert np.isnan(found["ssim"]) == (min(shape) < 3)
        assert np.isfinite(found["pearson"])

    def test_a_map_that_is_the_same_everywhere_is_left_out_and_said(self):
        x = images()
        x[0, :, :CORNER, :CORNER] = 0.5
        analysis = ResponseAreas(maps=("gradcam",), layer="conv")
        model = cornered()
        model.network.conv.weight.data = -model.network.conv.weight.data.abs()
        found = analysis.conclude(analysis(model, views_of(x.clamp(0.5, 1), {"pgd": x.clamp(0.5, 1)})))
        (number,) = [n for n in found.numbers if n.measure == "pearson"]
        assert number.value is None
        assert number.why == "the map is the same everywhere"


class TestRefusals:
    def test_a_mask_where_one_is_needed(self):
        with pytest.raises(DataError, match="these images have no mask that says where it is: take a data set with masks, or leave inside"):
            ResponseAreas(inside=True)(cornered(), views_of())

    def test_a_layer(self):
        with pytest.raises(PlanError, match=r"there is no layer named 'cnov': did you mean conv\?"):
            ResponseAreas(layer="cnov")(cornered(), views_of())
        with pytest.raises(PlanError, match=r"the layer head gives \(1, 2\), expected rows and columns"):
            ResponseAreas(layer="head")(cornered(), views_of())

    def test_settings(self):
        with pytest.raises(PlanError, match=r"no response map named 'grad-cam': did you mean gradcam\?"):
            ResponseAreas(maps=("grad-cam",))
        with pytest.raises(PlanError, match="top between 0 and 1"):
            ResponseAreas(top=1)

    def test_a_map_that_the_network_cannot_give_is_left_out_with_its_reason(self):
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2))
        analysis = ResponseAreas()
        found = analysis.conclude(analysis(DiagnosticModel(network, MultiClass(tuple("ab"))).eval(), views_of()))
        reasons = {n.where: n.why for n in found.numbers if n.value is None and n.measure == "map"}
        assert set(reasons) == {"attention", "gradcam", "guided_gradcam"}
        assert reasons["attention"] == "the network has no attention maps"
        assert reasons["gradcam"] == "the network has no layer whose output still has rows and columns"
        assert {n.where for n in found.numbers if n.value is not None} == {"saliency"}
