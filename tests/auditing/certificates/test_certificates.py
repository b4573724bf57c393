"""Certificates of a linear model, whose radius is known in closed form: |w.x + b| / ||w||."""

import numpy as np
import pytest
import torch
from torch import nn

from robustdx import api
from robustdx.auditing import prepare
from robustdx.auditing.certificates.plan import CertifyPlan
from robustdx.auditing.certificates.results import Votes, radii
from robustdx.auditing.certificates.votes import Certification
from robustdx.data.in_memory import from_torch
from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.metrics.certificate import ABSTAIN, certify
from robustdx.models import DiagnosticModel, ModelSpec, Smoothed
from robustdx.store import Store
from robustdx.tasks import Binary, MultiLabel

SIGMA, ALPHA, IMAGES = 0.05, 0.001, 24
"""So little noise around grey images that no pixel leaves [0, 1]: the vote is that of the linear model itself."""
QUICK = {"sigma": SIGMA, "samples": [10, 40], "bootstrap": 100, "batch_size": 5}


class Linear(nn.Module):
    """w.x + b of the pixels."""

    def __init__(self, outputs=1):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(outputs, 48, generator=generator))
        self.bias = nn.Parameter(-0.5 * self.weight.sum(1))

    def forward(self, x):
        return x.flatten(1) @ self.weight.T + self.bias


def images():
    """Grey images on both sides of the boundary, at -2 to 2 sigma from it."""
    w = Linear().weight[0].detach()
    away = torch.linspace(-2 * SIGMA, 2 * SIGMA, IMAGES)
    return (0.5 + away[:, None] * w / w.norm()).view(-1, 3, 4, 4), away


@pytest.fixture(scope="module")
def model():
    return DiagnosticModel(Linear(), Binary(), size=(4, 4)).eval().requires_grad_(False)


