"""Model card and data card: Hugging Face reads them, and they say what was measured and no more."""

import json

import pytest
from fabricated import make_run
from huggingface_hub import DatasetCard, ModelCard
from trainings import CLASSES, make_training

from robustdx.errors import RunError
from robustdx.report.before import BEFORE
from robustdx.report.hardening.cards import data_card, markdown, model_card, write_cards
from robustdx.report.hardening.hardened import AUDIT, read


@pytest.mark.parametrize("kind", list(CLASSES))
@pytest.mark.parametrize("judged", [True, False])
def test_hugging_face_reads_both_cards(kind, judged, tmp_path):
    h = read(make_training(tmp_path / "run", kind, judged=judged))
    card = ModelCard(model_card(h))
    assert card.data.library_name == "robustdx"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.license is None
    assert {"timm", "madry", "standard"} <= set(card.data.tags)
    assert next(r.metric_value for r in card.data.eval_results) == pytest.approx(0.66)
    assert len(card.data.eval_results) == (4 if judged else 2)
    assert DatasetCard(data_card(h)).data.pretty_name == "scans"


def test_numbers_are_said_to_be_of_validation_and_test_to_be_unread(tmp_path):
    text = model_card(read(make_training(tmp_path / "run")))
    assert "The test images were never opened" in text
    assert "| balanced accuracy | 66.0\N{NO-BREAK SPACE}% | 30.0\N{NO-BREAK SPACE}% |" in text
    assert "epoch 3 of 3" in text
    assert "robustdx audit --model run" in text
    assert "9f2c" * 16 in text


def test_the_data_are_counted_by_class_and_split(tmp_path):
    text = data_card(read(make_training(tmp_path / "run")))
    assert "| melanoma | 40 | 40 | 40 |" in text
    assert "| patients | 50 | 50 | 50 |" in text
    assert "| Licence | not known to robustdx: see its source |" in text
    assert "test: 70 images listed and counted above, but never opened." in text


def test_labels_that_nobody_gave_are_told(tmp_path):
    assert "8 labels that were not annotated" in data_card(read(make_training(tmp_path / "run", "multilabel")))


def test_what_monitors_did_and_what_a_recipe_chose_stands_in_the_card(tmp_path):
    folder = make_training(tmp_path / "run", events=[{"epoch": 2, "monitor": "robust overfitting", "seen": "fell", "done": "rate halved"}])
    choice = {
        "what": "objective",
        "chosen": "madry",
        "why": "it held most",
        "evidence": {"madry": {"robust": 0.5, "p": 0.01}, "images": 40},
    }
    (folder / "recipe.json").write_text(json.dumps({"choices": [choice]}))
    text = model_card(read(folder))
    assert "- Epoch 2, robust overfitting: fell; rate halved." in text
    assert "- objective: madry, because it held most (madry: robust: 0.5; p: 0.01; images: 40)" in text


def test_a_network_that_only_guesses_is_called_so(tmp_path):
    folder = make_training(tmp_path / "run")
    curve = json.loads((folder / "curve.json").read_text())
    curve["epochs"][2]["balanced_accuracy"] = 0.5
    (folder / "curve.json").write_text(json.dumps(curve))
    assert "hardly better than guessing" in model_card(read(folder))


def test_plain_training_promises_nothing(tmp_path):
    folder = make_training(tmp_path / "run", judged=False)
    text = (folder / "curve.json").read_text().replace('"madry"', '"standard"')
    (folder / "curve.json").write_text(text)
    assert "no adversary took part in the training" in model_card(read(folder))


def test_the_quick_audit_is_told_with_before_and_after(tmp_path):
    folder = make_training(tmp_path / "run")
    audit = make_run(
        folder / AUDIT, images=60, budgets={"linf": (2 / 255,)}, holds=3 / 255, kind="binary", classes=("a", "b"), shares=(0.5, 0.5)
    )
    assert "| L∞ 2/255 |" in model_card(read(folder))
    make_run(audit / BEFORE, images=60, budgets={"linf": (2 / 255,)}, kind="binary", classes=("a", "b"), shares=(0.5, 0.5))
    run = json.loads((audit / "run.json").read_text()) | {"before": "the network that training started from, runs/plain"}
    (audit / "run.json").write_text(json.dumps(run))
    text = model_card(read(folder))
    assert "Before: the network that training started from, runs/plain." in text
    assert "|  | before | after | difference | p |" in text
    assert "| balanced accuracy, L∞ 2/255 |" in text


def test_names_set_no_table_and_no_link(tmp_path):
    strange = ("be|nign", "<b>mel</b>[x](y)")
    folder = make_training(tmp_path / "run", classes=strange, name="a: 'scan'\n- x")
    text = data_card(read(folder))
    assert r"| be\|nign | 30 | 30 | 30 |" in text
    assert DatasetCard(text).data.pretty_name == "a: 'scan'\n- x"
    assert ModelCard(model_card(read(folder))).data.datasets == ["a: 'scan'\n- x"]
    assert markdown("<b>[x](y)") == r"\<b\>\[x\](y)"


def test_all_is_written_again_from_the_folder_alone(tmp_path):
    folder = make_training(tmp_path / "run")
    card = write_cards(folder)
    names = ("curve.png", "curve.csv", "data_card.md", "README.md")
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    assert write_cards(folder) == card
    assert {name: (folder / name).read_bytes() for name in names} == before


def test_a_training_that_is_not_finished_is_refused(tmp_path):
    folder = make_training(tmp_path / "run")
    (folder / "manifest.json").unlink()
    with pytest.raises(RunError, match="run `robustdx harden` again"):
        write_cards(folder)
