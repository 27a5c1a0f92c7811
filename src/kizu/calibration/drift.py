"""Whether new scores still come from where the calibration scores came from: a test that may look after every part.

Each new score is ranked among the calibration scores and the new ones before it, ties settled by lot. As long as all
of them are exchangeable, these online conformal p-values are independent and uniform, exactly, whatever the scores'
distribution (Vovk, Gammerman, Shafer: "Algorithmic Learning in a Random World", Springer 2005, chapters 2 and 7). A
gambler who bets against that, each bet fair, then has no more on average than at the start; and that his capital ever
grows a hundredfold has a probability of at most 1/100 (Ville's inequality). So the alarm is the capital reaching
1/``false_alarm_rate``, and one false alarm in that share of streams is all there can be, however long they are looked
at.

He bets as the Simple Jumper of Vovk, Petej, Nouretdinov, Ahlberg, Carlsson, Gammerman ("Retrain or not retrain:
conformal test martingales for change-point detection", COPA 2021): capital lies on several bets and a share of it
moves to the others at every step. Differences: more bets (p-values low, very low, high, very high, at both ends, in
the middle, and on none of these; the paper has 1 + εp for three ε), and the mean over three rates of moving instead
of one.

An alarm says that scores differ, not why: a lamp, a lens, another batch of material, or labels in the folder's order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from kizu.errors import DataError, bad_parameter
from kizu.progress import Advance, ignore

Float64 = npt.NDArray[np.float64]
Direction = Literal["higher", "lower", "spread"]

_MOVING = np.array([[1e-4], [1e-3], [1e-2]])
_BLOCK = 256
_CLEARLY = 1.5  # a shift changes distances from the middle too; spread is what explains much more
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(frozen=True, eq=False)
class Drift:
    """Whether ``(m,)`` scores drifted from where they began.

    ``p_values`` ``(m,)``: online conformal ones, small for scores higher than before. ``evidence`` ``(m,)``: log10 of
    the gambler's capital after each score; an alarm from ``limit`` on. ``alarm``: the place of the score that raised
    it, ``since`` the place from which on scores seem to differ, ``direction`` how; None without an alarm.
    """

    p_values: Float64
    evidence: Float64
    limit: float
    alarm: int | None
    since: int | None
    direction: Direction | None

    def __post_init__(self) -> None:
        if self.p_values.ndim != 1 or self.p_values.shape != self.evidence.shape:
            raise ValueError(f"p-values {self.p_values.shape} and evidence {self.evidence.shape} do not match")

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, without the arrays."""
        return {
            "drifted": self.alarm is not None,
            "scores": len(self.p_values),
            "evidence_log10": float(self.evidence[-1]) if len(self.evidence) else 0.0,
            "highest_evidence_log10": float(self.evidence.max(initial=0.0)),
            "limit_log10": self.limit,
            "alarm": self.alarm,
            "since": self.since,
            "direction": self.direction,
        }


def watch(
    calibration: ArrayLike,
    scores: ArrayLike,
    *,
    false_alarm_rate: float = 0.01,
    rng: np.random.Generator | None = None,
    advance: Advance = ignore,
) -> Drift:
    """Test whether ``scores`` ``(m,)``, in the order they came, are exchangeable with ``calibration`` ``(n,)``.

    ``calibration`` may be empty: the scores are then compared with earlier ones alone. ``rng`` settles ties (default:
    seed 0). ``advance`` is called with the number of scores done with.

    Raises:
        ParameterError: ``false_alarm_rate`` is not in (0, 1).
        DataError: a score is not a finite number.

    >>> rng = np.random.default_rng(0)
    >>> found = watch(rng.normal(size=100), np.concatenate([rng.normal(size=50), rng.normal(2, 1, size=50)]))
    >>> found.alarm is not None and 50 <= found.alarm < 70, abs(found.since - 50) < 5, found.direction
    (True, True, 'higher')
    """
    if not 0 < false_alarm_rate < 1:
        raise bad_parameter("false_alarm_rate", "in (0, 1)", false_alarm_rate, "For one percent write 0.01.")
    known, new = (_checked(values) for values in (calibration, scores))
    p_values = online_p_values(known, new, rng or np.random.default_rng(0))
    capital = evidence(p_values, advance)
    limit = -math.log10(false_alarm_rate)
    reached = np.flatnonzero(capital >= limit)
    if not len(reached):
        return Drift(p_values, capital, limit, None, None, None)
    alarm = int(reached[0])
    since, direction = change_point(known, new[: alarm + 1])
    return Drift(p_values, capital, limit, alarm, since, direction)


