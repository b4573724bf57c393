"""Labels and decisions become yes-or-no questions, one for each class or finding."""

import numpy as np

from robustdx.metrics import answers


def test_a_class_index_is_a_yes_to_its_class_and_a_no_to_the_others():
    a = answers("multiclass", "abc", [[0], [2]], [[0], [1]])
    assert a.truth.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert a.decided.tolist() == [[True, False, False], [False, True, False]]
    assert a.annotated.all()


def test_a_finding_that_was_not_annotated_is_neither():
    a = answers("multilabel", "ab", [[1, np.nan]], [[0, 1]])
    assert a.annotated.tolist() == [[True, False]]


def test_macro_averages_are_over_the_positive_class_alone_for_binary():
    assert list(answers("binary", ("no", "yes"), [0], [0]).asked) == [1]
    assert list(answers("multilabel", "abc", [[0, 0, 0]], [[0, 0, 0]]).asked) == [0, 1, 2]
