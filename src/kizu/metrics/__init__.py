"""How well scores and anomaly maps tell good from bad: AUROC, average precision, F1, PRO."""

from kizu.counts import ScoreCounts, count_scores
from kizu.metrics.comparison import (
    AurocComparison,
    VerdictComparison,
    compare_auroc,
    compare_verdicts,
    holm,
)
from kizu.metrics.confusion import Confusion
from kizu.metrics.image import ImageMetrics, image_metrics
from kizu.metrics.pixel import PixelAccumulator, PixelMetrics
from kizu.metrics.ranking import (
    PrCurve,
    RocCurve,
    auroc,
    average_precision,
    best_f1,
    pr_curve,
    roc_curve,
)

__all__ = [
    "AurocComparison",
    "Confusion",
    "ImageMetrics",
    "PixelAccumulator",
    "PixelMetrics",
    "PrCurve",
    "RocCurve",
    "ScoreCounts",
    "VerdictComparison",
    "auroc",
    "average_precision",
    "best_f1",
    "compare_auroc",
    "compare_verdicts",
    "count_scores",
    "holm",
    "image_metrics",
    "pr_curve",
    "roc_curve",
]
