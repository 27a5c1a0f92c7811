"""What goes into the source distribution: all that its tests need, and nothing of another licence."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CELLS = ("demo.png", "synthetic.png")
"""Pictures in docs/images that the source distribution leaves out, for their licence."""


@pytest.fixture(scope="module")
def packed() -> set[str]:
    """The files of the source distribution."""
    from hatchling.builders.sdist import SdistBuilder

    files = SdistBuilder(str(ROOT)).recurse_included_files()
    return {Path(file.relative_path).as_posix() for file in files}


def test_all_that_the_tests_need_is_there(packed: set[str]) -> None:
    assert {"conftest.py", ".ci/run", ".ci/samples", "README.md", "CHANGELOG.md", "LICENSE"} <= packed
    made = {"node_modules", "build"}
    for folder in ("src", "tests", "benchmarks", "examples", "docs"):
        files = (path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md", ".yaml", ".csv"})
        assert {path.relative_to(ROOT).as_posix() for path in files if made.isdisjoint(path.parts)} <= packed


def test_pictures_of_solar_cells_are_not(packed: set[str]) -> None:
    """Every picture that the page beside them says is made of cells of another licence."""
    page = (ROOT / "docs" / "images" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in CELLS)
    assert not {f"docs/images/{name}" for name in CELLS} & packed
