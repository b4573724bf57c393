"""What the verdict on a batch costs, and what it says of images that are saved as they were found."""

import pytest
import torch
from torch import nn

from robustdx.attacks import PGD
from robustdx.auditing.cell import Batch, attacked_rows, clean_rows
from robustdx.models import DiagnosticModel, Subject, still
from robustdx.tasks import MultiClass
from robustdx.threats import Linf

B = 10
SETTINGS = {"steps": 8, "random_start": False}


@pytest.fixture
def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 3))
    with still(model := DiagnosticModel(network, MultiClass(tuple("abc")))):
        yield model


@pytest.fixture
def batch(model):
    x = torch.randint(0, 256, (B, 3, 12, 12), generator=torch.Generator().manual_seed(0)) / 255
    return Batch(x, model(x).argmax(1), tuple(map(str, range(B))), (None,) * B)


def attacked(model, batch, early_stop, eps):
    """The rows, and how many images the model saw beyond those that the attack counts for itself."""
    seen, clean = [], clean_rows(model, batch, seed=0)
    hook = model.network.register_forward_hook(lambda network, args, outputs: seen.append(len(args[0])))
    rows, saved = attacked_rows(Subject(model), batch, clean, PGD(early_stop=early_stop, **SETTINGS), Linf(eps), "pgd", seed=0)
    hook.remove()
    return rows, saved, sum(seen) - sum(row["forwards"] for row in rows)


def test_an_image_that_is_saved_as_it_was_found_is_judged_once(model, batch):
    rows, _, judged = attacked(model, batch, early_stop=True, eps=64 / 255)
    assert all(row["saved_decision"] != [int(y)] for row, y in zip(rows, batch.y, strict=True))
    assert judged == B
    assert all(row["searched_scores"] == row["saved_scores"] for row in rows)


def test_other_images_are_judged_in_both_forms(model, batch):
    rows, saved, judged = attacked(model, batch, early_stop=False, eps=2.5 / 255)
    assert judged == 2 * B
    scores = torch.tensor([row["saved_scores"] for row in rows])
    assert torch.allclose(scores, model.task.probabilities(model(saved)), atol=1e-6)
    assert any(row["searched_scores"] != row["saved_scores"] for row in rows)
