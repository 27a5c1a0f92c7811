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

from kizu.calibration import Calibration, Decision
from kizu.errors import DataError, KizuWarning, ModelFileError, ParameterError

SCORES = st.lists(st.floats(0, 1e6) | st.integers(0, 5).map(float), min_size=1, max_size=60)
SHARES = st.decimals(0, 1, places=4).filter(lambda share: share < 1)


def calibration(
    scores: list[float], share: float = 0.0, peaks: list[float] | None = None, budget: float = 0.0
) -> Calibration:
    decision = Decision(false_alarms=share, review_budget=budget)
    return Calibration(np.array(scores), np.array(scores if peaks is None else peaks), decision)


def smallest_promising(scores: list[float], share: Fraction) -> float:
    """By trying every score from the lowest on: those of n + 1 parts that are as high as a score above it."""
    found = (t for t in sorted(scores) if sum(s > t for s in scores) + 1 <= share * (len(scores) + 1))
    return next(found, max(scores))


@settings(deadline=None)
@given(SCORES, SHARES, st.randoms())
def test_the_smallest_threshold_that_promises_the_share(scores: list[float], share: Any, random: Any) -> None:
    made = calibration(scores, float(share))
    assert made.threshold == smallest_promising(scores, Fraction(share))
    assert made.enough == (Fraction(share) * (len(scores) + 1) >= 1)
    assert sum(made.verdict(score) == "ng" for score in scores) <= share * len(scores)
    shuffled = random.sample(scores, len(scores))
    assert calibration(shuffled, float(share)).threshold == made.threshold


@settings(deadline=None)
@given(SCORES, SCORES, SHARES)
def test_the_pixel_threshold_is_of_the_peaks(scores: list[float], peaks: list[float], share: Any) -> None:
    count = min(len(scores), len(peaks))
    made = calibration(scores[:count], float(share), peaks[:count])
    assert made.pixel_threshold == smallest_promising(peaks[:count], Fraction(share))


@settings(deadline=None)
@given(SCORES, st.decimals(0, "0.5", places=3), st.decimals(0, "0.49", places=3))
def test_review_takes_the_budget_beyond_false_alarms(scores: list[float], share: Any, budget: Any) -> None:
    made = calibration(scores, float(share), budget=float(budget))
    assert made.threshold == calibration(scores, float(share)).threshold
    both = Fraction(share) + Fraction(budget)
    if not budget or both * (len(scores) + 1) < 1:
        assert made.review_threshold == made.threshold
    else:
        assert made.review_threshold == min(made.threshold, smallest_promising(scores, both))
    verdicts = [made.verdict(score) for score in scores]
    assert sum(verdict != "ok" for verdict in verdicts) <= both * len(scores)


@pytest.mark.parametrize("budget", [0.0, 0.03, 0.05])
@pytest.mark.parametrize("count", [5, 15, 19, 33, 60, 98, 99, 353])
def test_the_share_reviewed_is_that_of_parts_left_out_in_turn(count: int, budget: float) -> None:
    """Of exchangeable parts each is as likely the new one."""
    parts = [float(part) for part in range(count + 1)]
    each = [calibration(parts[:new] + parts[new + 1 :], 0.01, budget=budget) for new in range(count + 1)]
    reviewed = sum(made.verdict(part) == "review" for part, made in zip(parts, each, strict=True))
    assert each[0].reviewed == pytest.approx(reviewed / (count + 1))


def test_three_verdicts() -> None:
    made = calibration([float(number) for number in range(1, 100)], 0.01, budget=0.05)
    assert (made.threshold, made.review_threshold) == (99.0, 94.0)
    assert [made.verdict(score) for score in (94.0, 94.5, 99.0, 99.5)] == ["ok", "review", "review", "ng"]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_of_exchangeable_parts_at_most_the_share_is_called_ng(share: float) -> None:
    """The promise itself, by leaving each of n + 1 parts out in turn, for every order of drawing them at once."""
    scores = np.random.default_rng(0).lognormal(size=60)
    alarms = sum(calibration(np.delete(scores, k).tolist(), share).verdict(scores[k]) == "ng" for k in range(60))
    assert share - 1 / 60 < alarms / 60 <= share


