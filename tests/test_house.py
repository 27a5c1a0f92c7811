"""Imports point down the floors of docs/architecture.md, and none takes what another package keeps to itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "src" / "kizu"
_BLOCK = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
FLOORS = [[line.split()[0] for line in floor.splitlines()] for floor in reversed(_BLOCK.strip().split("\n\n"))]
FLOOR = {name: height for height, floor in enumerate(FLOORS) for name in floor}


def imported(code):
    """The parts of each name in kizu that ``code`` imports, wherever in it: ``("maps", "anomaly_map")``."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (tuple(name.split(".")[1:]) for name in names if name.split(".")[0] == "kizu")


def wrong(home, code):
    """What is wrong with the imports of ``code`` in ``home``, a package or module of the house."""
    for parts in imported(code):
        name, inside = (parts[0], parts[1:]) if parts and parts[0] in FLOOR else ("__init__", ())
        if name == home:
            continue
        if FLOOR[name] >= FLOOR[home]:
            yield f"{home} stands on {name}, which is not below it"
        if any(part.startswith("_") and not part.startswith("__") for part in inside):
            yield f"{home} takes {'.'.join(parts)}, which {name} keeps to itself"


def test_everything_has_its_floor_once():
    names = {path.stem for path in HOUSE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(name for floor in FLOORS for name in floor) == sorted(names)


@pytest.mark.parametrize("home", FLOOR)
def test_imports_point_down(home):
    files = [*HOUSE.glob(f"{home}.py"), *(HOUSE / home).rglob("*.py")]
    assert files
    assert [problem for file in files for problem in wrong(home, file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("home", "code", "problem"),
    [
        ("maps", "from kizu import errors, metrics", "maps stands on metrics, which is not below it"),
        ("metrics", "import kizu.calibration.tail", "metrics stands on calibration, which is not below it"),
        ("errors", "def late():\n    from kizu import Config", "errors stands on __init__, which is not below it"),
        (
            "cli",
            "from kizu.workflows._fit import f",
            "cli takes workflows._fit.f, which workflows keeps to itself",
        ),
        ("cli", "from kizu.images import _quiet", "cli takes images._quiet, which images keeps to itself"),
    ],
)
def test_an_import_that_points_elsewhere_is_found(home, code, problem):
    assert list(wrong(home, code)) == [problem]


def test_own_rooms_and_the_floors_below_are_free():
    assert not list(wrong("cli", "import numpy\nfrom kizu import _version, maps\nfrom kizu.cli._show import line"))
