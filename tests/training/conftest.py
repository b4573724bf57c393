"""The small training, prepared and finished."""

from pathlib import Path

import pytest
from small_training import small, trained

from robustdx.training.loaded import Training
from robustdx.training.prepare import prepare


@pytest.fixture(scope="session")
def training() -> Training:
    """The small plan, prepared."""
    return prepare(small())


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder of the small plan's run, never interrupted."""
    return trained(small(), tmp_path_factory.mktemp("runs") / "whole")
