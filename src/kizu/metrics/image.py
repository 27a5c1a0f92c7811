"""Metrics of image scores: one float and one label an image."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from numpy.typing import ArrayLike

from kizu.counts import checked_scores, count_scores
from kizu.metrics.confusion import Confusion, check_threshold
from kizu.metrics.ranking import auroc, average_precision, best_f1


@dataclass(frozen=True)
class ImageMetrics:
    """How well image scores tell anomalous from good.

    ``auroc``, ``ap``, ``f1_max`` and ``f1_max_threshold`` need no threshold and are None when every image has
    the same label. The rest holds at ``threshold`` (anomalous when score > threshold); ``precision`` is None
    when no image is flagged, ``recall`` and ``f1`` when none is anomalous. ``f1_max`` comes from the labels
    being evaluated: it tells how far thresholds could go, and is no threshold to deploy.
    """

    auroc: float | None
    ap: float | None
    f1_max: float | None
    f1_max_threshold: float | None
    threshold: float
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    tp: int
    fp: int
    tn: int
    fn: int

    def to_dict(self) -> dict[str, float | int | None]:
        """The fields by name: plain floats, ints and None, ready for JSON."""
        return asdict(self)


def image_metrics(scores: ArrayLike, labels: ArrayLike, threshold: float) -> ImageMetrics:
    """Metrics of ``(N,)`` scores with ``(N,)`` labels, True for anomalous.

    Raises `DataError` for no scores, scores that are not finite or labels that do not fit, and
    `ParameterError` for a threshold that is not finite.

    >>> found = image_metrics([0.2, 0.3, 0.9, 0.7], [False, False, True, True], threshold=0.8)
    >>> found.auroc, found.recall, found.precision
    (1.0, 0.5, 1.0)
    """
    limit = check_threshold(threshold)
    values, truth = checked_scores(scores, labels)
    counts = count_scores(values, truth)
    f1_max, f1_max_threshold = best_f1(counts) or (None, None)
    flagged = values > limit
    at = Confusion(
        tp=int((flagged & truth).sum()),
        fp=int((flagged & ~truth).sum()),
        tn=int((~flagged & ~truth).sum()),
        fn=int((~flagged & truth).sum()),
    )
    return ImageMetrics(
        auroc=auroc(counts),
        ap=average_precision(counts),
        f1_max=f1_max,
        f1_max_threshold=f1_max_threshold,
        threshold=limit,
        accuracy=at.accuracy,
        precision=at.precision,
        recall=at.recall,
        f1=at.f1,
        **asdict(at),
    )
