from __future__ import annotations

import numpy as np
import pytest

from kizu.report._outline import FOUND, TRUTH, Line, outline


def drawn(mask: np.ndarray, line: Line = FOUND, width: int = 3) -> np.ndarray:
    """(H, W) bool: the pixels in the line's own colour."""
    picture = np.full((*mask.shape, 3), 77, np.uint8)
    outline(picture, mask, line, width)
    return (picture == np.array(line.colour)).all(axis=2)


def box(*bounds: int) -> np.ndarray:
    mask = np.zeros((100, 120), np.bool_)
    mask[bounds[0] : bounds[1], bounds[2] : bounds[3]] = True
    return mask


@pytest.mark.parametrize("line", [FOUND, TRUTH])
def test_it_goes_around_and_hides_nothing(line: Line) -> None:
    mask = box(40, 60, 30, 80)
    marked = drawn(mask, line)
    assert marked.any()
    assert not (marked & mask).any()
    rows, columns = np.nonzero(marked)
    assert 30 <= rows.min() < 40
    assert 60 <= rows.max() < 70
    assert 20 <= columns.min() < 30
    assert 80 <= columns.max() < 90


def test_a_single_pixel_is_circled_not_covered() -> None:
    mask = box(50, 51, 60, 61)
    marked = drawn(mask)
    assert marked.sum() > 20
    assert not (marked & mask).any()


def test_dashes_have_gaps_and_lines_have_none() -> None:
    mask = box(30, 70, 20, 100)
    line, dashes = drawn(mask), drawn(mask, TRUTH)
    top_of_line, top_of_dashes = line[:50].any(axis=0)[30:90], dashes[:50].any(axis=0)[30:90]
    assert top_of_line.all()
    assert 0.2 < top_of_dashes.mean() < 0.8
    assert np.count_nonzero(np.diff(top_of_dashes.astype(int)) == 1) >= 2


@pytest.mark.parametrize("line", [FOUND, TRUTH])
def test_holes_get_a_line_of_their_own(line: Line) -> None:
    mask = box(10, 90, 10, 110)
    mask[35:65, 40:80] = False
    assert drawn(mask, line)[35:65, 40:80].any()


@pytest.mark.parametrize("line", [FOUND, TRUTH])
@pytest.mark.parametrize("shape", [(8, 8), (2, 200)])
def test_full_and_empty_masks_of_any_size(line: Line, shape: tuple[int, int]) -> None:
    assert not drawn(np.zeros(shape, np.bool_), line, 1).any()
    assert drawn(np.ones(shape, np.bool_), line, 1).any()