def certification(model, **settings):
    """The plan on the images in memory, each of two images a patient."""
    x, away = images()
    y = [int(v > 0) for v in away]
    if isinstance(model.task, MultiLabel):
        y = [torch.tensor([v, float("nan") if n % 2 else 1.0]) for n, v in enumerate(y)]
    data = from_torch(list(zip(x, y, strict=True)), model.task.classes, None, [n // 2 for n in range(IMAGES)])
    plan = CertifyPlan(model=ModelSpec(source="memory"), data="memory", split="all", **{**QUICK, **settings})
    audit = prepare.assemble(plan.audit, model, data)
    return Certification(plan, audit)


def run(ready, out, tell=lambda what, done, total: None):
    return api.certify(ready, out, command="robustdx certify ...", progress=tell)


def votes_of(folder):
    ((_, records),) = Store(folder).cells()
    return Votes.of(records)


@pytest.mark.parametrize("draws", [100, 1000, 5000])
def test_the_radius_never_exceeds_the_distance_to_the_boundary_and_approaches_it(model, draws):
    x, away = (v[:: 3 if draws > 1000 else 1] for v in images())
    d, smoothed = Draws(0, tuple(map(str, range(len(x))))), Smoothed(model, SIGMA)
    selected, estimated = (smoothed.votes(x, d.fork(name), range(n))[:, 0].numpy() for name, n in (("few", 100), ("many", draws)))
    found = certify(selected, estimated, SIGMA, ALPHA)
    certain, true = found.decisions != ABSTAIN, away.abs().numpy()
    assert (found.radii <= true).all()
    assert (found.decisions[certain] == (away.numpy() > 0)[certain]).all()
    gap = (true - found.radii)[certain].max() / SIGMA
    assert gap < {100: 1.1, 1000: 0.4, 5000: 0.2}[draws]
    if draws <= 1000:
        assert not certain[[IMAGES // 2 - 1, IMAGES // 2]].any(), "next to the boundary it abstains"


def test_the_run_keeps_what_the_procedure_finds(model, tmp_path):
    results = run(certification(model), tmp_path / "run")
    votes = votes_of(tmp_path / "run")
    assert (votes.selected.sum(-1) == 10).all()
    assert (votes.estimated.sum(-1) == 40).all()
    found = certify(votes.selected, votes.estimated, SIGMA, ALPHA)
    right = (found.decisions == votes.labels)[:, 0]
    for point in results["curve"]:
        assert point["value"] == pytest.approx((right & (found.radii[:, 0] > point["radius"])).mean())
        assert point["low"] <= point["value"] <= point["high"]
    assert results["metrics"]["certificates_abstained"]["value"] == pytest.approx((found.decisions == ABSTAIN).mean())
    assert (results["images"], results["patients"]) == (IMAGES, IMAGES // 2)
    assert results["majority"] == {"class": "negative", "share": 0.5}
    assert "always answering “negative” is right on 50.0" in (tmp_path / "run" / "certificate.html").read_text()
    assert results["cost"]["forwards"] == IMAGES * 50


def test_the_two_sets_of_draws_share_none(model, tmp_path):
    run(certification(model, samples=[40, 40]), tmp_path / "run")
    votes = votes_of(tmp_path / "run")
    assert (votes.selected != votes.estimated).any()


def test_any_batch_size_gives_the_same_votes_and_the_seed_others(model, tmp_path):
    for name, settings in {"one": {"batch_size": 1}, "many": {"batch_size": 24}, "seed": {"seed": 1}}.items():
        run(certification(model, **settings), tmp_path / name)
    one, many, other = (votes_of(tmp_path / name).estimated for name in ("one", "many", "seed"))
    assert np.array_equal(one, many)
    assert not np.array_equal(one, other)


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(model, tmp_path):
    class Stopped(Exception):
        pass

    def stop(what, done, total):
        if what == "noisy images" and done > total / 2:
            raise Stopped

    told = []
    run(certification(model), tmp_path / "whole")
    with pytest.raises(Stopped):
        run(certification(model), tmp_path / "stopped", stop)
    kept = len(list((tmp_path / "stopped").glob("cells/*/part-*.parquet")))
    assert kept == 2
    assert not (tmp_path / "stopped" / "manifest.json").exists()
    run(certification(model), tmp_path / "stopped", lambda what, done, total: told.append((what, done, total)))
    assert min(done for what, done, _ in told if what == "noisy images") > 2 * 5 * 50, "what was kept is not drawn again"
    assert told[-1] == ("noisy images", IMAGES * 50, IMAGES * 50)
    for name in ("certificates.csv", "certificates.parquet"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "whole").rglob("*")}
    run(certification(model), tmp_path / "whole")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "whole").rglob("*")} == before, "a finished run is not run again"


def test_findings_have_a_certificate_each_and_none_where_not_annotated(tmp_path):
    model = DiagnosticModel(Linear(2), MultiLabel(("effusion", "mass")), size=(4, 4)).eval().requires_grad_(False)
    results = run(certification(model), tmp_path / "run")
    assert (results["images"], results["decisions"]) == (IMAGES, IMAGES * 3 // 2)
    lines = (tmp_path / "run" / "certificates.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * IMAGES
    assert {line.split(",")[2] for line in lines[1:]} == {"effusion", "mass"}


def test_the_curve_is_read_four_times_in_each_sigma():
    assert radii(0.5, 0.6) == [0, 0.125, 0.25, 0.375, 0.5]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sigma": 0}, "sigma must be above 0"),
        ({"sigma": -0.1}, "sigma must be above 0"),
        ({"samples": [0, 100]}, "each at least 1"),
        ({"samples": [100]}, "expected two numbers of samples"),
        ({"samples": [101, 100]}, "turn them round"),
        ({"samples": [5, 9]}, "9 samples cannot prove anything at alpha 0.001"),
        ({"alpha": 0}, "alpha must lie between 0 and 1"),
        ({"alpha": 1}, "alpha must lie between 0 and 1"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"eps": (0.1,)}, "there are none: give attacks"),
        ({"images": 0}, "images must be at least 1"),
    ],
)
def test_what_proves_nothing_is_refused(settings, words):
    with pytest.raises(PlanError, match=words):
        CertifyPlan(model=ModelSpec(source="memory"), data="memory", **settings)
