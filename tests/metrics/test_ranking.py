"""Ranking metrics against scikit-learn, a plain loop, and their own thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from kizu.errors import DataError
from kizu.metrics import ScoreCounts, auroc, average_precision, best_f1, count_scores, pr_curve, roc_curve
from reference.metrics import plain_auroc

finite = st.floats(-1e6, 1e6, allow_nan=False)
tied = st.integers(-3, 3).map(float)


@st.composite
def labelled(draw, numbers=finite | tied):
    """Scores and labels with both classes."""
    pairs = draw(st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=40))
    pairs += [(draw(numbers), True), (draw(numbers), False)]
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores), np.array(labels)


def f1_at(scores, labels, threshold):
    return sk.f1_score(labels, scores > threshold, zero_division=0.0)


@settings(deadline=None)
@given(labelled())
def test_agrees_with_scikit_learn(data):
    scores, labels = data
    counts = count_scores(scores, labels)
    assert auroc(counts) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(counts) == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert best_f1(counts)[0] == pytest.approx(f1.max(), abs=1e-12)


@settings(deadline=None)
@given(labelled(tied))
def test_auroc_counts_ties_as_half(data):
    assert auroc(count_scores(*data)) == pytest.approx(plain_auroc(*data), abs=1e-12)


@settings(deadline=None)
@given(labelled())
def test_best_f1_is_reproduced_by_its_threshold(data):
    scores, labels = data
    best, threshold = best_f1(count_scores(scores, labels))
    assert math.isfinite(threshold)
    assert f1_at(scores, labels, threshold) == pytest.approx(best, abs=1e-12)


@settings(deadline=None)
@given(labelled(st.floats(-1e6, 1e6, width=32)))
def test_best_f1_threshold_holds_in_float32_comparisons(data):
    scores, labels = data
    single = scores.astype(np.float32)
    best, threshold = best_f1(count_scores(single, labels))
    assert f1_at(single, labels, threshold) == pytest.approx(best, abs=1e-12)
    assert f1_at(single, labels, np.float32(threshold)) == pytest.approx(best, abs=1e-12)


def test_best_f1_of_equal_ones_is_the_highest_threshold():
    assert best_f1(count_scores([4, 3, 2, 1], [True, False, False, True])) == (pytest.approx(2 / 3), 3.0)


@pytest.mark.parametrize("score", [0.0, -0.0, 1e-30, 1.0, -5.0, 1e20])
def test_threshold_that_flags_everything_is_finite_and_below(score):
    counts = count_scores([score, score], [True, True])
    assert math.isfinite(counts.thresholds[-1])
    assert np.float32(counts.thresholds[-1]) < np.float32(score)


# Integers, so that the map keeps distinct scores distinct in floating point.
@settings(deadline=None)
@given(
    labelled(st.integers(-50, 50).map(float)),
    st.sampled_from([np.exp, np.arctan, lambda s: s**3, lambda s: 7 * s - 2]),
)
def test_ranking_does_not_move_under_monotone_maps(data, monotone):
    scores, labels = data
    before, after = count_scores(scores, labels), count_scores(monotone(scores), labels)
    assert auroc(before) == auroc(after)
    assert average_precision(before) == average_precision(after)
    assert best_f1(before)[0] == best_f1(after)[0]


@settings(deadline=None)
@given(labelled())
def test_auroc_of_negated_scores_is_the_rest(data):
    scores, labels = data
    both = auroc(count_scores(scores, labels)) + auroc(count_scores(-scores, labels))
    assert both == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None)
@given(labelled())
def test_curves_hold_the_rates_of_their_thresholds(data):
    scores, labels = data
    counts = count_scores(scores, labels)
    roc, pr = roc_curve(counts), pr_curve(counts)
    for k, threshold in enumerate(counts.thresholds):
        flagged = scores > threshold
        assert roc.tpr[k] == pr.recall[k] == pytest.approx(flagged[labels].mean())
        assert roc.fpr[k] == pytest.approx(flagged[~labels].mean())
        assert pr.precision[k] == pytest.approx(labels[flagged].mean() if flagged.any() else 1.0)
    assert (roc.fpr[0], roc.tpr[0], roc.fpr[-1], roc.tpr[-1]) == (0, 0, 1, 1)


@settings(deadline=None)
@given(labelled())
def test_roc_curve_agrees_with_scikit_learn(data):
    scores, labels = data
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    found = roc_curve(count_scores(scores, labels))
    np.testing.assert_allclose(found.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(found.tpr, tpr, atol=1e-12)


@pytest.mark.parametrize("label", [True, False])
def test_one_class_has_no_ranking(label):
    counts = count_scores([1.0, 2.0, 3.0], [label] * 3)
    assert auroc(counts) is average_precision(counts) is best_f1(counts) is None
    for curve in (roc_curve, pr_curve):
        with pytest.raises(DataError, match="good and anomalous"):
            curve(counts)


def test_known_values():
    perfect = count_scores([1, 2, 3, 4], [0, 0, 1, 1])
    assert (auroc(perfect), average_precision(perfect), best_f1(perfect)) == (1.0, 1.0, (1.0, 2.0))
    constant = count_scores([5.0] * 4, [0, 0, 0, 1])
    assert (auroc(constant), average_precision(constant)) == (0.5, 0.25)


def test_huge_counts_stay_exact():
    """More pairs than int64 holds."""
    counts = ScoreCounts(np.array([2.0, 1.0, 0.0]), np.array([3 * 10**9, 10**9]), np.array([10**10, 3 * 10**10]))
    # P(p > n) = 3/4 · 3/4; ties: 3/4 · 1/4 + 1/4 · 3/4, half of them.
    assert auroc(counts) == pytest.approx(0.75, abs=1e-12)
