"""``metrics.csv``, the figures of a test set, and ``pixel_metrics.csv``, those of each map that has a truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kizu.maps import predicted_mask
from kizu.metrics import Confusion, auroc, count_scores
from kizu.report._cells import csv_table, line, number_cell, path_cell, start_of, word_cell
from kizu.report._growing import GrowingFile

PIXEL_METRIC_COLUMNS = (
    *("path", "label", "type", "auroc", "accuracy", "precision", "recall", "f1", "iou"),
    *("tp", "fp", "tn", "fn"),
)
"""The columns of ``pixel_metrics.csv``; a ratio that is not defined is empty."""


def metrics_csv(levels: Mapping[str, Mapping[str, float | int | None]]) -> bytes:
    """A line a figure: level (``image``, ``pixel``, …), metric, value, which is empty where it is not defined.

    >>> metrics_csv({"image": {"auroc": 0.975, "tp": 3}}).decode("utf-8-sig")
    'level,metric,value\\nimage,auroc,0.975\\nimage,tp,3\\n'
    """
    rows = [(level, metric, value) for level, figures in levels.items() for metric, value in figures.items()]
    return csv_table(("level", "metric", "value"), rows)


class PixelMetricsTable(GrowingFile):
    """Writes how well each map agrees with its truth; see `GrowingFile` for what an interrupt leaves.

    Raises:
        OutputError: the file cannot be written, or there is no space left (entering, `append`, leaving).
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, start_of(PIXEL_METRIC_COLUMNS))

    def append(
        self,
        path: str,
        label: str,
        defect_type: str,
        anomaly_map: NDArray[np.float32],
        truth: NDArray[np.bool_],
        threshold: float,
        inside: NDArray[np.bool_] | None = None,
    ) -> None:
        """Write the figures of one map ``(h, w)`` and its ``truth`` ``(h, w)``, of the pixels ``inside`` alone."""
        if inside is not None:
            anomaly_map, truth = anomaly_map[inside][None], truth[inside][None]
        found, scores = predicted_mask(anomaly_map, threshold), count_scores(anomaly_map.ravel(), truth.ravel())
        at = Confusion(
            tp=int((found & truth).sum()),
            fp=int((found & ~truth).sum()),
            tn=int((~found & ~truth).sum()),
            fn=int((~found & truth).sum()),
        )
        figures = (auroc(scores), at.accuracy, at.precision, at.recall, at.f1, at.iou, at.tp, at.fp, at.tn, at.fn)
        self.write(line((path_cell(path), word_cell(label), word_cell(defect_type), *map(number_cell, figures))))
