"""`clinical`: one word for attacks, perturbations, sequences and the worst case; what the plan says itself wins."""

from __future__ import annotations

import pytest
from dark_or_bright import plan

from robustdx.auditing.natural import clips, modality, words
from robustdx.auditing.presets import EVERYDAY, LEVELS, PRESETS
from robustdx.perturbations import PERTURBATIONS, SEQUENCES
from robustdx.perturbations.artefacts import ARTEFACTS
from robustdx.perturbations.corruptions import CORRUPTIONS


@pytest.fixture(autouse=True)
def real(methods, monkeypatch):
    """The real catalogues again."""
    monkeypatch.setattr(words, "PERTURBATIONS", PERTURBATIONS)
    monkeypatch.setattr(words, "GROUPS", {"corruptions": CORRUPTIONS, "artefacts": ARTEFACTS})
    monkeypatch.setattr(clips, "SEQUENCES", SEQUENCES)


def test_it_holds_everything_that_a_clinic_meets():
    found = plan(attacks=None, preset="clinical", data="ham10000:PATH")
    shown = {s.label: s for s in found.shown()}
    believable = {name for name, cls in ARTEFACTS.items() if not cls.modalities or "dermoscopy" in cls.modalities}
    assert set(shown) == {*EVERYDAY, *believable}
    assert {s.severities for s in shown.values()} == {tuple(LEVELS)}
    assert [clip.label for clip in found.clips()] == list(SEQUENCES.own)
    assert found.handling().images == 60
    assert [t.eps * 255 for t in found.threats()] == pytest.approx([1, 2, 4])
    assert [label for label, _ in found.methods()] == ["fgsm", "pgd"]


def test_only_what_may_happen_to_any_image_where_nobody_says_what_they_are():
    found = plan(attacks=None, preset="clinical", data="folder:PATH")
    assert all(not PERTURBATIONS.find(s.settings["name"]).modalities for s in found.shown())
    assert found.made_by is None


def test_what_the_plan_says_wins():
    found = plan(attacks=None, preset="clinical", perturbations=["contrast"], sequences=["rotate"], eps=["8/255"])
    assert [s.label for s in found.shown()] == ["contrast"]
    assert [clip.label for clip in found.clips()] == ["rotate"]
    assert len(found.threats()) == 1
    assert plan(attacks=None, preset="quick").spelt() == {}


def test_it_is_spelt_out_in_what_a_run_belongs_to():
    spelt = plan(attacks=None, preset="clinical", data="ham10000:PATH").spelt()
    assert len(spelt["sequences"]) == 14
    assert spelt["worst_case"]["box"]["rotation"] == 15.0
    assert {"perturbations", "sequences", "worst_case"} <= set(spelt)
    assert PRESETS["clinical"].told().startswith("What a clinic meets")


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("ham10000:PATH", "dermoscopy"),
        ("isic2017:PATH,part=Test", "dermoscopy"),
        ("medmnist:retinamnist_64.npz", "fundus"),
        ("folder:scans", None),
        ("synthetic", None),
    ],
)
def test_modality_of_a_source(source, known):
    assert modality.modality_of(source) == known
    assert plan(data=source, modality="mr").made_by == "mr"
