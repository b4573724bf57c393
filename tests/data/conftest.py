"""Small images on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Write a 6x8 image of one grey value under the test's folder and say where."""

    def write(name: str, shade: int = 100) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 8), shade, np.uint8)).save(file)
        return file

    return write
