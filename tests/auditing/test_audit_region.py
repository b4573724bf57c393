"""An audit whose adversary may change only the lesion, or only what is around it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import robustdx
from robustdx.data.in_memory import from_torch
from robustdx.errors import PlanError, RunError
from robustdx.records import read_table
from robustdx.report.page import write_report

SIZE, N, EPS = 6, 12, 8 / 255
MASK = np.zeros((SIZE, SIZE))
MASK[:2] = 1
SETTINGS = {"eps": ["8/255"], "bootstrap": 100, "precision": "float32", "escalation": False, "pictures": 2, "size": SIZE}
ATTACKS = [{"name": name} for name in ("pgd", "apgd", "fab")] + [{"name": "square", "queries": 200}]


class Sum(nn.Module):
    """The sum of all pixels decides: an adversary gains eps for each value that it may change."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most, self.scale = most, nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.scale * (x.sum((1, 2, 3)) - self.most)[:, None]


def audited(tmp_path, region, masks=True, **plan):
    """Images that lie ever further below the boundary, and the records of each attack on them."""
    x = torch.full((N, 3, SIZE, SIZE), 100, dtype=torch.uint8)
    for i in range(N):
        x[i, :, 2:4, 3:5] -= 2 + 6 * i  # 12 values, neither all inside nor all outside: image i lacks 12 * (2 + 6 i) steps of the grid
    data = from_torch([(image, 0) for image in x], ("healthy", "ill"), "binary", masks=[MASK] * N if masks else None)
    network = Sum(3 * SIZE * SIZE * 100 / 255)
    robustdx.audit(network, data, out=tmp_path / "run", region=region, **{**SETTINGS, "attacks": ATTACKS, **plan})
    return {p.parent.name: read_table(p).to_pylist() for p in (tmp_path / "run" / "cells").glob("*/records.parquet")}


@pytest.mark.parametrize("region", ["inside", "outside"])
def test_no_attack_leaves_its_region_and_all_find_what_it_allows(tmp_path, region):
    """Each of its values gives at most 8 steps of the grid."""
    records = audited(tmp_path, region)
    values = 3 * int(MASK.sum() if region == "inside" else MASK.size - MASK.sum())
    fall = [12 * (2 + 6 * i) < 8 * values for i in range(N)]
    assert 0 < sum(fall) < N
    for name, rows in records.items():
        if not name.startswith("clean"):
            assert all(row["saved_distance"] <= EPS * (1 + 1e-4) for row in rows), "infinite, had a pixel elsewhere been touched"
            fell = [row["saved_decision"] == [1] for row in rows]
            assert fell == fall if not name.startswith("square") else set(zip(fell, fall, strict=True)) <= {(1, 1), (0, 1), (0, 0)}, name
    report = json.loads((tmp_path / "run" / "run.json").read_text())
    assert report["plan"]["region"] == region
    assert f"only {region} the region that is marked in each image" in (tmp_path / "run" / "report.html").read_text()


def test_without_masks_a_region_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(PlanError, match=r"region inside needs the mask of every image from in memory, and it has none"):
        audited(tmp_path, "inside", masks=False)
    assert not (tmp_path / "run").exists()
    with pytest.raises(PlanError, match="region: expected one of inside, outside"):
        audited(tmp_path, "lesion")


def test_the_report_can_be_made_again(tmp_path):
    audited(tmp_path, "inside", attacks=[{"name": "pgd", "steps": 5}])
    write_report(tmp_path / "run")


def test_other_masks_are_another_run(tmp_path):
    items, network = [(torch.full((3, SIZE, SIZE), 100, dtype=torch.uint8), 0)] * 4, Sum(3 * SIZE * SIZE * 101 / 255)
    plan = {"out": tmp_path / "run", "region": "inside", "attacks": ["fgsm"], **SETTINGS}
    robustdx.audit(network, items, masks=[MASK] * 4, classes=("healthy", "ill"), task="binary", **plan)
    with pytest.raises(RunError, match="another plan"):
        robustdx.audit(network, items, masks=[MASK.T] * 4, classes=("healthy", "ill"), task="binary", **plan)
