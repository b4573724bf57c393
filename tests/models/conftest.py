"""A tiny network that is made anew by every test that wants one."""

from collections.abc import Callable

import pytest
from tiny import Tiny, tiny


@pytest.fixture
def make_tiny() -> Callable[..., Tiny]:
    return tiny
