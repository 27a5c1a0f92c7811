"""Drift as a picture: scores with thresholds above, evidence with its limit below."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kizu.errors import MissingExtraError, OutputError
from kizu.files import atomic_write, check_writable, keep_others, says_early

if TYPE_CHECKING:
    from kizu.calibration.drift import Drift
    from kizu.workflows._drift import DriftFound

_SOFTWARE = "kizu drift"
_NOTE = f"tEXtSoftware\0{_SOFTWARE}".encode()
"""What tells a plot from other pictures: a chunk of text among the first of the PNG."""

_BLUE, _RED, _GREY = "#1f6feb", "#c62828", "#6b7280"


def check_plot(path: str | Path) -> None:
    """Before long work: raise as `draw_drift` would, as far as that is known."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise MissingExtraError('a plot needs matplotlib. Run: pip install "kizu[report]"') from None
    check_writable(path)
    if Path(path).suffix.lower() != ".png":
        raise OutputError(f"{path}: a plot is a PNG file. Give it a name that ends in .png.")
    keep_others(path, lambda there: says_early(there, _NOTE), "plot")


def draw_drift(found: DriftFound, path: str | Path) -> None:
    """Write a PNG. Raises `MissingExtraError` without matplotlib, and `OutputError` when it cannot be written, or
    where a file is that is no such plot.
    """
    check_plot(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    _draw_scores(upper, found)
    _draw_evidence(lower, found)
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": _SOFTWARE})
    atomic_write(path, held.getvalue())


def _draw_scores(axes: Any, found: DriftFound) -> None:
    scores = np.array([row.score for row in found.rows])
    rows = np.arange(1, len(scores) + 1)
    watched = np.zeros(len(scores), np.bool_)
    watched[list(found.watched)] = True
    axes.plot(rows[watched], scores[watched], ".", color=_BLUE, markersize=3, label="watched")
    if not watched.all():
        axes.plot(rows[~watched], scores[~watched], "x", color=_RED, markersize=4, label="NG, left out")
    axes.axhline(found.threshold, color=_RED, linewidth=1, label="NG threshold")
    if found.scores.since is not None:
        axes.axvline(found.watched[found.scores.since] + 1, color=_GREY, linestyle="--", label="since about")
    axes.set_ylabel("score")
    axes.legend(loc="upper left", fontsize=8)


def _draw_evidence(axes: Any, found: DriftFound) -> None:
    _draw_line(axes, np.array(found.watched) + 1, found.scores, _BLUE, "scores")
    _draw_line(axes, np.arange(1, len(found.rows) + 1), found.ng, _RED, "share of NG")
    axes.axhline(found.scores.limit, color=_GREY, linestyle="--", linewidth=1, label="alarm")
    axes.set_xlabel("row")
    axes.set_ylabel("evidence, log10")
    axes.legend(loc="upper left", fontsize=8)


def _draw_line(axes: Any, rows: Any, drift: Drift, colour: str, label: str) -> None:
    axes.plot(rows, drift.evidence, color=colour, linewidth=1.2, label=label)
    if drift.alarm is not None:
        axes.plot(rows[drift.alarm], drift.evidence[drift.alarm], "o", color=colour, markersize=6)
