from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kizu.report.html.histogram import bins_for

scores = st.lists(st.floats(0, 1e4, allow_subnormal=False), min_size=1, max_size=60)


@given(scores, st.floats(0, 1e4, allow_subnormal=False))
def test_every_score_is_in_a_bar_and_on_its_side_of_the_threshold(values: list[float], threshold: float) -> None:
    found = np.array(values)
    bins = bins_for(np.append(found, threshold), threshold)
    counts = bins.count(found)
    assert counts.sum() == len(values)
    assert (np.diff(bins.edges) > 0).all()
    edge = int(np.flatnonzero(bins.edges == threshold)[0])
    assert counts[edge:].sum() == (found > threshold).sum()
    assert len(bins.edges) < 200


def test_one_score_far_off_does_not_press_the_others_together() -> None:
    many = np.append(np.linspace(10, 30, 500), 1e5)
    bins = bins_for(many, 25.0)
    assert bins.high < 100
    assert bins.overflow
    assert bins.count(many)[-1] == 1
    assert not bins_for(many[:-1], 25.0).overflow
