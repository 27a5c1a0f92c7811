from __future__ import annotations

import numpy as np
import pytest

from kizu.errors import DataError, ParameterError
from report.viewing import LIMIT, truth, view

NAN_MAP = np.full((4, 4), np.nan, np.float32)


def test_the_map_is_brought_to_the_image() -> None:
    shown = view((50, 70))
    assert shown.full_map.shape == shown.mask.shape == shown.size == (50, 70)
    np.testing.assert_array_equal(shown.mask, shown.full_map > np.float32(LIMIT))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": "NG"}, "`verdict` must be one of ok, ng, review; got 'NG'"),
        ({"score": float("nan")}, "`score` must be a number"),
        ({"pixel_threshold": float("nan")}, "`pixel_threshold` must be a number"),
        ({"image": np.zeros((8, 8), np.uint8)}, r"`image` must be \(H, W, 3\) uint8; got \(8, 8\) uint8"),
        ({"image": np.zeros((8, 8, 3), np.float32)}, "`image` must be .* float32"),
        ({"truth": truth((8, 8))}, r"`truth` must be \(120, 160\) bool, as the image; got \(8, 8\) bool"),
        ({"truth": np.zeros((120, 160), np.uint8)}, "`truth` must be .* uint8"),
        ({"inspected": truth((8, 8))}, r"`inspected` must be \(120, 160\) bool, as the image; got \(8, 8\) bool"),
    ],
)
def test_what_cannot_be_shown_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        view(**changes)


@pytest.mark.parametrize("bad", [NAN_MAP, np.zeros(4, np.float32), np.zeros((0, 4), np.float32)])
def test_a_map_that_is_none_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(DataError, match="a map must be"):
        view(anomaly_map=bad)
