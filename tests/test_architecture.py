"""A room may import only rooms on lower floors; siblings on floor 3 never import each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "robustdx"

FLOORS = {
    0: ("errors", "tensors", "draws", "catalogue", "records", "store"),
    1: ("tasks", "threats"),
    2: ("models", "data"),
    3: ("attacks", "perturbations", "purifiers", "detectors", "metrics", "analyses"),
    4: ("training",),
    5: ("auditing",),
    6: ("report", "selftest"),
    7: ("api", "cli", "__init__", "demo", "hardening"),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
WITHOUT_TORCH = ("records", "store", "metrics", "report", "errors", "catalogue")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


FILES = sorted(SOURCE.rglob("*.py"))


def test_every_file_lies_in_a_known_room():
    assert {room_of(f) for f in FILES} <= set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down(path):
    own = room_of(path)
    for module in imports(path):
        parts = module.split(".")
        if parts[0] != "robustdx" or len(parts) == 1:
            continue
        other = parts[1]
        if other == own:
            continue
        below = FLOOR[other] < FLOOR[own]
        neighbours_below_three = FLOOR[other] == FLOOR[own] < 2
        roof = FLOOR[own] == 7
        assert below or neighbours_below_three or roof, f"{own} (floor {FLOOR[own]}) imports {other} (floor {FLOOR[other]})"


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_what_reads_records_needs_no_torch(room):
    code = f"import sys, robustdx.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_crowds():
    """Files stay within a page or two, and no room is named after nothing."""
    long = {str(f.relative_to(SOURCE)): n for f in FILES if (n := f.read_text().count("\n")) > 300}
    assert not long
    assert not {f.stem for f in FILES} & {"utils", "helpers", "common", "base", "core"}


def test_no_two_test_files_share_a_name():
    """pytest imports them by their name alone: of two that are called the same, one would not be run."""
    names = [f.name for f in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
