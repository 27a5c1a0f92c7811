from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kizu.errors import OutputError
from kizu.images import Box
from kizu.report import write_pixels


def read(path: Path) -> tuple[list[str], np.ndarray]:
    lines = path.read_text("utf-8-sig").splitlines()
    return lines[0].split(","), np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])


def test_scores_with_their_places_in_the_image(tmp_path: Path) -> None:
    """A map of 32 x 64 that shows an image of 96 x 256 but for margins of 10 above and 28 on the left."""
    scores = np.random.default_rng(0).gamma(2.0, 10.0, (32, 64)).astype(np.float32)
    write_pixels(tmp_path / "傷.csv", scores, Box(top=10, left=28, height=64, width=192))
    head, grid = read(tmp_path / "傷.csv")
    assert head[0] == "y\\x"
    np.testing.assert_allclose([float(x) for x in head[1:]], 28 + np.arange(64) * 3 + 1)
    np.testing.assert_allclose(grid[:, 0], 10 + np.arange(32) * 2 + 0.5)
    np.testing.assert_allclose(grid[:, 1:], scores, rtol=1e-6)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the folder is not there"):
        write_pixels(tmp_path / "gone" / "a.csv", np.ones((2, 2), np.float32), Box(0, 0, 2, 2))
