"""The histogram of an anomaly map: how many pixels have which score, and how many lie above the limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kizu.report._canvas import HEADING, INK, PAPER, SMALL, fill
from kizu.report._scale import multiple
from kizu.report._text import Box, Style, number, write
from kizu.report._view import View

Picture = NDArray[np.uint8]
Counts = NDArray[np.float32]

SIZE = (480, 640)

_BINS = 80
_BELOW, _ABOVE, _MARKED = (110, 140, 190), (225, 0, 0), (0, 130, 60)
_GRID = (225, 225, 225)
_RED, _GREEN = Style(11, (180, 0, 0)), Style(11, _MARKED)
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 26, 64, 60  # pixels around the bars


@dataclass(frozen=True, eq=False)
class _Bars:
    """``counts`` of pixels in equal steps from ``low`` to ``high``; ``marked``: of those that a person marked."""

    low: float
    high: float
    limit: float
    counts: Counts
    marked: Counts | None

    @property
    def decades(self) -> int:
        """Powers of ten that the tallest bar reaches up to, one at least."""
        return max(1, math.ceil(math.log10(max(1.0, float(self.counts.max())))))


def histogram(view: View, size: tuple[int, int] = SIZE) -> Picture:
    """How the pixels' scores lie around the pixel threshold: ``(h, w, 3)`` RGB uint8.

    A bar a step of score, blue up to the threshold and red above it, which is drawn as a black line. Each line of the
    grid stands for ten times as many pixels as the one below it: a defect has few. Where a truth is given, a green
    line shows the pixels in it. What the model did not look at is left out.
    """
    canvas = np.full((*size, 3), PAPER, np.uint8)
    plot = Box(_LEFT, _TOP, size[1] - _LEFT - _RIGHT, size[0] - _TOP - _BOTTOM)
    bars = _count(view)
    _grid(canvas, plot, bars)
    _columns(canvas, plot, bars)
    _words(canvas, plot, bars, view)
    return canvas


def _count(view: View) -> _Bars:
    """Bars of equal width, of which one begins at the limit."""
    scores, limit = view.full_map, view.pixel_threshold
    inside = scores if view.inspected is None else scores[view.inspected]
    lowest, highest = float(inside.min()), float(inside.max())
    if not math.isfinite(limit):
        limit = lowest
    low, high = min(multiple(0.0, limit), lowest), max(multiple(1.5, limit), highest)
    step = (high - low) / _BINS
    if limit - low >= step:
        step = (limit - low) / math.ceil((limit - low) / step)
    elif limit > low:
        low = limit - step
    bins = math.ceil((high - low) / step + 1e-3)  # the highest score lies below the last edge
    looked = np.ones(scores.shape, np.bool_) if view.inspected is None else view.inspected
    edges = (low, low + bins * step, bins)
    marked = None if view.truth is None else _counts(scores, looked & view.truth, *edges)
    return _Bars(low, low + bins * step, limit, _counts(scores, looked, *edges), marked)


def _counts(scores: NDArray[np.float32], mask: NDArray[np.bool_], low: float, high: float, bins: int) -> Counts:
    import cv2

    counted = cv2.calcHist([scores], [0], mask.astype(np.uint8), [bins], [low, high])
    return np.asarray(counted, np.float32).ravel()


def _grid(canvas: Picture, plot: Box, bars: _Bars) -> None:
    """A line a power of ten, with its number, and the scores below."""
    for decade in range(bars.decades + 1):
        y = _height(plot, bars, 10.0**decade)
        fill(canvas, Box(plot.x, y, plot.width, 1), _GRID)
        tall = plot.height // bars.decades >= 16 or decade in (0, bars.decades)
        if tall:
            write(canvas, f"{10**decade:,}", Box(4, y - 8, plot.x - 10, 16), SMALL, "right")
    below = plot.y + plot.height
    for score in _round_scores(bars.low, bars.high):
        x = _across(plot, bars, score)
        fill(canvas, Box(x, below, 1, 5), INK)
        write(canvas, number(score), Box(x - 24, below + 6, 48, 16), SMALL, "centre")


def _round_scores(low: float, high: float) -> list[float]:
    """Scores to write below the bars: multiples of 1, 2 or 5 times a power of ten.

    >>> _round_scores(0.0, 30.1), _round_scores(-0.3, 0.9)
    ([0.0, 10.0, 20.0, 30.0], [-0.2, 0.0, 0.2, 0.4, 0.6, 0.8])
    """
    power = 10.0 ** math.floor(math.log10((high - low) / 3))
    steps = [times * power for times in (1, 2, 5)]
    step = next((step for step in steps if (high - low) / step <= 8), 10 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{place * step:.9g}") for place in range(first, last + 1)]


def _across(plot: Box, bars: _Bars, score: float) -> int:
    """The column of a score."""
    return plot.x + round((score - bars.low) / (bars.high - bars.low) * (plot.width - 1))


def _columns(canvas: Picture, plot: Box, bars: _Bars) -> None:
    at = plot.x + np.round(np.arange(bars.counts.size + 1) * plot.width / bars.counts.size).astype(int)
    base = plot.y + plot.height
    first_above = round((bars.limit - bars.low) / (bars.high - bars.low) * bars.counts.size)
    for place, count in enumerate(bars.counts.tolist()):
        x, width = int(at[place]), int(at[place + 1] - at[place])
        if count:
            y = _height(plot, bars, count)
            fill(canvas, Box(x, y, max(1, width - 1), base - y), _ABOVE if place >= first_above else _BELOW)
        if bars.marked is not None and bars.marked[place]:
            fill(canvas, Box(x, _height(plot, bars, float(bars.marked[place])) - 1, width, 3), _MARKED)
    fill(canvas, Box(plot.x, base, plot.width, 1), INK)


def _height(plot: Box, bars: _Bars, count: float) -> int:
    """Where a bar of ``count`` pixels ends; that of a single one is a fifteenth of a decade high."""
    share = (math.log10(max(count, 1.0)) + 1 / 15) / (bars.decades + 1 / 15)
    return plot.y + plot.height - round(min(1.0, share) * plot.height)


def _words(canvas: Picture, plot: Box, bars: _Bars, view: View) -> None:
    """Title, the limit, and in words what the bars say."""
    write(canvas, "scores of pixels", Box(plot.x, 4, plot.width, 24), HEADING)
    if bars.marked is not None and bars.marked.any():
        write(canvas, "green: marked as a defect", Box(plot.x, 4, plot.width, 24), _GREEN, "right")
    above = bars.counts.sum() and view.mask.sum() / bars.counts.sum()
    x = _across(plot, bars, bars.limit)
    fill(canvas, Box(x - 1, plot.y - 8, 2, plot.height + 8), INK)
    left, right = Box(plot.x, 30, x - plot.x - 8, 22), Box(x + 8, 30, plot.x + plot.width - x - 8, 22)
    write(canvas, f"pixel limit {number(view.pixel_threshold)}", left, SMALL, "right")
    write(canvas, f"{_percent(float(above))} of pixels above", right, _RED)
    foot = Box(plot.x, canvas.shape[0] - 30, plot.width, 24)
    write(canvas, "score (distance); height: number of pixels, a grid line ten times the last", foot, SMALL)


def _percent(share: float) -> str:
    """A share as people read it.

    >>> _percent(0.0), _percent(0.00001), _percent(0.0123), _percent(1.0)
    ('0 %', '< 0.01 %', '1.23 %', '100 %')
    """
    if not share:
        return "0 %"
    return "< 0.01 %" if share < 0.0001 else f"{100 * share:.3g} %"
