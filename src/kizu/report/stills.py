"""Figures as PNG pictures: ROC, precision and recall, confusion matrix, histogram of scores.

Drawn with matplotlib (``pip install "kizu[report]"``) on canvases of their own: nothing of its global state is used
or changed, and the same figures give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kizu.errors import MissingExtraError
from kizu.metrics import PrCurve, RocCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_GOOD, _BAD, _CURVE, _PALE = "#5a7fb5", "#e10000", "#1f4e8c", "#999999"
_VERDICTS = {"ok": "OK", "review": "REVIEW", "ng": "NG"}
_WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
_POINTS = 1000  # of a curve; more than that no picture shows


@dataclass(frozen=True)
class Kinds:
    """What is judged, in words: images or pixels."""

    name: str = "images"
    good: str = "good parts"
    bad: str = "defects"
    flagged: str = "called NG"


IMAGES = Kinds()
PIXELS = Kinds("pixels", "sound pixels", "defect pixels", "marked")


def check_matplotlib() -> None:
    """Raise `MissingExtraError` unless figures can be drawn; to be asked before long work."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            'figures need matplotlib, which is not installed. Run `pip install "kizu[report]"`, or leave --plots out.'
        ) from None


def roc_picture(curve: RocCurve, auroc: float, at: tuple[float, float], kinds: Kinds = IMAGES) -> bytes:
    """The ROC curve, with a dot ``at`` (false-positive rate, true-positive rate), the threshold in use."""
    figure, axes = _square(f"ROC of {kinds.name}: AUROC {auroc:.4f}")
    axes.plot([0, 1], [0, 1], color=_PALE, linestyle="--", linewidth=1)
    axes.plot(*_thinned(curve.fpr, curve.tpr), color=_CURVE, linewidth=2, zorder=3, clip_on=False)
    axes.set_xlabel(f"{kinds.good} {kinds.flagged} (false-positive rate)")
    axes.set_ylabel(f"{kinds.bad} {kinds.flagged} (true-positive rate)")
    _dot(axes, at, f"the threshold in use:\n{at[1]:.1%} of {kinds.bad},\n{at[0]:.1%} of {kinds.good}")
    return _png(figure)


def pr_picture(curve: PrCurve, ap: float, at: tuple[float, float] | None, kinds: Kinds = IMAGES) -> bytes:
    """Precision over recall, with a dot ``at`` (recall, precision), the threshold in use; None: it flags nothing."""
    figure, axes = _square(f"Precision and recall of {kinds.name}: AP {ap:.4f}")
    axes.plot(*_thinned(curve.recall, curve.precision), color=_CURVE, linewidth=2, zorder=3, clip_on=False)
    axes.set_xlabel(f"{kinds.bad} {kinds.flagged} (recall)")
    axes.set_ylabel(f"{kinds.bad} among what is {kinds.flagged} (precision)")
    if at is not None:
        _dot(axes, at, f"the threshold in use:\nrecall {at[0]:.1%},\nprecision {at[1]:.1%}", left_from=0.35)
    return _png(figure)


def confusion_picture(verdicts: Mapping[str, Mapping[str, int]]) -> bytes:
    """How many of the ``good`` and of the ``bad`` images got which verdict; REVIEW only where there is one."""
    shown = [name for name in _VERDICTS if name != "review" or any(row["review"] for row in verdicts.values())]
    counts = np.array([[verdicts[label][name] for name in shown] for label in ("good", "bad")])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _figure((1.6 + 1.5 * len(shown), 3.6), "Confusion matrix")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(shown)), [_VERDICTS[name] for name in shown])
    axes.set_yticks([0, 1], [f"good\n({counts[0].sum()})", f"bad\n({counts[1].sum()})"])
    axes.set_xlabel("verdict")
    for (row, column), count in np.ndenumerate(counts):
        text = f"{count}\n{shares[row, column]:.1%}" if counts[row].sum() else "0"
        ink = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=12)
    return _png(figure)


def score_picture(good: Sequence[float], bad: Sequence[float], limits: Mapping[str, float]) -> bytes:
    """Histograms of the scores of good and of bad images, with a line a limit: its name and score."""
    figure, axes = _figure((7.0, 4.2), "Scores of images")
    from matplotlib.ticker import MaxNLocator

    edges = np.histogram_bin_edges([*good, *bad, *limits.values()], bins=50)
    for scores, colour, name in ((good, _GOOD, "good"), (bad, _BAD, "bad")):
        if scores:
            axes.hist(scores, bins=edges.tolist(), color=colour, alpha=0.6, label=f"{name} ({len(scores)})")
    for place, (name, limit) in enumerate(limits.items()):
        axes.axvline(limit, color="black", linewidth=1.5, linestyle="--" if place else "-")
        beside: dict[str, Any] = {"ha": "right" if place else "left", "va": "top", "fontsize": 9}
        where = axes.get_xaxis_transform()
        axes.text(limit, 0.98, f" {name} {limit:.4g} ", transform=where, bbox=_WHITE, **beside)
    axes.set_xlabel("score (distance)")
    axes.set_ylabel("images")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="best")
    return _png(figure)


def _figure(size: tuple[float, float], title: str) -> tuple[Figure, Axes]:
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes


def _square(title: str) -> tuple[Figure, Axes]:
    figure, axes = _figure((5.4, 5.4), title)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.grid(color="#e5e5e5")
    return figure, axes


def _dot(axes: Axes, at: tuple[float, float], text: str, left_from: float = 0.55) -> None:
    """A dot with words beside it: on its left where it lies beyond ``left_from``."""
    axes.plot(*at, "o", color=_BAD, zorder=4, clip_on=False)
    left, low = at[0] > left_from, at[1] > 0.3
    options: dict[str, Any] = {"ha": "right" if left else "left", "va": "top" if low else "bottom", "zorder": 4}
    offset = (-10 if left else 10, -8 if low else 8)
    axes.annotate(text, at, offset, textcoords="offset points", bbox=_WHITE, fontsize=9, **options)


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """A curve from corner to corner in at most `_POINTS` points, evenly along its length."""
    if x.size <= _POINTS:
        return x, y
    along = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], _POINTS - 1)))
    kept = np.unique(np.append(kept, x.size - 1))
    return x[kept], y[kept]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
