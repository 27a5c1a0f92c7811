from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu.calibration import Calibration
from kizu.errors import DataError, KizuWarning, ModelFileError, ParameterError

SCORES = st.lists(st.floats(0, 1e6) | st.integers(0, 5).map(float), min_size=1, max_size=60)
SHARES = st.decimals(0, 1, places=4).filter(lambda share: share < 1)


def calibration(scores: list[float], share: float = 0.0, peaks: list[float] | None = None) -> Calibration:
    return Calibration(np.array(scores), np.array(scores if peaks is None else peaks), share)


def smallest_keeping(scores: list[float], share: Fraction) -> float:
    """By trying every score from the lowest on."""
    return next(t for t in sorted(scores) if sum(s > t for s in scores) <= share * len(scores))


@settings(deadline=None)
@given(SCORES, SHARES, st.randoms())
def test_the_smallest_threshold_that_keeps_the_share(scores: list[float], share: Any, random: Any) -> None:
    made = calibration(scores, float(share))
    assert made.threshold == smallest_keeping(scores, Fraction(share))
    assert sum(made.verdict(score) == "ng" for score in scores) <= share * len(scores)
    shuffled = random.sample(scores, len(scores))
    assert calibration(shuffled, float(share)).threshold == made.threshold


@settings(deadline=None)
@given(SCORES, SCORES, SHARES)
def test_the_pixel_threshold_is_of_the_peaks(scores: list[float], peaks: list[float], share: Any) -> None:
    count = min(len(scores), len(peaks))
    made = calibration(scores[:count], float(share), peaks[:count])
    assert made.pixel_threshold == smallest_keeping(peaks[:count], Fraction(share))


@pytest.mark.parametrize(
    ("share", "count", "above"), [(0.29, 100, 29), (0.07, 100, 7), (0.01, 100, 1), (0.01, 99, 0), (1 - 1e-12, 5, 4)]
)
def test_shares_mean_what_they_say(share: float, count: int, above: int) -> None:
    made = calibration([float(number) for number in range(count)], share)
    assert made.threshold == count - 1 - above


def test_ng_is_strictly_above() -> None:
    made = calibration([1.0, 2.0, 3.0])
    assert made.verdict(3.0) == "ok"
    assert made.verdict(math.nextafter(3.0, 4.0)) == "ng"
    assert made.verdict(0.0) == "ok"


@settings(deadline=None)
@given(SCORES, st.floats(0, 1e6) | st.integers(0, 5).map(float))
def test_p_values_count_the_scores_as_high(scores: list[float], score: float) -> None:
    made, count = calibration(scores), len(scores)
    assert made.p_value(score) == (1 + sum(known >= score for known in scores)) / (count + 1)
    assert made.p_value(max(scores) + 1) == 1 / (count + 1)
    assert made.p_value(0.0) == 1
    assert made.p_value(score) >= made.p_value(score + 1)


def test_few_good_parts_have_small_p_values() -> None:
    """Of n + 1 parts alike, each in turn the new one, a share e has a p-value of at most e."""
    scores = np.random.default_rng(0).permutation(20).astype(float)
    found = np.array([calibration(np.delete(scores, k).tolist()).p_value(scores[k]) for k in range(20)])
    for share in (0.05, 0.1, 0.5, 1.0):
        assert (found <= share + 1e-12).mean() == pytest.approx(share)


def test_too_few_images_are_told() -> None:
    expected = (
        "5 held-out good images cannot show a false-alarm share of 0.01: the threshold is their highest score, good "
        "for about 16.7%. For the asked share hold out 100 images or more."
    )
    with pytest.warns(KizuWarning, match=f"^{re.escape(expected)}$"):
        calibration([1.0] * 5, 0.01).warn_if_few()
    with pytest.warns(KizuWarning, match=r"share of 0: .* For the asked share hold out many more\.$"):
        calibration([1.0] * 5).warn_if_few()
    with pytest.warns(KizuWarning, match="hold out 34 images or more"):
        calibration([1.0] * 33, 0.03).warn_if_few()


@pytest.mark.parametrize(("share", "count"), [(0.01, 100), (1 / 49, 49), (0.2, 5)])
def test_enough_images_are_not(share: float, count: int) -> None:
    calibration([1.0] * count, share).warn_if_few()  # warnings are errors


def test_round_trip_through_json() -> None:
    made = calibration([0.1, 1 / 3, 2.5e-9], 0.01, [1e300, 2.0, 3.0])
    again = Calibration.from_dict(json.loads(json.dumps(made.to_dict())))
    np.testing.assert_array_equal(again.scores, made.scores)
    np.testing.assert_array_equal(again.peaks, made.peaks)
    assert again.false_alarms == made.false_alarms


@pytest.mark.parametrize("share", [-0.1, 1.0, 10, math.nan])
def test_impossible_shares(share: float) -> None:
    with pytest.raises(ParameterError, match=r"`false_alarms` must be in \[0, 1\); got .*For one percent write 0.01"):
        calibration([1.0], share)


@pytest.mark.parametrize(
    ("scores", "peaks"),
    [([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0]), ([1.0], [math.inf]), ([[1.0]], [[1.0]])],
)
def test_impossible_scores(scores: list[Any], peaks: list[Any]) -> None:
    with pytest.raises(DataError):
        Calibration(np.array(scores), np.array(peaks), 0.1)


SOUND = {"scores": [1.0, 2.0], "peaks": [1.0, 2.0], "false_alarms": 0.1}


@pytest.mark.parametrize(
    "damage",
    [
        *({name: value} for name in SOUND for value in (None, "x", {}, [[1.0], [1.0, 2.0]], math.nan, 10**400)),
        {"scores": []},
        {"scores": [1.0]},
        {"peaks": [1.0, math.inf]},
        {"scores": [10**400, 1.0]},
        {"false_alarms": 1.0},
    ],
)
def test_damage_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="the calibration in the model file is damaged"):
        Calibration.from_dict({**SOUND, **damage})


@pytest.mark.parametrize("missing", SOUND)
def test_what_is_missing_is_refused(missing: str) -> None:
    with pytest.raises(ModelFileError, match=missing):
        Calibration.from_dict({name: value for name, value in SOUND.items() if name != missing})
    with pytest.raises(ModelFileError):
        Calibration.from_dict([])  # type: ignore[arg-type]
