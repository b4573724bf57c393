"""A paper's claim holds, does not hold, or cannot be told at this n."""

import numpy as np
import pytest

from reproduce.verdicts import Question, answered, page

RNG = np.random.default_rng(0)
PATIENTS = [f"patient {i // 2}" for i in range(200)]
NOISE = RNG.normal(0, 0.1, 200)


def question(first, second, **more) -> Question:
    return Question("the first is larger", list(np.broadcast_to(first, 200)), list(np.broadcast_to(second, 200)), PATIENTS, **more)


def words(*family: Question) -> list[str]:
    return [a.words for a in answered(family)]


def test_a_clear_difference_answers_either_way():
    assert words(question(NOISE + 1, 0), question(NOISE - 1, 0)) == ["holds", "does not hold"]


def test_no_difference_cannot_be_told_apart():
    assert words(question(NOISE, 0)) == ["cannot be told at this n"]


def test_at_least_as_large_holds_where_both_are_the_same():
    assert words(question(1, 1, at_least=True), question(NOISE - 1, 0, at_least=True)) == ["holds", "does not hold"]
    assert words(question(1, 1)) == ["cannot be told at this n"]


def test_images_of_one_patient_are_one_voice():
    first = np.repeat(RNG.normal(0.05, 0.5, 4), 50)
    alone = Question("larger", first.tolist(), [0.0] * 200, [str(i) for i in range(200)])
    grouped = Question("larger", first.tolist(), [0.0] * 200, [str(i // 50) for i in range(200)])
    a, b = answered([alone])[0], answered([grouped])[0]
    assert a.p < 0.001 < 0.1 < b.p
    assert b.high - b.low > 3 * (a.high - a.low)


def test_the_interval_covers_the_difference_and_shrinks_with_n():
    wide, narrow = (answered([Question("", (NOISE[:n] + 0.2).tolist(), [0.0] * n, PATIENTS[:n])])[0] for n in (20, 200))
    assert wide.low < 0.2 < wide.high
    assert narrow.low < 0.2 < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_a_family_is_corrected_together():
    small = Question("small", (NOISE[:30] + 0.06).tolist(), [0.0] * 30, PATIENTS[:30])
    alone, many = answered([small])[0], answered([small] * 20)[0]
    assert many.p == pytest.approx(min(1, 20 * alone.p))


def test_a_page_shows_each_claim_with_its_answer_and_counts_them():
    text = "\n".join(page("A family", answered([question(NOISE + 1, 0), question(NOISE, 0)])))
    assert "**holds**" in text
    assert "Of 2: 1 holds, 0 does not hold, 1 cannot be told at this n." in text
    assert "| 200 | 100 |" in text
