"""Figures drawn with matplotlib: what is in them is read from its own objects."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest

from kizu.errors import MissingExtraError
from kizu.metrics import PrCurve, auroc, average_precision, count_scores, pr_curve, roc_curve
from kizu.report import stills

RNG = np.random.default_rng(0)
LABELS = RNG.random(300) < 0.3
SCORES = RNG.normal(LABELS * 1.5, 1.0)
COUNTS = count_scores(SCORES, LABELS)
VERDICTS = {"good": {"ok": 50, "review": 4, "ng": 1}, "bad": {"ok": 2, "review": 3, "ng": 15}}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that become pictures."""
    figures: list[Any] = []
    png = stills._png
    monkeypatch.setattr(stills, "_png", lambda figure: (figures.append(figure), png(figure))[1])
    return figures


def decoded(picture: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR))


def texts(figure: Any) -> str:
    (axes,) = figure.axes
    parts = [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), *(t.get_text() for t in axes.texts)]
    return "\n".join([*parts, *(t.get_text() for t in [*axes.get_xticklabels(), *axes.get_yticklabels()])])


def test_roc(drawn: list[Any]) -> None:
    curve = roc_curve(COUNTS)
    picture = stills.roc_picture(curve, auroc(COUNTS) or 0.0, (0.05, 0.5))
    assert min(decoded(picture).shape[:2]) > 400
    (axes,) = drawn[0].axes
    lines = {tuple(line.get_xdata()): tuple(line.get_ydata()) for line in axes.lines}
    assert lines[tuple(curve.fpr)] == tuple(curve.tpr)
    assert lines[(0.05,)] == (0.5,)
    said = texts(drawn[0])
    assert f"AUROC {auroc(COUNTS):.4f}" in said
    assert "50.0% of defects,\n5.0% of good parts" in said


def test_precision_and_recall(drawn: list[Any]) -> None:
    curve = pr_curve(COUNTS)
    stills.pr_picture(curve, average_precision(COUNTS) or 0.0, (0.5, 0.9), stills.PIXELS)
    stills.pr_picture(curve, 0.5, None)
    (axes,) = drawn[0].axes
    assert any(np.array_equal(line.get_ydata(), curve.precision) for line in axes.lines)
    assert "pixels" in texts(drawn[0])
    assert "recall 50.0%" in texts(drawn[0])
    assert len(drawn[1].axes[0].lines) == 1, "a threshold that flags nothing has no precision"


def test_confusion_matrix(drawn: list[Any]) -> None:
    stills.confusion_picture(VERDICTS)
    (axes,) = drawn[0].axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["OK", "REVIEW", "NG"]
    assert [t.get_text().split("\n")[0] for t in axes.texts] == ["50", "4", "1", "2", "3", "15"]
    assert "good\n(55)" in texts(drawn[0])
    without = {label: {**row, "review": 0} for label, row in VERDICTS.items()}
    stills.confusion_picture(without)
    assert [t.get_text() for t in drawn[1].axes[0].get_xticklabels()] == ["OK", "NG"]
    stills.confusion_picture({**without, "bad": dict.fromkeys(("ok", "review", "ng"), 0)})
    assert [t.get_text() for t in drawn[2].axes[0].texts][2:] == ["0", "0"]


def test_scores(drawn: list[Any]) -> None:
    good, bad = SCORES[~LABELS].tolist(), SCORES[LABELS].tolist()
    stills.score_picture(good, bad, {"NG above": 1.5, "REVIEW above": 1.0})
    stills.score_picture([2.0, 2.0], [], {"NG above": 2.0})
    (axes,) = drawn[0].axes
    assert sum(patch.get_height() for patch in axes.patches) == len(SCORES)
    assert {line.get_xdata()[0] for line in axes.lines} == {1.5, 1.0}
    assert "NG above 1.5" in texts(drawn[0])


def test_long_curves_are_thinned_without_changing_them() -> None:
    x = np.linspace(0, 1, 200_000) ** 3
    y = np.sqrt(np.linspace(0, 1, 200_000))
    fewer = stills._thinned(x, y)
    assert len(fewer[0]) <= stills._POINTS
    assert (fewer[0][0], fewer[1][0], fewer[0][-1], fewer[1][-1]) == (0, 0, 1, 1)
    assert np.abs(np.interp(x, *fewer) - y).max() < 0.01
    stills.pr_picture(PrCurve(np.zeros(1), y, x), 0.5, None)


def test_the_same_figures_give_the_same_bytes() -> None:
    assert stills.confusion_picture(VERDICTS) == stills.confusion_picture(VERDICTS)


def test_nothing_global_is_touched() -> None:
    code = (
        "import sys; from kizu.report import stills; assert 'matplotlib' not in sys.modules;"
        f"stills.confusion_picture({VERDICTS!r}); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r'pip install "kizu\[report\]"'):
        stills.confusion_picture(VERDICTS)
