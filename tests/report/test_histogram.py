from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kizu.report import histogram
from kizu.report._canvas import INK, PAPER
from kizu.report._text import Box, Style, write
from report.viewing import LIMIT, truth, view

RED, BLUE, GREEN = (225, 0, 0), (110, 140, 190), (0, 130, 60)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((picture == np.array(colour)).all(axis=2))


def texts(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[tuple[str, Box]]:
    """Every text of the picture, and the box it fills."""
    found: list[tuple[str, Box]] = []

    def record(canvas: np.ndarray, text: str, box: Box, style: Style, align: str = "left") -> Box:
        found.append((text, write(canvas, text, box, style, align)))
        return found[-1][1]

    with monkeypatch.context() as patched:
        patched.setattr(histogram, "write", record)
        histogram.histogram(view(**changes))
    return found


def test_bars_are_red_beyond_the_limit_and_blue_before_it() -> None:
    picture = histogram.histogram(view())
    assert picture.shape == (*histogram.SIZE, 3)
    red, blue = (np.flatnonzero(has(picture, colour).any(axis=0)) for colour in (RED, BLUE))
    assert blue.max() < red.min()
    limit = np.flatnonzero(has(picture, INK)[histogram._TOP - 4])
    assert blue.max() <= limit.max()
    assert limit.min() <= red.min() <= limit.max() + 2
    plain = histogram.histogram(view(peak=LIMIT - 1.0))
    assert not has(plain, RED).any()
    assert has(plain, BLUE).any()


def test_the_counts_are_those_of_numpy() -> None:
    shown = view(size=(120, 160))
    bars = histogram._count(shown)
    edges = np.linspace(bars.low, bars.high, bars.counts.size + 1)
    expected, _ = np.histogram(shown.full_map, edges)
    assert np.abs(bars.counts - expected).sum() <= 4, "scores at an edge may fall on either side of it"
    assert bars.counts.sum() == 120 * 160
    at = np.flatnonzero(np.isclose(edges, LIMIT))
    assert at.size == 1, "a bar begins at the limit"
    assert bars.counts[at[0] :].sum() == shown.mask.sum()


def test_the_truth_is_a_green_line() -> None:
    marked = truth((120, 160))
    shown = view(truth=marked)
    bars = histogram._count(shown)
    assert bars.marked is not None
    assert bars.marked.sum() == marked.sum()
    assert has(histogram.histogram(shown), GREEN).any()
    assert not has(histogram.histogram(view()), GREEN).any()
    nothing = np.zeros((120, 160), np.bool_)
    assert not has(histogram.histogram(view(truth=nothing)), GREEN).any()


def test_what_was_not_looked_at_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = np.zeros((120, 160), np.bool_)
    looked[:60] = True
    assert histogram._count(view(inspected=looked)).counts.sum() == looked.sum()


def test_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = view()
    said = [text for text, _ in texts(monkeypatch)]
    assert "pixel limit 20.0" in said
    assert f"{100 * shown.mask.mean():.3g} % of pixels above" in said
    assert "0 % of pixels above" in [text for text, _ in texts(monkeypatch, peak=1.0)]
    assert "green: marked as a defect" in [text for text, _ in texts(monkeypatch, truth=truth((120, 160)))]


@pytest.mark.parametrize(
    "changes",
    [
        {"pixel_threshold": 0.0},
        {"pixel_threshold": -3.0},
        {"pixel_threshold": 1e9},
        {"pixel_threshold": 1e-9},
        {"pixel_threshold": math.inf},
        {"anomaly_map": np.zeros((4, 4), np.float32)},
        {"anomaly_map": np.full((1, 1), 7.0, np.float32), "pixel_threshold": 7.0},
    ],
)
def test_odd_scores_and_limits(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    bars = histogram._count(view(**changes))
    assert bars.counts.sum() == 120 * 160
    for _, box in texts(monkeypatch, **changes):
        assert box.x >= 0
        assert box.x + box.width <= histogram.SIZE[1]


@pytest.mark.parametrize("size", [(320, 500), (480, 640), (320, 2000)])
def test_texts_do_not_meet_one_another(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    monkeypatch.setattr(histogram.histogram, "__defaults__", (size,))
    for changes in ({}, {"truth": truth((120, 160))}, {"peak": 400.0}):
        found = texts(monkeypatch, **changes)
        for place, (_, one) in enumerate(found):
            for _, other in found[:place]:
                beside = one.x + one.width <= other.x or other.x + other.width <= one.x
                assert beside or one.y + one.height <= other.y or other.y + other.height <= one.y


def test_the_paper_is_white() -> None:
    corner = histogram.histogram(view())[-1, -1]
    np.testing.assert_array_equal(corner, PAPER)
