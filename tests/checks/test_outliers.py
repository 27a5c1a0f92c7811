from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kizu.calibration import Calibration
from kizu.checks.outliers import BEYOND, FEWEST, SHOWN, distances_above, hiding, limit_of, suspects

GOOD = np.exp(np.random.default_rng(0).normal(3, 0.1, 400))


def paths(count: int) -> list[Path]:
    return [Path(f"{number}.png") for number in range(count)]


def test_the_worst_come_first_with_their_ranks() -> None:
    scores = np.concatenate([GOOD[:100], [60.0, 90.0]])
    found = suspects(paths(102), scores)
    assert len(found) == SHOWN
    assert [one.path.name for one in found[:2]] == ["101.png", "100.png"]
    assert [one.rank for one in found] == list(range(1, SHOWN + 1))
    assert [one.score for one in found] == sorted(scores, reverse=True)[:SHOWN]
    assert [one.p_value for one in found] == pytest.approx([one.rank / 102 for one in found])
    assert found[0].times == pytest.approx(90 / np.median(scores))
    assert [one.beyond for one in found[:3]] == [True, True, False]


def test_p_values_are_those_of_a_calibration_by_the_other_images() -> None:
    scores = np.round(GOOD[:40])
    for one in suspects(paths(40), scores):
        others = np.delete(scores, int(one.path.stem))
        assert one.p_value == pytest.approx(Calibration(others, others).p_value(one.score))


def test_all_that_stand_out_are_listed_however_many() -> None:
    scores = np.concatenate([GOOD, np.full(30, 80.0)])
    found = suspects(paths(430), scores)
    assert sum(one.beyond for one in found) == len(found) == 30
    (finding,) = hiding(found)
    assert (finding.kind, len(finding.paths)) == ("suspect", 30)
    assert finding.message.startswith("30 good images for training unlike the others")


def test_among_normal_scores_none_stands_out() -> None:
    found = suspects(paths(400), GOOD)
    assert not any(one.beyond for one in found)
    assert hiding(found) == []


def test_distances_are_in_deviations_and_the_limit_is_where_they_reach_it() -> None:
    distances = distances_above(GOOD)
    assert np.std(distances) == pytest.approx(1, rel=0.1)
    assert limit_of(GOOD) == pytest.approx(np.exp(3 + 0.1 * BEYOND), rel=0.05)
    scores = np.append(GOOD, limit_of(GOOD) * 1.01)
    assert suspects(paths(401), scores)[0].beyond
    scores[-1] = limit_of(GOOD) * 0.98
    assert not suspects(paths(401), scores)[0].beyond


@pytest.mark.parametrize("scores", [[], [5.0], [1.0] * (FEWEST - 1), [0.0] * 30, [2.0] * 30, [0.0, *[1.0] * 20]])
def test_where_nothing_can_be_said_nothing_stands_out(scores: list[float]) -> None:
    found = suspects(paths(len(scores)), scores)
    assert not any(one.beyond for one in found)
    assert len(found) == min(SHOWN, len(scores))
    assert not scores or limit_of(scores) >= 0


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=60), st.floats(0.01, 100))
def test_who_stands_out_does_not_depend_on_the_unit_of_scores(scores: list[float], unit: float) -> None:
    one, other = (suspects(paths(len(scores)), np.array(scores) * factor) for factor in (1.0, unit))
    assert [s.distance for s in one] == pytest.approx([s.distance for s in other], abs=1e-6, rel=1e-6)
    assert [s.rank for s in one] == list(range(1, len(one) + 1))