@pytest.mark.parametrize(
    ("share", "count", "above"), [(0.29, 99, 28), (0.07, 99, 6), (0.01, 99, 0), (0.01, 98, 0), (1 - 1e-12, 5, 4)]
)
def test_shares_mean_what_they_say(share: float, count: int, above: int) -> None:
    made = calibration([float(number) for number in range(count)], share)
    assert made.threshold == count - 1 - above


def test_a_fixed_threshold_wins() -> None:
    known = np.arange(1.0, 100.0)
    made = Calibration(known, known, Decision("cost", threshold=50.5, evidence={"cost_miss": 50.0}))
    assert (made.threshold, made.review_threshold, made.pixel_threshold) == (50.5, 50.5, 99.0)
    again = Calibration.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again.decision == made.decision
    assert made.deciding(Decision()).threshold == 99.0
    assert made.figures == {"threshold": 50.5, "review_threshold": 50.5, "pixel_threshold": 99.0, "promised": None}
    assert made.deciding(Decision()).figures["promised"] == 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "magic"},
        {"by": "cost"},
        {"threshold": 3.0},
        {"by": "value", "threshold": math.nan},
        {"by": "value", "threshold": math.inf},
        {"review_budget": 1.0},
        {"review_budget": -0.1},
    ],
)
def test_impossible_decisions(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="must be"):
        Decision(**wrong)


@pytest.mark.parametrize(("count", "budget", "review"), [(100, 0.0, 200.0), (5, 0.05, 200.0), (100, 0.05, 94.0)])
def test_above_all_scores_nobody_looks_unless_they_are_to_and_the_scores_say_where(
    count: int, budget: float, review: float
) -> None:
    scores = np.arange(count, dtype=float)
    decision = Decision("value", false_alarms=0.01, review_budget=budget, threshold=200.0)
    assert Calibration(scores, scores, decision).review_threshold == review


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
        "5 good images can promise a share of false alarms of 16.7 %, not 1 %: the threshold is their highest score. "
        "For 1 % give 99 or more; `kizu threshold` estimates from the tail what they cannot promise."
    )
    with pytest.warns(KizuWarning, match=f"^{re.escape(expected)}$"):
        calibration([1.0] * 5, 0.01).warn_if_few()
    with pytest.warns(KizuWarning, match=r"^1 good image can .* 50 %, not 0 %: .* No number promises none;"):
        calibration([1.0]).warn_if_few()
    with pytest.warns(KizuWarning, match=r"3\.03 %, not 3 %: .* For 3 % give 33 or more"):
        calibration([1.0] * 32, 0.03).warn_if_few()


@pytest.mark.parametrize(("share", "count"), [(0.01, 99), (1 / 50, 49), (0.2, 4)])
def test_enough_images_are_not(share: float, count: int) -> None:
    calibration([1.0] * count, share).warn_if_few()  # warnings are errors
    assert calibration([1.0] * count, share).promised == pytest.approx(share)


def test_a_fixed_threshold_promises_nothing_and_warns_of_nothing() -> None:
    Calibration(np.ones(3), np.ones(3), Decision("value", threshold=2.0)).warn_if_few()


def test_round_trip_through_json() -> None:
    made = calibration([0.1, 1 / 3, 2.5e-9], 0.01, [1e300, 2.0, 3.0], 0.3)
    again = Calibration.from_dict(json.loads(json.dumps(made.to_dict())))
    np.testing.assert_array_equal(again.scores, made.scores)
    np.testing.assert_array_equal(again.peaks, made.peaks)
    assert (again.decision, again.method) == (made.decision, made.method)


def test_what_older_models_hold() -> None:
    old = {"scores": [1.0, 2.0, 3.0], "peaks": [1.0, 2.0, 3.0], "false_alarms": 0.3}
    made = Calibration.from_dict(old)
    assert (made.threshold, made.review_threshold, made.method) == (3.0, 3.0, "hold_out")


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
        Calibration(np.array(scores), np.array(peaks))


OLD = {"scores": [1.0, 2.0], "peaks": [1.0, 2.0], "false_alarms": 0.1}
SOUND = {**calibration([1.0, 2.0], 0.1).to_dict()}
SOUND_DECISION = SOUND["decision"]


