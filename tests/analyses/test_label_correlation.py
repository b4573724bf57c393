"""Co-occurrence by hand: five images, three findings."""

import numpy as np
import pytest
import torch
from torch import nn

from robustdx.analyses import LabelCorrelation, Views
from robustdx.analyses.label_correlation import co_occurrence
from robustdx.draws import Draws
from robustdx.errors import PlanError, UnsupportedTask
from robustdx.models import DiagnosticModel
from robustdx.tasks import MultiClass, MultiLabel

FINDINGS = ("atelectasis", "effusion", "mass")
LABELS = [[1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0]]
"""Both of the first two on images 1 and 4; atelectasis alone on image 2; effusion and mass nowhere alone; the last without any."""
USUAL = [[3, 2, 1], [2, 3, 2], [1, 2, 2]]
RELEASED = [[1, 2, 1], [2, 0, 2], [1, 2, 0]]


class Painted(nn.Module):
    """The answer is painted into the first pixels of the red channel: above one half, the finding is there."""

    def forward(self, x):
        return 10 * (x[:, 0, 0, :3] - 0.5)


def painted(labels):
    x = torch.zeros(len(labels), 3, 4, 4)
    x[:, 0, 0, :3] = torch.tensor(labels, dtype=torch.float32)
    return x


def finding(truth, clean, attacked, **settings):
    model = DiagnosticModel(Painted(), MultiLabel(FINDINGS)).eval()
    views = Views(
        painted(clean), {n: painted(v) for n, v in attacked.items()}, torch.tensor(truth), Draws(0, tuple(map(str, range(len(truth)))))
    )
    analysis = LabelCorrelation(**settings)
    return analysis.conclude(analysis(model, views))


def brute_force(labels, alone):
    """Image by image, as the sentence in the paper says it."""
    k = len(labels[0])
    found = np.zeros((k, k), int)
    for image in labels:
        for i in range(k):
            for j in range(k):
                if i != j or not alone:
                    found[i, j] += image[i] and image[j]
                else:
                    found[i, i] += image[i] and sum(image) == 1
    return found


def test_by_hand_with_both_diagonals():
    assert co_occurrence(LABELS).tolist() == USUAL
    assert co_occurrence(LABELS, alone=True).tolist() == RELEASED


@pytest.mark.parametrize("alone", [True, False])
def test_against_a_count_image_by_image(alone):
    labels = np.random.default_rng(0).integers(0, 2, (200, 14))
    np.testing.assert_array_equal(co_occurrence(labels, alone=alone), brute_force(labels.tolist(), alone))


def test_matrices_of_truth_clean_and_attacked_and_their_distances():
    """The clean network is right; under attack it finds everything on every image."""
    found = finding(np.array(LABELS, float), LABELS, {"all": [[1, 1, 1]] * 5})
    for view in ("truth", "clean"):
        assert found.pictures[view]["usual"].tolist() == USUAL
        assert found.pictures[view]["released"].tolist() == RELEASED
    assert found.pictures["all"]["usual"].tolist() == [[5] * 3] * 3
    assert found.pictures["all"]["released"].tolist() == [[0, 5, 5], [5, 0, 5], [5, 5, 0]]
    assert found.value("clean", "truth", "frobenius:usual") == 0
    assert found.value("clean", "truth", "correlation:released") == pytest.approx(1)
    apart = 4 + 9 + 16 + 9 + 4 + 9 + 16 + 9 + 9
    size = 9 + 4 + 1 + 4 + 9 + 4 + 1 + 4 + 4
    assert found.value("all", "clean", "frobenius:usual") == pytest.approx(apart**0.5)
    assert found.value("all", "truth", "frobenius_relative:usual") == pytest.approx((apart / size) ** 0.5)
    pairs = [[1, 2, 1, 0, 2, 0], [0, 5, 5, 0, 5, 0]]
    assert found.value("all", "truth", "correlation:released") == pytest.approx(np.corrcoef(pairs)[0, 1])
    (flat,) = [n for n in found.numbers if (n.view, n.where, n.measure) == ("all", "truth", "correlation:usual")]
    assert flat.value is None
    assert flat.why == "one of the two matrices has the same number everywhere"
    assert {(n.view, n.where) for n in found.numbers} == {("clean", "truth"), ("all", "truth"), ("all", "clean")}


def test_a_finding_without_a_label_counts_nowhere():
    truth = np.array(LABELS, float)
    truth[3, 2] = np.nan
    found = finding(truth, LABELS, {"same": LABELS})
    assert found.pictures["truth"]["usual"][2].tolist() == [0, 1, 1]
    assert found.pictures["clean"]["usual"][2].tolist() == [0, 1, 1]
    truth[3, 0] = np.nan
    assert finding(truth, LABELS, {"same": LABELS}).pictures["clean"]["released"][1, 1] == 1, "alone among what is annotated"


def test_the_first_findings_only():
    found = finding(np.array(LABELS, float), LABELS, {"same": LABELS}, first=2)
    assert found.pictures["truth"]["released"].tolist() == [[1, 2], [2, 0]], "alone is still among all findings"


def test_what_has_no_meaning_is_refused_in_words():
    with pytest.raises(PlanError, match="first must be 0"):
        LabelCorrelation(first=1)
    model = DiagnosticModel(Painted(), MultiClass(FINDINGS)).eval()
    views = Views(painted(LABELS), {"pgd": painted(LABELS)}, torch.zeros(5, dtype=torch.long), Draws(0, tuple("abcde")))
    with pytest.raises(UnsupportedTask, match="label-correlation has a meaning for MultiLabel, this model is a MultiClass"):
        LabelCorrelation()(model, views)