def online_p_values(calibration: Float64, scores: Float64, rng: np.random.Generator) -> Float64:
    """``(m,)`` in (0, 1]: the share of scores so far, the new one included, that are higher; equal ones by lot."""
    found, pool = np.empty(len(scores)), np.sort(calibration)
    for start in range(0, len(scores), _BLOCK):
        block = scores[start : start + _BLOCK]
        earlier = np.tri(len(block), k=-1, dtype=np.bool_)  # [i, j]: j came before i
        left, right = (np.searchsorted(pool, block, side=side) for side in _SIDES)
        higher = len(pool) - right + (earlier & (block > block[:, None])).sum(axis=1)
        equal = right - left + 1 + (earlier & (block == block[:, None])).sum(axis=1)
        lots = 1 - rng.random(len(block))
        found[start : start + len(block)] = (higher + lots * equal) / (len(pool) + 1 + np.arange(len(block)))
        pool = np.sort(np.concatenate([pool, block]), kind="stable")
    return found


def evidence(p_values: Float64, advance: Advance = ignore) -> Float64:
    """log10 of the gambler's capital after each p-value ``(m,)`` in (0, 1], from 1 at the start."""
    odds = _bets(p_values)
    capital, total = np.full((len(_MOVING), len(odds)), 1 / (len(_MOVING) * len(odds))), 0.0
    found = np.empty(len(p_values))
    for place in range(len(p_values)):
        moved = capital + _MOVING * (capital.mean(axis=1, keepdims=True) - capital)
        capital = np.maximum(moved * odds[:, place], 1e-300)
        grown = float(capital.sum())
        capital /= grown
        total += math.log10(grown)
        found[place] = total
        if (place + 1) % _BLOCK == 0:
            advance(_BLOCK)
    advance(len(p_values) % _BLOCK)
    return found


def _bets(p: Float64) -> Float64:
    """``(9, m)``: what each bet pays; 1 in the mean over uniform p-values, never below 0."""
    line, bowl = p - 0.5, 6 * p**2 - 6 * p + 1
    far = np.clip(p, 1e-9, 1 - 1e-9)
    power = 0.5 / np.sqrt(far), 0.5 / np.sqrt(1 - far)
    return np.stack([np.ones_like(p), 1 - line, 1 + line, 1 - 2 * line, 1 + 2 * line, 1 + bowl, 1 - bowl, *power])


def change_point(calibration: Float64, scores: Float64) -> tuple[int, Direction]:
    """From which place on ``scores`` differ most from what came before, and how.

    Of every division of them, the one with the largest difference of mean ranks in standard errors (of ranks as they
    are: higher or lower; of their distance from the middle: spread). An estimate, within some ten parts as a rule.
    """
    together = np.concatenate([calibration, scores])
    _, row, counts = np.unique(together, return_inverse=True, return_counts=True)
    ranks = ((np.cumsum(counts) - (counts + 1) / 2 + 0.5) / len(together))[row] - 0.5
    shifted, spread = (_differences(values, len(calibration)) for values in (ranks, np.abs(ranks)))
    if np.abs(spread).max() > _CLEARLY * np.abs(shifted).max():
        return int(np.abs(spread).argmax()), "spread"
    since = int(np.abs(shifted).argmax())
    return since, "higher" if shifted[since] > 0 else "lower"


def _differences(values: Float64, known: int) -> Float64:
    """For each place behind the first ``known``: how much higher values are from there on, in standard errors."""
    count, deviation = len(values), float(values.std())
    at = np.arange(known, count)
    after, before = count - at, np.maximum(at, 1)
    tails = np.cumsum(values[::-1])[::-1][known:]
    heads = values.sum() - tails
    error = deviation * np.sqrt(1 / after + 1 / before)
    differences = np.where(at > 0, tails / after - heads / before, 0.0)  # with nothing before there is no difference
    return np.divide(differences, error, out=np.zeros(len(at)), where=error > 0)


def _checked(values: ArrayLike) -> Float64:
    found = np.asarray(values, np.float64).reshape(-1)
    if not np.isfinite(found).all():
        where = int(np.flatnonzero(~np.isfinite(found))[0])
        raise DataError(f"score {where} is {found[where]}: drift needs finite scores; look at its image.")
    return found
