"""One run and its page, made once for the tests of this room."""

import pytest
from fabricated import make_run

from robustdx.report.page import write_report


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """An undefended network on skin images, the search ended early, as `robustdx audit` does it by default."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "skin", early_stop=True)
    write_report(folder)
    return folder