NONSENSE = (None, "x", [], [[1.0], [1.0, 2.0]], math.nan, 10**400)


@pytest.mark.parametrize(
    "damage",
    [
        *({name: value} for name in ("scores", "peaks", "decision", "method") for value in NONSENSE),
        *({"decision": {**SOUND_DECISION, "false_alarms": value}} for value in (*NONSENSE, 1.0)),
        *({"decision": {**SOUND_DECISION, "threshold": value}} for value in ("x", [], 1.0, 10**400)),
        {"decision": {**SOUND_DECISION, "evidence": None}},
        {"scores": [1.0]},
        {"peaks": [1.0, math.inf]},
        {"scores": [10**400, 1.0]},
    ],
)
def test_damage_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="the calibration in the model file is damaged"):
        Calibration.from_dict({**SOUND, **damage})


@pytest.mark.parametrize("value", [*NONSENSE, 1.0])
def test_damage_in_older_models_is_refused(value: Any) -> None:
    with pytest.raises(ModelFileError, match="the calibration in the model file is damaged"):
        Calibration.from_dict({**OLD, "false_alarms": value})


@pytest.mark.parametrize("missing", ["scores", "peaks", "method"])
def test_what_is_missing_is_refused(missing: str) -> None:
    with pytest.raises(ModelFileError, match=missing):
        Calibration.from_dict({name: value for name, value in SOUND.items() if name != missing})
    with pytest.raises(ModelFileError):
        Calibration.from_dict([])  # type: ignore[arg-type]


def test_no_number_is_never_ok() -> None:
    calibration = Calibration(np.arange(1.0, 20), np.arange(1.0, 20))
    assert calibration.verdict(math.nan) == calibration.verdict(math.inf) == "ng"


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64, int])
def test_numbers_of_numpy_are_stored_as_plain_ones(number: Any) -> None:
    decision = Decision(by="value", false_alarms=number(0), review_budget=number(0), threshold=number(3))
    calibration = Calibration(np.array([1, 2], np.float32), [1, 2], decision)  # type: ignore[arg-type]
    document = json.loads(json.dumps(calibration.to_dict()))
    assert document["decision"] == decision.to_dict()
    assert document["decision"]["threshold"] == 3.0
    assert {type(value) for value in (decision.false_alarms, decision.review_budget, decision.threshold)} == {float}
    assert (calibration.scores.dtype, calibration.peaks.dtype) == (np.float64, np.float64)
    assert calibration.verdict(number(4)) == "ng"
    assert calibration.p_value(number(2)) == calibration.p_value(2.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"false_alarms": "0.1"}, r"`false_alarms` must be in \[0, 1\); got '0\.1'\. For one percent"),
        ({"false_alarms": True}, r"`false_alarms` must be in \[0, 1\); got True"),
        ({"review_budget": None}, r"`review_budget` must be in \[0, 1\); got None"),
        ({"by": "value", "threshold": "3"}, "`threshold` must be a finite number; got '3'"),
        ({"by": "value", "threshold": True}, "`threshold` must be a finite number; got True"),
    ],
)
def test_what_is_no_number(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Decision(**settings)


def test_scores_that_are_no_numbers() -> None:
    with pytest.raises(DataError, match="calibration scores must be numbers; got <U1"):
        Calibration(np.array(["1"]), np.array(["1"]))
    good = Calibration(np.array([1.0]), np.array([1.0]))
    for ask in (good.verdict, good.p_value):
        with pytest.raises(ParameterError, match="`score` must be a number; got '1'"):
            ask("1")  # type: ignore[arg-type]


def test_results_with_arrays_are_equal_to_themselves_alone() -> None:
    one, other = (Calibration(np.array([1.0, 2.0]), np.array([1.0, 2.0])) for _ in range(2))
    assert one != other
    assert one in [other, one]
    assert one in {one, other}
    assert Decision(evidence={"data": "部品"}) == Decision(evidence={"data": "部品"})
    assert len({Decision(evidence={"data": "部品"}), Decision(evidence={"data": "部品"})}) == 1
