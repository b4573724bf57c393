"""Fixtures that every room's tests may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real labelled images; a test that asks for it is skipped, with a reason, where it is not."""
    folder = Path(os.environ.get("ROBUSTDX_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the real images: set ROBUSTDX_DATA to their folder (looked in {folder.name})")
    return folder
