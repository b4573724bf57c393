"""Flip probability against counts made one by one, and what it must say of models whose answer is known."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustdx.errors import DataError
from robustdx.metrics import Resamples, answers, flips
from robustdx.metrics.flips import (
    Seen,
    flip_metrics,
    flip_probability,
    initially_right,
    jitter,
    mean_flip_probability,
    released,
    says_one_thing,
)
from robustdx.metrics.paired import permutation_test


def brute_force(decided, compared, stride=1):
    """Flip probability as the definition has it: image by image, frame by frame, finding by finding."""
    images = []
    for frames in decided:
        flipped = asked = 0
        for j in range(1, len(frames)):
            i = 0 if compared == "first" else j - stride
            if i < 0:
                continue
            for finding in range(len(frames[0])):
                flipped += frames[j][finding] != frames[i][finding]
                asked += 1
        images.append(flipped / asked)
    return images


def brute_force_released(decided):
    """The figure of the released code: against frame 1, over labels and images, not over frames."""
    total = 0
    for frames in decided:
        for frame in frames[1:]:
            total += sum(a != b for a, b in zip(frames[0], frame, strict=True))
    return total / len(decided) / len(decided[0][0])


def drawn(seed, findings, frames=7, images=23):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2 if findings > 1 else 4, (images, frames, findings))


def whole_set(n, resamples=50):
    """Two images of each patient."""
    return Resamples.draw(np.arange(n) // 2, resamples, 0)


def single(labels, decisions):
    return answers("multiclass", "abcd", labels, decisions)


@given(st.integers(0, 10**6), st.sampled_from([1, 14]), st.sampled_from(["previous", "first"]), st.integers(1, 5))
def test_it_is_the_count_of_the_definition(seed, findings, compared, stride):
    decided = drawn(seed, findings)
    wanted = brute_force(decided.tolist(), compared, 1 if compared == "first" else stride)
    np.testing.assert_allclose(flip_probability(decided, compared, stride), wanted, atol=1e-12)
    assert 0 < np.mean(wanted) < 1


def test_an_image_by_hand():
    decided = [[[0], [0], [1], [2], [0]]]
    assert flip_probability(decided, "previous").tolist() == [3 / 4]
    assert flip_probability(decided, "first").tolist() == [2 / 4]
    assert flip_probability(decided, "previous", stride=2).tolist() == [3 / 3]
    assert flips.flips([[[0, 1], [1, 1], [0, 1]]], "previous").tolist() == [[1.0, 0.0]]


@given(st.integers(0, 10**6), st.integers(2, 12))
def test_released_is_the_normalised_value_times_the_frames_compared(seed, frames):
    decided = drawn(seed, 14, frames)
    np.testing.assert_allclose(released(decided), (frames - 1) * flip_probability(decided, "first"))
    assert released(decided).mean() == pytest.approx(brute_force_released(decided.tolist()))


@pytest.mark.parametrize("compared", ["previous", "first"])
@pytest.mark.parametrize("findings", [1, 14])
def test_frames_that_are_alike_do_not_flip(compared, findings):
    decided = np.repeat(drawn(0, findings)[:, :1], 5, axis=1)
    assert not flips.flips(decided, compared).any()
    assert not released(decided).any()
    assert not says_one_thing(decided), "images differ, though frames do not"


def test_a_constant_model_does_not_flip_and_is_known_for_it():
    decided = np.full((10, 5, 1), 2)
    found = flip_metrics(Seen(decided, "previous"), whole_set(10), clean=single(np.arange(10) % 4, [2] * 10))
    assert found["flip_probability"].value == 0
    assert found["flip_probability"].limits()[1] > 0.4, "five patients do not prove that nothing flips"
    assert found["frame_accuracy"].value == 0.2, "what makes its steadiness worthless stands beside it"
    assert says_one_thing(decided)
    decided[3, 2] = 0
    assert not says_one_thing(decided)


def test_over_the_images_that_were_right_at_first():
    decided = np.array([[[0], [1], [0]], [[1], [1], [1]], [[2], [2], [3]]])
    clean = single([0, 0, 2], [0, 1, 2])  # the second was wrong
    found = flip_metrics(Seen(decided, "previous"), Resamples.draw(np.arange(3), 20, 0), clean=clean)
    assert found["flip_probability"].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["flip_probability_right"].value == pytest.approx((1 + 0.5) / 2)
    assert found["frame_accuracy"].value == pytest.approx(4 / 9)
    wrong = flip_metrics(Seen(decided, "previous"), Resamples.draw(np.arange(3), 20, 0), clean=single([1, 0, 0], [0, 1, 2]))
    assert not wrong["flip_probability_right"].defined
    assert wrong["flip_probability_right"].undefined == "nothing was right before anything changed"


def test_of_findings_each_counts_where_it_was_right_and_annotated():
    decided = np.array([[[1, 0, 1], [0, 0, 1]], [[1, 1, 0], [1, 0, 0]]])
    clean = answers("multilabel", ("edema", "mass", "nodule"), [[1, 1, np.nan], [1, 1, 0]], decided[:, 0])
    found = flip_metrics(Seen(decided, "previous"), Resamples.draw([0, 1], 20, 0), clean=clean)
    assert initially_right(clean).tolist() == [[True, False, False], [True, True, True]]
    assert found["flip_probability_right"].value == pytest.approx(2 / 4)
    assert found["flip_probability"].value == pytest.approx(2 / 6)
    assert found["flip_released"].value == pytest.approx(2 / 6)
    assert [found[f"flip_probability:{name}"].value for name in clean.classes] == [0.5, 0.5, 0]
    assert found["frame_accuracy"].value == pytest.approx((1 + 0 + 3 + 2) / 10)


def test_strides_are_more_difficult_and_noise_has_none():
    drifting = np.arange(12).reshape(1, 12, 1).repeat(4, 0) // 4
    groups = Resamples.draw(np.arange(4), 20, 0)
    found = flip_metrics(Seen(drifting, "previous"), groups, strides=(1, 2, 3, 20))
    assert [found[n].value for n in ("flip_probability", "flip_probability@2", "flip_probability@3")] == pytest.approx(
        [2 / 11, 4 / 10, 6 / 9]
    )
    assert "flip_probability@20" not in found
    assert "flip_probability@2" not in flip_metrics(Seen(drifting, "first"), groups, strides=(1, 2))


def test_jitter_follows_the_class_of_the_first_frame():
    decided = np.array([[[1], [0], [1]]])
    scores = np.array([[[0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]])
    assert jitter(decided, scores, "previous") == pytest.approx([(0.5 + 0.3) / 2])
    assert jitter(decided, scores, "first") == pytest.approx([(0.5 + 0.2) / 2])
    findings = np.array([[[1, 0], [1, 1]]])
    assert jitter(findings, np.array([[[0.9, 0.4], [0.6, 0.6]]]), "previous") == pytest.approx([(0.3 + 0.2) / 2])
    found = flip_metrics(Seen(decided, "previous", scores), Resamples.draw([0], 5, 0))
    assert found["confidence_jitter"].value == pytest.approx(0.4)


def test_intervals_are_over_patients():
    decided = drawn(3, 1, images=40)
    steady = np.repeat(decided[:, :1], 7, axis=1)
    both = np.concatenate([decided, steady])
    one_each = flip_metrics(Seen(both, "previous"), Resamples.draw(np.arange(80), 500, 0))["flip_probability"]
    two_patients = flip_metrics(Seen(both, "previous"), Resamples.draw(np.arange(80) // 40, 500, 0))["flip_probability"]
    assert [one_each.value, two_patients.value] == pytest.approx([flip_probability(both, "previous").mean()] * 2)
    width = [high - low for low, high in (one_each.limits(), two_patients.limits())]
    assert width[1] > 3 * width[0], "all that flips is of one patient"


def test_the_mean_over_sequences_is_taken_on_the_same_patients():
    groups = whole_set(24, 200)
    each = {name: flip_metrics(Seen(drawn(s, 1, images=24), "previous"), groups)["flip_probability"] for s, name in enumerate("ab")}
    both = mean_flip_probability(each)
    assert both.value == pytest.approx((each["a"].value + each["b"].value) / 2)
    np.testing.assert_allclose(both.values, (each["a"].values + each["b"].values) / 2)


def test_two_models_can_be_compared_patient_by_patient():
    shaky, steady = drawn(0, 1, images=30), np.repeat(drawn(0, 1, images=30)[:, :1], 7, axis=1)
    told = permutation_test(flip_probability(shaky, "previous"), flip_probability(steady, "previous"), np.arange(30) // 2)
    assert told.difference > 0.5
    assert told.p < 0.001


@pytest.mark.parametrize(
    ("decided", "stride", "words"),
    [(np.zeros((3, 1, 1)), 1, "at least 2 frames"), (np.zeros((3, 4)), 1, "shape"), (np.zeros((3, 4, 1)), 4, "stride from 1 to 3")],
)
def test_what_has_nothing_to_compare_is_refused_in_words(decided, stride, words):
    with pytest.raises(DataError, match=words):
        flip_probability(decided, "previous", stride)


def test_what_was_seen_has_to_fit_together():
    with pytest.raises(DataError, match="at least 2 frames, got 1"):
        Seen(np.zeros((3, 1, 1), int), "previous")
    with pytest.raises(DataError, match="expected decisions"):
        Seen(np.zeros((3, 4), int), "previous")
    with pytest.raises(DataError, match="3 images and 4 frames"):
        Seen(np.zeros((3, 4, 1), int), "previous", np.zeros((3, 5, 2)))


def test_doctests():
    assert doctest.testmod(flips).failed == 0
