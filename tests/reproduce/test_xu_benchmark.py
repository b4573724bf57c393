"""Q8 and the second half of Q6 on records whose answer is known, and the commands of the script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reproduce.verdicts import answered
from reproduce.xu import benchmark, inside_claims
from reproduce.xu.benchmark import Compared
from reproduce.xu.inside import SCHEMA, SHUFFLED, shuffled
from robustdx.auditing.plan import AuditPlan
from robustdx.catalogue import build, read_words
from robustdx.cli import app
from robustdx.draws import Draws
from robustdx.records import ANALYSIS, FRAMES, SEQUENCE, Cell, table
from robustdx.store import Store
from robustdx.training.plan import HardenPlan

HERE = Path(benchmark.__file__).parent
IMAGES, WRONG = 40, 10
STEADY, ONCE, ALWAYS = [0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]
FLIPPING = {
    "undefended": {"xu2021 rotate": ALWAYS, "xu2021 gaussian_noise": STEADY},
    "mpadvt": {"xu2021 rotate": ONCE, "xu2021 gaussian_noise": ALWAYS},
}
"""What each network says over the four frames of every image that it had right."""


def clip(folder, said, order=range(IMAGES), wrong=range(WRONG)):
    """An audit whose network is right on all images but the first ten, which flip all the time."""
    store = Store.open(folder, {"of": folder.name})
    for label, frames in said.items():
        noise = "noise" in label
        cell = Cell(label, "", 0.0, "test", {}, False, "saved", natural=SEQUENCE, frames=4, compared="first" if noise else "previous")
        rows = []
        for i in order:
            truth, shown = i % 2, ALWAYS if i in wrong else frames
            decided = [[abs(truth - d)] for d in ([1 - d for d in shown] if i in wrong else shown)]
            told = {"label": [float(truth)], "clean_scores": [0.5, 0.5], "clean_decision": [1 - truth if i in wrong else truth]}
            scores = [[0.5, 0.5]] * 4
            rows.append({"id": f"{i:03}", "patient": f"p{i // 2}", **told, "frame_scores": scores, "frame_decisions": decided})
        store.add_part(cell, 0, table(rows, FRAMES), 1.0)
        store.finish(cell, 1)
    share = {"value": 0.75, "low": 0.7, "high": 0.8}
    cells = [{"attack": "clean", "split": "test", "metrics": {"accuracy": share, "balanced_accuracy": share}}]
    store.write_text("results.json", json.dumps({"cells": cells}))
    store.finish_run()


@pytest.fixture
def runs(tmp_path):
    for method, said in FLIPPING.items():
        clip(tmp_path / f"attnmel-{method}-audit", said, order=range(IMAGES)[:: -1 if method == "mpadvt" else 1])
    return tmp_path


@pytest.fixture
def networks(runs):
    return benchmark.read(runs)[0]["AttnMel"]


def asked(networks, method, sequence):
    return Compared(sequence, networks["undefended"], networks[method], [f"xu2021 {sequence}"]).question


def test_flips_are_those_of_images_that_both_networks_had_right(networks):
    question = asked(networks, "mpadvt", "rotate")
    assert question.first == [1.0] * (IMAGES - WRONG)
    assert question.second == pytest.approx([1 / 3] * (IMAGES - WRONG))
    assert len(set(question.patients)) == (IMAGES - WRONG) / 2


def test_an_image_that_one_of_the_two_had_wrong_is_left_out(runs):
    clip(runs / "attnmel-auto-audit", FLIPPING["mpadvt"], wrong=range(IMAGES - 6, IMAGES))
    networks = benchmark.read(runs)[0]["AttnMel"]
    assert len(asked(networks, "auto", "rotate").first) == IMAGES - WRONG - 6


def test_two_networks_that_are_never_right_together_cannot_be_compared(runs):
    clip(runs / "attnmel-auto-audit", FLIPPING["mpadvt"], wrong=range(WRONG, IMAGES))
    told = list(benchmark.directions(benchmark.read(runs)[0], "xu2021", each=False))
    assert "AttnMel, auto: mean | **cannot be told**: they have no right answer in common | - |" in told[-1]
    assert "AttnMel, MPAdvT: mean | **cannot be told at this n**" in told[-2]


def test_noise_is_compared_with_the_first_frame(networks):
    # said 0 1 0 1: two of the three later frames differ from the first, three of three from the one before
    assert asked(networks, "mpadvt", "gaussian_noise").second == pytest.approx([2 / 3] * (IMAGES - WRONG))


def test_the_direction_of_each_sequence(networks):
    told = list(benchmark.directions({"AttnMel": networks}, "xu2021", each=True))
    rotate, noise = (next(t for t in told if f": {name}" in t) for name in ("rotate", "gaussian_noise"))
    assert "**lower**" in rotate
    assert "| 1.0000 | 0.3333 | +0.667 |" in rotate
    assert "**higher**" in noise
    assert "| 0.0000 | 0.6667 | -0.667 |" in noise


def test_an_undefended_network_that_flips_often(networks):
    (answer,) = answered([benchmark.often("AttnMel", networks, "xu2021")])
    assert answer.words == "holds"
    assert answer.difference == pytest.approx(0.5 - benchmark.OFTEN)


def test_frame_accuracy_is_over_all_frames_of_all_images(networks):
    # of rotate the 30 are right on half of the frames, and the 10 on half of theirs
    assert networks["undefended"].frame_accuracy("xu2021 rotate") == pytest.approx(0.5)
    assert networks["undefended"].frame_accuracy("xu2021 gaussian_noise") == pytest.approx((30 + 10 * 0.5) / 40)


def test_of_a_network_that_says_one_thing_nothing_is_told(networks):
    said = {label: _constant(c) for label, c in networks["mpadvt"].clips.items()}
    constant = benchmark.Watched(said, networks["mpadvt"].results)
    assert constant.usual == 1
    assert not networks["mpadvt"].constant
    told = list(benchmark.directions({"AttnMel": {**networks, "mpadvt": constant}}, "xu2021", each=True))
    assert told == []
    (mean,) = list(benchmark.directions({"AttnMel": {**networks, "mpadvt": constant}}, "xu2021", each=False))[2:]
    assert "**cannot be told**: one answer" in mean


def _constant(clip):
    from dataclasses import replace

    return replace(clip, decided=np.zeros_like(clip.decided))


def test_of_findings_each_that_is_right_counts_and_none_that_is_not_annotated(networks):
    from dataclasses import replace

    nan, one = float("nan"), networks["undefended"].clips["xu2021 rotate"]
    labels, clean = np.array([[1, 0, nan], [1, 1, 1]]), np.array([[1, 0, 0], [0, 0, 1]])
    decided = np.array([[[1, 0, 0], [0, 0, 1], [0, 0, 0]], [[0, 0, 1], [1, 0, 1], [1, 1, 1]]])
    clips = {"xu2021 rotate": replace(one, ids=["a", "b"], patients=["a", "b"], labels=labels, clean=clean, decided=decided)}
    network = benchmark.Watched(clips, {})
    assert network.right.tolist() == [[True, True, False], [False, False, True]]
    # of the first image one of two steps of one of two findings; of the second the third finding, which stays
    assert benchmark.per_image(network, ["xu2021 rotate"], network.right).tolist() == [0.25, 0.0]
    assert network.frame_accuracy("xu2021 rotate") == pytest.approx((1 + 3 + 2 + 1 + 3) / (5 * 3))


def test_networks_on_other_images_are_refused(networks):
    networks["mpadvt"].first.ids.reverse()
    with pytest.raises(SystemExit, match="audited on other images"):
        asked(networks, "mpadvt", "rotate")


def views(folder, findings=False):
    """40 images: the attacks leave neither classes nor findings nor maps in place, their shuffled changes all of them."""
    random = np.random.default_rng(0)
    labels = np.array([[float(i % 2), float(i % 2), float(i % 5 == 0)] if findings else [float(i % 2)] for i in range(IMAGES)])
    cell = Cell("inside", "linf", 10 / 255, "test", {}, False, "saved", natural=ANALYSIS)
    rows = []
    for view in ("clean", "pgd", "gap", *(SHUFFLED.format(a) for a in ("pgd", "gap"))):
        lost = view in ("pgd", "gap")
        for i in range(IMAGES):
            features = random.normal(size=3) + (0 if lost else 5 * labels[i, 0])
            decision = random.integers(0, 2, 3) if lost else labels[i]
            measures = [] if view == "clean" else [("gradcam/pearson", 0.2 if lost else 0.9), ("saliency/pearson", float("nan"))]
            told = {"label": labels[i].tolist(), "decision": [int(d) for d in decision[: labels.shape[1]]]}
            rows.append({"id": f"{i:03}", "patient": f"p{i // 2}", "view": view, "features": features, "measures": measures, **told})
    store = Store.open(folder, {})
    store.add_part(cell, 0, table(rows, SCHEMA), 1.0)
    store.finish(cell, 1)
    store.finish_run()
    return inside_claims.Inside.read(folder)


def test_maps_that_move_under_the_attack_alone(tmp_path):
    answers = answered(list(inside_claims.areas("AttnMel", views(tmp_path / "inside"))))
    assert [a.words for a in answers] == ["holds", "holds"]  # saliency, the same everywhere, is not asked
    assert answers[0].difference == pytest.approx(0.7)


def test_features_that_lose_the_classes_under_the_attack_alone(tmp_path):
    answers = answered(list(inside_claims.features("AttnMel", views(tmp_path / "inside"))))
    assert len(answers) == 2 * 2
    assert all(a.words == "holds" and a.difference > 0.3 for a in answers)


def test_the_mean_of_a_probe_is_scikit_learns_balanced_accuracy(tmp_path):
    from robustdx.analyses.separability import probe

    m = views(tmp_path / "inside")
    for learned, asked in (("clean", "pgd"), ("pgd", "pgd")):
        (told,) = probe(m.features[learned], [m.features[asked]], m.labels[:, 0].astype(int), m.groups, inside_claims.FOLDS)
        assert inside_claims.probed(m, m.features[learned], m.features[asked]).mean() == pytest.approx(told)


def test_findings_that_go_together_no_more(tmp_path):
    answers = inside_claims.together("CheXNet", views(tmp_path / "inside", findings=True), resamples=200)
    assert len(answers) == 2 * 2
    assert all(a.difference > 0 for a in answers)
    assert all(a.words == "holds" for a in answers if "further away" in a.question.claim)


def test_nothing_is_told_of_an_attack_that_does_what_its_shuffled_change_does(tmp_path):
    m = views(tmp_path / "inside", findings=True)
    m.decisions.update({"pgd": m.decisions["clean"], "gap": m.decisions["clean"]})
    assert all(a.words == "cannot be told at this n" and a.p == 1 for a in inside_claims.together("CheXNet", m, resamples=50))


def test_a_shuffled_change_is_as_large_and_elsewhere():
    x = torch.full((2, 3, 8, 8), 0.5)
    change = torch.randint(-10, 11, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0)) / 255
    x = (x * 255).round() / 255
    moved = shuffled(x + change, x, Draws(0, ("a", "b"))) - x
    assert not torch.allclose(moved, change)
    assert torch.allclose(moved.flatten(2).sort(2).values, change.flatten(2).sort(2).values, atol=1e-6)
    together = [{tuple(p) for p in (d[0].flatten(1).T * 255).round().int().tolist()} for d in (moved, change)]
    assert together[0] == together[1]  # the channels of a pixel stay together


def test_the_page_has_the_answers_and_leaves_out_what_is_not_measured(runs, capsys):
    views(runs / "attnmel-inside")
    benchmark.main([str(runs)])
    told = capsys.readouterr().out
    assert "AttnMel, MPAdvT: rotate | **lower**" in told
    assert "0.750 [0.700, 0.800]" in told
    assert "AttnMel: gap moves gradcam more than its shuffled change does | **holds**" in told
    assert "CheXNet" not in told
    assert "MAAdvT" not in told
    assert "trained on plainly" not in told


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="none that is whole"):
        benchmark.main([str(tmp_path)])


@pytest.fixture
def commands(tmp_path):
    """What benchmark.sh runs, in order."""
    if os.name != "posix":
        pytest.skip("the script is for bash")
    folders = [tmp_path / name for name in ("isic", "fundus", "chests")]
    for folder in folders:
        folder.mkdir()
    record = tmp_path / "record"
    log = str(tmp_path / "log")
    record.write_text(f"#!{sys.executable}\nimport json, sys\nopen({log!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n")
    record.chmod(0o755)
    settings = {"PYTHON": record, "ROBUSTDX": record, "ONLY": "chexnet inception attnmel attnmel-224", "OUT": tmp_path / "page.md"}
    asked = ["bash", HERE / "benchmark.sh", *folders, tmp_path / "runs"]
    subprocess.run(asked, check=True, env={**os.environ, **{k: str(v) for k, v in settings.items()}})
    return [json.loads(told) for told in (tmp_path / "log").read_text().splitlines()]


def test_every_command_of_the_script_is_one(commands):
    import typer

    from robustdx.cli import COMMANDS, import_module

    for name in COMMANDS:
        import_module(f"robustdx.cli.{name}")
    known = typer.main.get_command(app).commands
    ours = [command for command in commands if command[0] in ("harden", "audit")]
    assert len(ours) == 4 * (1 + 4 + 5 + 1)
    for command in ours:
        known[command[0]].make_context(command[0], list(command[1:]))
        read, data = read_words(Path(command[1])), {"data": "synthetic"}
        if command[0] == "audit":
            plan = build(AuditPlan, {**read, **data, "model": {"source": "cnn"}}, where=command[1])
            assert bool(plan.clips()) != bool(plan.analyses)
            assert len(plan.clips()) in (0, 14 + 14)
        else:
            build(HardenPlan, {**read, **data}, where=command[1])


def test_the_script_measures_after_it_has_trained(commands):
    told = [" ".join(command) for command in commands]
    assert len([t for t in told if t.startswith("-m reproduce.xu.inside")]) == 4
    assert told[-1].startswith("-m reproduce.xu.benchmark")
    trained = [t.partition("--out ")[2].split()[0] for t in told if t.startswith("harden")]
    audited = [t.partition("--model ")[2].split()[0] for t in told if t.startswith("audit")]
    assert set(audited) == set(trained)
