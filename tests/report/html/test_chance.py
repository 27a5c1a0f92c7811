from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kizu.calibration import Calibration, Decision
from kizu.report.html.chance import as_promised, at_most, within


def test_how_many_misses_can_hide() -> None:
    assert at_most(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59), abs=1e-9)
    assert at_most(3, 40) == pytest.approx(stats.beta.ppf(0.95, 4, 37), abs=1e-9)
    assert at_most(5, 5) == 1.0


def test_a_model_that_keeps_its_promise_is_seldom_accused() -> None:
    """At most 5 % of exchangeable data sets, and not hardly any either: the test has power."""
    rng = np.random.default_rng(0)
    accused = 0
    for _ in range(2000):
        scores, new = rng.normal(size=199), rng.normal(size=400)
        calibration = Calibration(scores, scores, Decision(false_alarms=0.02))
        accused += as_promised(calibration, int((new > calibration.threshold).sum()), 400) is False
    assert 0.02 < accused / 2000 <= 0.06


def test_a_promise_broken_is_noticed() -> None:
    assert within(0.02, 199, 8, 400)
    assert not within(0.02, 199, 40, 400)


@pytest.mark.parametrize(("decision", "kept"), [("tail", False), ("value", None), ("cost", None), ("f1", None)])
def test_other_decisions(decision: str, kept: bool | None) -> None:
    scores = np.arange(50.0)
    calibration = Calibration(scores, scores, Decision(by=decision, threshold=48.0))  # type: ignore[arg-type]
    assert as_promised(calibration, 20, 100) is kept
    if decision == "tail":
        assert as_promised(calibration, 1, 100) is True
