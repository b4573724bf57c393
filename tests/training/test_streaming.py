"""Images that do not fit in memory are read while the network computes, and training is the same."""

import time

import pytest
from small_training import content, small, trained

from robustdx.data import load_dataset
from robustdx.errors import ImageError
from robustdx.training import streaming
from robustdx.training.streaming import Ahead, _left_in_group, free_memory, in_memory_or_ahead, weight


def test_what_fits_is_held_and_what_does_not_is_streamed(monkeypatch):
    data = load_dataset("synthetic,images=20")
    needed = weight(data, (8, 8), 3)
    assert needed == 20 * 8 * 8 * 3
    for free, held in ((2 * needed, True), (2 * needed - 1, False), (None, True)):
        monkeypatch.setattr(streaming, "free_memory", lambda free=free: free)
        assert isinstance(in_memory_or_ahead(data, (8, 8), 3, lambda n: None).read, Ahead) is not held


def test_a_streamed_training_ends_with_the_same_bytes(finished, monkeypatch, tmp_path):
    monkeypatch.setattr(streaming, "free_memory", lambda: 0)
    assert content(trained(small(), tmp_path / "run")) == content(finished)


def test_what_is_expected_is_read_beforehand_once_and_forgotten_after():
    data, calls = load_dataset("synthetic,images=20"), []

    def read(example, size, channels):
        calls.append(example.id)
        return data.read(example, size, channels)

    ahead, (a, b, c) = Ahead(read, (8, 8), 3), data.examples[:3]
    ahead.expect([a, b])
    ahead.expect([b, c])
    ahead.pool.shutdown(wait=True)
    assert sorted(calls) == sorted([a.id, b.id, c.id])
    assert (ahead(b, (8, 8), 3) == data.read(b, (8, 8), 3)).all()
    assert len(calls) == 3
    ahead(a, (8, 8), 3)
    assert calls[3:] == [a.id]


def test_an_image_that_breaks_under_way_stops_with_a_sentence_that_says_how_to_go_on():
    def broken(example, size, channels):
        time.sleep(0.001)
        raise ImageError(f"{example.id}: broken: copy it again")

    data = load_dataset("synthetic,images=20")
    ahead = Ahead(broken, (8, 8), 3)
    ahead.expect(data.examples[:2])
    for example in data.examples[1:3]:
        with pytest.raises(ImageError, match=f"{example.id}: broken: copy it again; then run the same command again to go on"):
            ahead(example, (8, 8), 3)


def test_the_memory_of_a_container_is_what_its_limit_leaves(tmp_path):
    assert free_memory() is None or free_memory() > 0
    assert _left_in_group(tmp_path) is None
    for name, text in (("memory.max", "1000"), ("memory.current", "700"), ("memory.stat", "anon 300\ninactive_file 100\n")):
        (tmp_path / name).write_text(text)
    assert _left_in_group(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert _left_in_group(tmp_path) is None
