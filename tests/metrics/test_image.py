"""Metrics of image scores."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics as sk

from kizu.errors import DataError, ParameterError
from kizu.metrics import Confusion, image_metrics


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    labels = rng.random(200) < 0.3
    return np.round(rng.normal(labels * 1.5, 1.0), 1), labels


def test_agrees_with_scikit_learn(data):
    scores, labels = data
    found = image_metrics(scores, labels, threshold=0.7)
    flagged = scores > 0.7
    assert found.auroc == pytest.approx(sk.roc_auc_score(labels, scores))
    assert found.ap == pytest.approx(sk.average_precision_score(labels, scores))
    assert found.accuracy == pytest.approx(sk.accuracy_score(labels, flagged))
    assert found.precision == pytest.approx(sk.precision_score(labels, flagged))
    assert found.recall == pytest.approx(sk.recall_score(labels, flagged))
    assert found.f1 == pytest.approx(sk.f1_score(labels, flagged))
    assert [[found.tn, found.fp], [found.fn, found.tp]] == sk.confusion_matrix(labels, flagged).tolist()


def test_f1_at_its_best_threshold_is_the_best(data):
    scores, labels = data
    best = image_metrics(scores, labels, threshold=0.0)
    again = image_metrics(scores, labels, threshold=best.f1_max_threshold)
    assert again.f1 == again.f1_max == best.f1_max


def test_a_score_at_the_threshold_is_not_flagged():
    found = image_metrics([1.0, 1.0, 2.0], [True, False, True], threshold=1.0)
    assert (found.tp, found.fp, found.tn, found.fn) == (1, 0, 1, 1)


def test_only_good_images():
    found = image_metrics([0.1, 0.2, 0.9], [False] * 3, threshold=0.5)
    assert found.auroc is found.ap is found.f1_max is found.f1_max_threshold is None
    assert found.recall is found.f1 is None
    assert (found.accuracy, found.precision, found.fp, found.tn) == (pytest.approx(2 / 3), 0.0, 1, 2)


def test_only_anomalous_images():
    found = image_metrics([0.1, 0.7, 0.9], [True] * 3, threshold=0.5)
    assert found.auroc is found.ap is found.f1_max is found.f1_max_threshold is None
    assert (found.precision, found.recall, found.f1) == (1.0, pytest.approx(2 / 3), pytest.approx(0.8))


def test_nothing_flagged_has_no_precision():
    found = image_metrics([0.1, 0.2], [False, True], threshold=9.0)
    assert found.precision is None
    assert (found.recall, found.f1, found.accuracy) == (0.0, 0.0, 0.5)


def test_to_dict_is_plain_json(data):
    found = image_metrics(data[0].astype(np.float32), data[1], threshold=np.float32(0.5))
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text) == found.to_dict()
    assert {type(v) for v in found.to_dict().values()} == {float, int}
    only_good = image_metrics([0.5], [False], threshold=1.0)
    assert json.loads(json.dumps(only_good.to_dict(), allow_nan=False))["auroc"] is None


@pytest.mark.parametrize(("scores", "labels"), [([math.nan], [True]), ([], []), ([1.0], [True, False])])
def test_bad_scores_are_refused(scores, labels):
    with pytest.raises(DataError):
        image_metrics(scores, labels, threshold=0.0)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf])
def test_threshold_must_be_finite(threshold):
    with pytest.raises(ParameterError, match="`threshold` must be a finite number"):
        image_metrics([1.0], [True], threshold)


def test_confusion_of_nothing_has_no_ratios():
    nothing = Confusion(0, 0, 0, 0)
    assert nothing.accuracy is nothing.precision is nothing.recall is nothing.f1 is nothing.iou is None


def test_confusion_refuses_negative_counts():
    with pytest.raises(ParameterError, match="0 or more"):
        Confusion(1, 2, 3, -1)
