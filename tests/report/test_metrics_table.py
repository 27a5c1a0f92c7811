from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from kizu.report import PIXEL_METRIC_COLUMNS, PixelMetricsTable, metrics_csv


def test_pixel_metrics_are_those_of_scikit_learn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((30, 40)) < 0.1
    scores = rng.gamma(2.0, 3.0, (30, 40)).astype(np.float32) + truth * np.float32(4)
    with PixelMetricsTable(tmp_path / "p.csv") as table:
        table.append("部品/1.png", "bad", "傷", scores, truth, 9.0)
        table.append("=2.png", "good", "good", scores, np.zeros_like(truth), 9.0)
    with (tmp_path / "p.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == PIXEL_METRIC_COLUMNS
    found = (scores > 9.0).ravel()
    assert float(rows[0]["auroc"]) == pytest.approx(sk.roc_auc_score(truth.ravel(), scores.ravel()))
    for name, function in (
        ("accuracy", sk.accuracy_score),
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
        ("iou", sk.jaccard_score),
    ):
        assert float(rows[0][name]) == pytest.approx(function(truth.ravel(), found)), name
    assert [int(rows[0][name]) for name in ("tn", "fp", "fn", "tp")] == (
        sk.confusion_matrix(truth.ravel(), found).ravel().tolist()
    )
    assert rows[1]["path"] == "./=2.png"
    assert (rows[1]["auroc"], rows[1]["recall"], rows[1]["fp"]) == ("", "", str(found.sum()))


def test_figures_that_are_not_defined_are_empty() -> None:
    text = metrics_csv({"image": {"auroc": None, "tp": 3}, "pixel": {}}).decode("utf-8-sig")
    assert text.splitlines() == ["level,metric,value", "image,auroc,", "image,tp,3"]
