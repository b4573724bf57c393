"""What stands before and after the colon."""

import dataclasses
import subprocess
import sys

import pytest

from robustdx.catalogue import document
from robustdx.data import SOURCES, load_dataset
from robustdx.errors import PlanError


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("foldr:x", "there is no data source named 'foldr': did you mean folder"),
        ("folder", "expected a path, got 'folder': write folder:PATH"),
        ("synthetic:x", "expected no path, got 'x': write 'synthetic' alone"),
        ("folder:x,patients=y", "there is no key named 'patients': did you mean patient"),
        ("synthetic,image=30", "there is no key named 'image': did you mean images"),
    ],
)
def test_words_that_mean_nothing_are_refused_with_the_nearest(source, words) -> None:
    with pytest.raises(PlanError, match=words):
        load_dataset(source)


@pytest.mark.parametrize("name", SOURCES.methods)
def test_every_source_and_option_is_documented(name) -> None:
    cls = SOURCES.find(name)
    assert cls.__doc__
    assert all(document(cls)[field.name] for field in dataclasses.fields(cls))


def test_loading_data_imports_no_torch() -> None:
    code = "import sys, robustdx.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
