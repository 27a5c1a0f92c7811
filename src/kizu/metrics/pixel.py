"""Metrics of anomaly maps against truth masks, pixel by pixel, in memory that does not grow.

Maps go into histograms as they come (`kizu.metrics.bins`: 1,310,720 bins, 2**-15 of a score wide), one for
pixels outside the truth, one for pixels inside, one of region weights for PRO: 31 MB however many images
there are. What binning can change of the AUROC is counted exactly and reported as ``auroc_resolution``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from kizu.counts import Counts, ScoreCounts
from kizu.errors import DataError
from kizu.metrics.bins import BINS, bin_of, first_flagged, thresholds_of
from kizu.metrics.confusion import Confusion, check_threshold
from kizu.metrics.overlap import aupro, region_weights
from kizu.metrics.ranking import auroc, average_precision, best_f1


@dataclass(frozen=True)
class PixelMetrics:
    """How well anomaly maps mark what the masks mark.

    ``auroc``, ``ap``, ``f1_max``, ``f1_max_threshold``, ``aupro`` (PRO integrated to FPR 0.3, divided by 0.3)
    and ``auroc_resolution`` (the unbinned AUROC lies within this of ``auroc``) need no threshold and are None
    without both kinds of pixels. The rest holds at ``threshold`` (anomalous when score > threshold; pixels
    within 2**-15 of the threshold may fall on either side); see `Confusion` for which are None when.
    ``images`` and ``regions`` say how many maps and truth regions were seen.
    """

    auroc: float | None
    ap: float | None
    f1_max: float | None
    f1_max_threshold: float | None
    aupro: float | None
    auroc_resolution: float | None
    threshold: float
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    iou: float | None
    tp: int
    fp: int
    tn: int
    fn: int
    images: int
    regions: int

    def to_dict(self) -> dict[str, float | int | None]:
        """The fields by name: plain floats, ints and None, ready for JSON."""
        return asdict(self)


class PixelAccumulator:
    """Takes anomaly maps with their masks one at a time; order does not matter, sizes may differ.

    >>> pixels = PixelAccumulator()
    >>> mask = np.array([[False, False], [False, True]])
    >>> pixels.update(np.array([[0.5, 1.0], [1.5, 4.0]], np.float32), mask)
    >>> found = pixels.result(threshold=1.2)
    >>> found.auroc, found.aupro, found.recall, found.precision
    (1.0, 1.0, 1.0, 0.5)
    """

    def __init__(self) -> None:
        self._negatives = np.zeros(BINS, dtype=np.int64)
        self._positives = np.zeros(BINS, dtype=np.int64)
        self._weights = np.zeros(BINS, dtype=np.float64)
        self._images = 0
        self._regions = 0

    def update(
        self, anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_], inside: NDArray[np.bool_] | None = None
    ) -> None:
        """Count one map.

        ``anomaly_map`` is ``(H, W)`` float32 of finite scores, 0 or more; ``mask`` is ``(H, W)`` bool, True
        inside a defect and all False for a good image; pixels not ``inside`` ``(H, W)`` do not count. Raises
        `DataError` otherwise, and then counts nothing.
        """
        scores = _checked_map(anomaly_map)
        truth = _checked_mask(mask, scores.shape)
        counted = None if inside is None else _checked_mask(inside, scores.shape)
        truth = truth if counted is None else truth & counted
        bins = bin_of(scores)
        self._images += 1
        np.add.at(self._negatives, bins[~truth if counted is None else counted & ~truth], 1)
        if truth.any():
            self._add_regions(bins[truth], truth)

    def result(self, threshold: float) -> PixelMetrics | None:
        """Metrics of everything seen so far, None before the first pixel; more maps may follow.

        Raises `ParameterError` when ``threshold`` is not finite.
        """
        limit = check_threshold(threshold)
        if not len(self._occupied()):
            return None
        counts = self.counts()
        f1_max, f1_max_threshold = best_f1(counts) or (None, None)
        at = self._confusion(limit)
        return PixelMetrics(
            auroc=auroc(counts),
            ap=average_precision(counts),
            f1_max=f1_max,
            f1_max_threshold=f1_max_threshold,
            aupro=aupro(self._weights[self._occupied()], counts.negatives, self._regions),
            auroc_resolution=_auroc_resolution(counts),
            threshold=limit,
            accuracy=at.accuracy,
            precision=at.precision,
            recall=at.recall,
            f1=at.f1,
            iou=at.iou,
            images=self._images,
            regions=self._regions,
            **asdict(at),
        )

    def counts(self) -> ScoreCounts:
        """Pixels per occupied bin, for `roc_curve` and `pr_curve`; `DataError` before the first pixel."""
        occupied = self._occupied()
        if not len(occupied):
            raise DataError("no pixel of an anomaly map has been counted yet; call `update` first.")
        return ScoreCounts(thresholds_of(occupied), self._positives[occupied], self._negatives[occupied])

    def _add_regions(self, bins: NDArray[np.int32], truth: NDArray[np.bool_]) -> None:
        weights, regions = region_weights(truth)
        np.add.at(self._positives, bins, 1)
        np.add.at(self._weights, bins, weights)
        self._regions += regions

    def _occupied(self) -> Counts:
        """Bins that hold a pixel, highest first."""
        return np.flatnonzero(self._positives + self._negatives)[::-1]

    def _confusion(self, threshold: float) -> Confusion:
        first = first_flagged(threshold)
        tp, fn = int(self._positives[first:].sum()), int(self._positives[:first].sum())
        fp, tn = int(self._negatives[first:].sum()), int(self._negatives[:first].sum())
        return Confusion(tp=tp, fp=fp, tn=tn, fn=fn)


def _auroc_resolution(counts: ScoreCounts) -> float | None:
    """Half the share of (positive, negative) pairs that lie in one bin: each was counted as a tie."""
    if not counts.has_both:
        return None
    positives, negatives = counts.totals
    tied = (counts.positives * counts.negatives.astype(np.float64)).sum()
    return float(tied / 2 / (float(positives) * negatives))


def _checked_map(anomaly_map: NDArray[np.float32]) -> NDArray[np.float32]:
    scores = np.ascontiguousarray(anomaly_map, dtype=np.float32)
    if scores.ndim != 2 or not scores.size:
        raise DataError(f"an anomaly map must be (H, W) with at least one pixel; got shape {scores.shape}.")
    if not (scores.min() >= 0 and scores.max() < np.inf):
        raise DataError(
            "an anomaly map must hold finite scores, 0 or more; this one has NaN, infinity or less than 0."
        )
    return scores


def _checked_mask(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    truth = np.ascontiguousarray(mask)
    if truth.dtype != np.bool_ or truth.shape != shape:
        got = f"{truth.dtype} {truth.shape}"
        raise DataError(f"a mask must be bool and as large as its map, {shape}; got {got}. Resize it with nearest.")
    return truth
