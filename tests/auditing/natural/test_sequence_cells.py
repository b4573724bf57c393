"""Sequences in an audit: every frame is recorded, flips are counted as by hand, and a model that always says the same is found out."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from dark_or_bright import Dusk, content, pixels, plan, run
from torch import nn

from robustdx import store as stores
from robustdx.errors import PlanError
from robustdx.store import Store

TRUTH = np.arange(60) // 2 % 2


def by_hand(count: int, step: float = 0.05) -> np.ndarray:
    """(60, count) decisions on every frame of Dusk, out of the pixels alone."""
    frames = [np.round((pixels() / 255 - step * i).clip(0, 1) * 255) / 255 for i in range(count)]
    return np.stack([frame.reshape(60, -1).mean(1) > 0.5 for frame in frames], 1).astype(int)


def frames_of(folder, data):
    ((_, records),) = Store(folder).natural("sequence")
    rows = {row["id"]: row for row in records.to_pylist()}
    return [rows[e.id] for e in data.examples]


def test_a_row_per_image_with_every_frame(data, tmp_path):
    run(data, tmp_path / "run", sequences=[{"name": "dusk", "count": 6}])
    rows = frames_of(tmp_path / "run", data)
    assert [[d for (d,) in row["frame_decisions"]] for row in rows] == by_hand(6).tolist()
    assert {len(row["frame_scores"]) for row in rows} == {6}
    assert all(sum(scores) == pytest.approx(1, abs=1e-6) for row in rows for scores in row["frame_scores"])
    assert {(row["forwards"], row["backwards"]) for row in rows} == {(6, 0)}


def test_flips_are_those_counted_by_hand(data, tmp_path):
    found = run(data, tmp_path / "run", sequences=[{"name": "dusk", "count": 8}])["natural"]
    (own,) = found["sequences"]
    decided = by_hand(8)
    flips = np.array([sum(row[i] != row[i - 1] for i in range(1, 8)) / 7 for row in decided])
    right = decided[:, 0] == TRUTH
    assert flips.max() > 0
    assert not right.all()
    assert own["metrics"]["flip_probability"]["value"] == pytest.approx(flips.mean())
    assert own["metrics"]["flip_probability_right"]["value"] == pytest.approx(flips[right].mean())
    assert own["metrics"]["frame_accuracy"]["value"] == pytest.approx((decided == TRUTH[:, None]).mean())
    strided = np.array([sum(row[i] != row[i - 2] for i in range(2, 8)) / 6 for row in decided])
    assert own["metrics"]["flip_probability@2"]["value"] == pytest.approx(strided.mean())
    assert own["metrics"]["flip_probability"]["low"] < flips.mean() < own["metrics"]["flip_probability"]["high"]
    assert (own["frames"], own["compared"], own["images"], own["patients"]) == (8, "previous", 60, 30)
    assert found["flags"] == []


def test_noise_is_compared_with_the_first_frame(data, tmp_path):
    found = run(data, tmp_path / "run", sequences=["snowy"])["natural"]
    decided = np.array([[d for (d,) in row["frame_decisions"]] for row in frames_of(tmp_path / "run", data)])
    by_first = (decided[:, 1:] != decided[:, :1]).mean()
    assert by_first > 0.05
    assert found["sequences"][0]["metrics"]["flip_probability"]["value"] == pytest.approx(by_first)
    assert decided.shape == (60, 11)


def test_the_mean_is_over_sequences(data, tmp_path):
    found = run(data, tmp_path / "run", sequences=["dusk", "snowy", {"name": "dusk", "label": "slow", "step": 0.01}])["natural"]
    each = [own["metrics"]["flip_probability"]["value"] for own in found["sequences"]]
    assert [own["label"] for own in found["sequences"]] == ["dusk", "snowy", "slow"]
    assert found["mean_flips"]["flip_probability"]["value"] == pytest.approx(np.mean(each))


class Always(nn.Module):
    """Says dark, whatever it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.001))

    def forward(self, x):
        return torch.stack([1 + self.weight * x.mean((1, 2, 3)), self.weight * x.mean((1, 2, 3))], 1)


def test_a_model_that_always_says_the_same_never_flips_and_is_found_out(data, tmp_path):
    found = run(data, tmp_path / "run", Always(), sequences=["dusk"])["natural"]
    assert found["sequences"][0]["metrics"]["flip_probability"]["value"] == 0
    assert found["sequences"][0]["metrics"]["frame_accuracy"]["value"] == pytest.approx(0.5)
    (flag,) = found["flags"]
    assert flag["name"] == "constant answers"
    assert "“dark” on 100.0 %" in flag["title"]


def test_batches_do_not_matter_and_a_stopped_run_goes_on(data, tmp_path, monkeypatch):
    run(data, tmp_path / "whole", sequences=["snowy", "dusk"], batch_size=13)
    count, keep = [], stores.Store.add_part

    def dying(self, *args):
        count.append(args[0].key)
        if len(count) == 9:
            raise KeyboardInterrupt
        keep(self, *args)

    monkeypatch.setattr(stores.Store, "add_part", dying)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "stopped", sequences=["snowy", "dusk"], batch_size=13)
    assert count[-1].startswith("sequence@")
    run(data, tmp_path / "stopped", sequences=["snowy", "dusk"], batch_size=13)
    assert dict(content(tmp_path / "whole")) == dict(content(tmp_path / "stopped"))
    run(data, tmp_path / "other", sequences=["snowy", "dusk"], batch_size=60)
    tables = [{c.key: r.to_pylist() for c, r in Store(tmp_path / name).natural("sequence")} for name in ("whole", "other")]
    for key, rows in tables[0].items():
        assert [r["frame_decisions"] for r in rows] == [r["frame_decisions"] for r in tables[1][key]]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["duks"], "no sequence named 'duks': did you mean dusk?"),
        ([{"name": "dusk", "count": 1}], "a sequence needs at least 2 frames, got 1"),
        ([{"name": "dusk", "count": "ten"}], "count must be a whole number of frames, got 'ten'"),
        ([{"name": "dusk", "images": 0}], "images must be a whole number of at least 1"),
        (["dusk", "dusk"], "two sequences are called dusk"),
        ([{"name": "xu2021", "step": 1}], "a preset takes label, images, count, video, got step"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words, refusal):
    with pytest.raises(PlanError, match=re.escape(refusal)):
        plan(sequences=words)


def test_settings_are_part_of_what_a_run_belongs_to():
    (table,) = plan(sequences=[{"name": "dusk", "step": 0.1, "count": 5}]).spelt()["sequences"]
    assert table == {"name": "dusk", "step": 0.1, "label": "dusk", "count": 5}
    assert Dusk().step == 0.05


def test_a_preset_is_all_of_its_sequences(monkeypatch):
    from robustdx.auditing.natural import clips
    from robustdx.perturbations import SEQUENCES

    monkeypatch.setattr(clips, "SEQUENCES", SEQUENCES)
    found = plan(sequences="centred").clips()
    assert [clip.label for clip in found] == list(SEQUENCES.own)
    assert {clip.count for clip in found} == {11}
    assert {clip.count for clip in plan(sequences=[{"name": "xu2021", "images": 50}]).clips()} == {10}
    both = plan(sequences=["centred", {"name": "xu2021", "label": "xu"}]).clips()
    assert len(both) == 28
    assert "xu rotate" in [clip.label for clip in both]
