"""Labels counted per score: what does not fit is named."""

import math

import numpy as np
import pytest

from kizu.counts import ScoreCounts, count_scores
from kizu.errors import DataError


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        ([], [], "as many labels"),
        ([1.0, 2.0], [True], "as many labels"),
        ([[1.0]], [[True]], "as many labels"),
        ([0.0, math.nan], [True, False], "score 1 is nan"),
        ([math.inf, 0.0], [True, False], "score 0 is inf"),
        ([0.0, 1.0], [0, 2], "labels must be"),
    ],
)
def test_bad_input_is_named(scores, labels, words):
    with pytest.raises(DataError, match=words):
        count_scores(scores, labels)


@pytest.mark.parametrize(
    ("thresholds", "rows"),
    [([1.0], 1), ([1.0, 2.0], 1), ([1.0, 1.0], 1), ([1.0, -math.inf], 1), ([math.nan, 0.0], 1)],
)
def test_score_counts_are_checked_where_made(thresholds, rows):
    with pytest.raises(DataError, match=r"score counts|thresholds"):
        ScoreCounts(np.array(thresholds), np.ones(rows, np.int64), np.ones(rows, np.int64))
