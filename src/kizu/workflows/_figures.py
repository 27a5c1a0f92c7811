"""What an evaluation leaves in its folder at the end: ``metrics.csv``, and figures as pictures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kizu.calibration import Calibration
from kizu.errors import KizuWarning, ParameterError
from kizu.files import atomic_write
from kizu.metrics import Confusion, ImageMetrics, PixelMetrics, ScoreCounts, count_scores, pr_curve, roc_curve
from kizu.report import metrics_csv, stills

if TYPE_CHECKING:
    from kizu.workflows._evaluate import Evaluation


def check_figures(out: str | Path | None, plots: bool) -> None:
    """Before long work: raise `ParameterError` for plots without a folder, `MissingExtraError` without matplotlib."""
    if not plots:
        return
    if out is None:
        raise ParameterError("--plots needs a folder to write to; add --out DIR (`out=`).")
    stills.check_matplotlib()


def write_figures(
    folder: Path, evaluation: Evaluation, calibration: Calibration | None, pixels: ScoreCounts | None, *, plots: bool
) -> list[str]:
    """Write ``metrics.csv``, and with ``plots`` the pictures; ``pixels`` are counted where there are masks. The names
    of what was written.

    Curves need good and bad images; without, a `KizuWarning` says that they are left out. Raises `OutputError`.
    """
    names = ["metrics.csv"]
    atomic_write(folder / names[0], metrics_csv(_levels(evaluation)))
    for name, picture in _pictures(evaluation, calibration, pixels) if plots else ():
        atomic_write(folder / name, picture, durable=False)
        names.append(name)
    return names


def _levels(evaluation: Evaluation) -> dict[str, dict[str, float | int | None]]:
    content = evaluation.to_dict()
    milliseconds = content["milliseconds_median"]
    return {
        "image": content["image"],
        "pixel": content["pixel"] or {},
        "count": dict(evaluation.counts),
        "run": {"skipped": evaluation.skipped, "milliseconds_median": milliseconds},
    }


def _pictures(
    evaluation: Evaluation, calibration: Calibration | None, pixels: ScoreCounts | None
) -> Iterator[tuple[str, bytes]]:
    yield "confusion_matrix.png", stills.confusion_picture(evaluation.verdicts)
    scores = [[r.score for r in evaluation.results if r.label == label] for label in ("good", "bad")]
    yield "scores.png", stills.score_picture(scores[0], scores[1], _limits(evaluation, calibration))
    counts = count_scores([*scores[0], *scores[1]], [False] * len(scores[0]) + [True] * len(scores[1]))
    if counts.has_both:
        yield from _curves("", counts, evaluation.image, stills.IMAGES)
    else:
        text = "the test images are all good or all bad: no ROC and no precision-recall picture. Add the other kind."
        warnings.warn(text, KizuWarning, stacklevel=2)
    if evaluation.pixel is not None and pixels is not None and pixels.has_both:
        yield from _curves("pixel_", pixels, evaluation.pixel, stills.PIXELS)


def _curves(
    prefix: str, counts: ScoreCounts, metrics: ImageMetrics | PixelMetrics, kinds: stills.Kinds
) -> Iterator[tuple[str, bytes]]:
    at = Confusion(metrics.tp, metrics.fp, metrics.tn, metrics.fn)
    recall, precision = at.recall or 0.0, at.precision
    here = (metrics.fp / (metrics.fp + metrics.tn), recall)
    yield f"{prefix}roc.png", stills.roc_picture(roc_curve(counts), metrics.auroc or 0.0, here, kinds)
    there = None if precision is None else (recall, precision)
    yield f"{prefix}pr.png", stills.pr_picture(pr_curve(counts), metrics.ap or 0.0, there, kinds)


def _limits(evaluation: Evaluation, calibration: Calibration | None) -> dict[str, float]:
    limits = {"NG above": evaluation.image.threshold}
    if calibration is not None and calibration.review_threshold < calibration.threshold:
        limits["REVIEW above"] = calibration.review_threshold
    return limits
