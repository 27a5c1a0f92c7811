"""``docs/outputs.md`` names every file that is written, and every column."""

from __future__ import annotations

from pathlib import Path

import pytest

import kizu
from kizu.report import COLUMNS, PARTS, REGION_COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", PARTS)
def test_parts(part: str) -> None:
    assert f"| `{part}/NAME.{'csv' if part == 'pixels' else 'png'}` |" in PAGE


@pytest.mark.parametrize("column", [*COLUMNS, *REGION_COLUMNS])
def test_columns(column: str) -> None:
    assert f"`{column}`" in PAGE


def test_files_of_an_evaluation(model: Path, parts: Path, tmp_path: Path) -> None:
    kizu.evaluate(model, parts, out=tmp_path, plots=True)
    files = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert len(files) == 11
    assert [name for name in files if f"`{name}`" not in PAGE] == []
