"""Thresholds from labelled parts, and what to expect of them.

A threshold fitted to labelled parts looks better on those than on any others. So the figures that go with it are
cross-validated: the parts are divided into folds, good ones and defects each evenly; each fold is judged by the
threshold that the *other* folds lead to; repeated with other divisions and averaged. The threshold that is kept is
that of all parts.

Intervals: of shares, Clopper and Pearson's with the mean count of errors (`kizu.calibration.binomial`); of F1 and
cost, the central part of 4,000 draws of both shares from their Jeffreys posteriors. They tell what so few parts leave
open; that the folds' thresholds differ a little from the one that is kept, they do not tell.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from kizu.arguments import number
from kizu.calibration.binomial import CONFIDENCE, check_confidence, clopper_pearson
from kizu.counts import ScoreCounts, checked_scores, count_scores
from kizu.errors import DataError, bad_parameter

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Interval = tuple[float, float]

_DRAWS = 4000


@dataclass(frozen=True)
class BestF1:
    """The threshold with the highest F1."""

    by: Literal["f1"] = "f1"

    def worth(self, missed: Float64, false_alarms: Float64, bad: int, good: int) -> Float64:
        return _f1(missed, false_alarms, bad, good)


@dataclass(frozen=True)
class Recall:
    """The highest threshold that finds ``share`` of the defects at hand. Raises `ParameterError` outside (0, 1]."""

    share: float
    by: Literal["recall"] = "recall"

    def __post_init__(self) -> None:
        hint = "For all but one defect in twenty write 0.95."
        share = number("recall", self.share, "in (0, 1]", hint)
        if not 0 < share <= 1:
            raise bad_parameter("recall", "in (0, 1]", share, hint)
        object.__setattr__(self, "share", share)

    def worth(self, missed: Float64, false_alarms: Float64, bad: int, good: int) -> Float64:
        return np.where((1 - missed) * bad >= self.share * bad - 1e-9, 1.0, 0.0)


@dataclass(frozen=True)
class Cost:
    """The threshold with the least cost a part.

    ``miss``: what a defect costs that passes; ``false_alarm``: what a good part costs that is called NG; any unit.
    ``defect_rate``: the share of defects in production (None: as in the data). Raises `ParameterError`.
    """

    miss: float
    false_alarm: float
    defect_rate: float | None = None
    by: Literal["cost"] = "cost"

    def __post_init__(self) -> None:
        for name in ("miss", "false_alarm"):
            cost = number(f"cost_{name}", getattr(self, name), "a number above 0")
            if not 0 < cost < math.inf:
                raise bad_parameter(f"cost_{name}", "a number above 0", cost)
            object.__setattr__(self, name, cost)
        if self.defect_rate is not None:
            object.__setattr__(self, "defect_rate", self._rate(self.defect_rate))

    @staticmethod
    def _rate(given: float) -> float:
        hint = "For one in a thousand write 0.001."
        rate = number("defect_rate", given, "in (0, 1)", hint)
        if not 0 < rate < 1:
            raise bad_parameter("defect_rate", "in (0, 1)", rate, hint)
        return rate

    def a_part(self, missed: Float64, false_alarms: Float64, bad: int, good: int) -> Float64:
        """What errors cost, in the mean over all parts, good and bad."""
        rate = bad / (bad + good) if self.defect_rate is None else self.defect_rate
        return rate * self.miss * missed + (1 - rate) * self.false_alarm * false_alarms

    def worth(self, missed: Float64, false_alarms: Float64, bad: int, good: int) -> Float64:
        return -self.a_part(missed, false_alarms, bad, good)


Rule = BestF1 | Recall | Cost
"""What makes one threshold better than another: ``worth(missed, false_alarms, bad, good)``, from the shares of
``bad`` defects missed and of ``good`` parts called NG, is higher then."""


@dataclass(frozen=True)
class CrossValidated:
    """What to expect of the threshold on other parts of the kind, good ones and defects mixed as in the data.

    Shares and intervals ``(low, high)`` of ``confidence``: ``false_alarms`` of the ``good`` parts, ``missed`` of the
    ``bad``; ``f1``; ``cost`` a part (None unless the rule is `Cost`). ``thresholds``: lowest and highest of the
    folds.
    """

    false_alarms: float
    false_alarms_interval: Interval
    missed: float
    missed_interval: Interval
    f1: float
    f1_interval: Interval
    cost: float | None
    cost_interval: Interval | None
    thresholds: Interval
    good: int
    bad: int
    folds: int
    repeats: int
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


def best_threshold(scores: ArrayLike, labels: ArrayLike, rule: Rule) -> float:
    """The threshold that the rule likes best, of equally good ones the highest; half-way between two scores.

    ``scores`` ``(n,)``; ``labels`` ``(n,)`` bool, True for defects. A part is NG above it.

    Raises `DataError` for scores that are not finite numbers, or one class only.

    >>> best_threshold([1.0, 2.0, 4.0, 5.0], [False, False, True, True], BestF1())
    3.0
    """
    counts = count_scores(scores, labels)
    bad, good = _both(counts)
    worth = rule.worth(1 - counts.tp / bad, counts.fp / good, bad, good)
    highest = float(worth.max())
    best = int(np.argmax(worth >= highest - 1e-12 * abs(highest)))  # equal but for rounding is equal
    return _half_way(counts, best)


def cross_validate(
    scores: ArrayLike,
    labels: ArrayLike,
    rule: Rule,
    *,
    folds: int = 5,
    repeats: int = 20,
    confidence: float = CONFIDENCE,
    rng: np.random.Generator | None = None,
) -> CrossValidated:
    """What to expect of `best_threshold`; with fewer good parts or defects than ``folds``, as many folds as those.

    ``rng`` draws the folds (default: seed 0).

    Raises:
        DataError: fewer than two good parts or two defects, or scores that are not finite numbers.
        ParameterError: fewer than two folds, no repeats, or a confidence out of range.
    """
    check_confidence(confidence)
    if folds < 2 or repeats < 1:
        raise bad_parameter("folds, repeats", "two or more, and one or more", (folds, repeats))
    values, truth = checked_scores(scores, labels)
    good, bad = int((~truth).sum()), int(truth.sum())
    if min(good, bad) < 2:
        raise DataError(
            f"cross-validation needs two good parts and two defects at least; got {good} and {bad}. Add labelled "
            "images, or choose a threshold from good images alone: `kizu threshold MODEL --false-alarms 0.01`."
        )
    folds = min(folds, good, bad)
    rng = rng or np.random.default_rng(0)
    rounds = [_out_of_fold(values, truth, rule, folds, rng) for _ in range(repeats)]
    called = np.mean([flagged for flagged, _ in rounds], axis=0)
    limits = np.concatenate([chosen for _, chosen in rounds])
    return _expected(called, truth, rule, (limits.min(), limits.max()), folds, repeats, confidence, rng)


def _out_of_fold(
    values: Float64, truth: Bools, rule: Rule, folds: int, rng: np.random.Generator
) -> tuple[Bools, Float64]:
    """Which parts are called NG by the threshold of the folds they are not in, and those thresholds."""
    fold = np.empty(len(values), np.int64)
    for label in (False, True):
        places = np.flatnonzero(truth == label)
        fold[rng.permutation(places)] = np.arange(len(places)) % folds
    chosen = [best_threshold(values[fold != f], truth[fold != f], rule) for f in range(folds)]
    limits = np.array(chosen)
    return values > limits[fold], limits


def _expected(
    called: Float64,
    truth: Bools,
    rule: Rule,
    thresholds: tuple[Any, Any],
    folds: int,
    repeats: int,
    confidence: float,
    rng: np.random.Generator,
) -> CrossValidated:
    good, bad = int((~truth).sum()), int(truth.sum())
    alarms, misses = float(called[~truth].sum()), bad - float(called[truth].sum())
    drawn = rng.beta(misses + 0.5, bad - misses + 0.5, _DRAWS), rng.beta(alarms + 0.5, good - alarms + 0.5, _DRAWS)
    rates = np.array(misses / bad), np.array(alarms / good)
    return CrossValidated(
        false_alarms=alarms / good,
        false_alarms_interval=_pair(*clopper_pearson(alarms, good, confidence)),
        missed=misses / bad,
        missed_interval=_pair(*clopper_pearson(misses, bad, confidence)),
        f1=float(_f1(*rates, bad, good)),
        f1_interval=_central(_f1(*drawn, bad, good), confidence),
        cost=float(rule.a_part(*rates, bad, good)) if isinstance(rule, Cost) else None,
        cost_interval=_central(rule.a_part(*drawn, bad, good), confidence) if isinstance(rule, Cost) else None,
        thresholds=_pair(*thresholds),
        good=good,
        bad=bad,
        folds=folds,
        repeats=repeats,
        confidence=confidence,
    )


def _f1(missed: Float64, false_alarms: Float64, bad: int, good: int) -> Float64:
    caught = (1 - missed) * bad
    return 2 * caught / (caught + false_alarms * good + bad)


def _central(values: Float64, confidence: float) -> Interval:
    return _pair(*np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2]))


def _pair(low: Any, high: Any) -> Interval:
    return float(low), float(high)


def _both(counts: ScoreCounts) -> tuple[int, int]:
    """Numbers of defects and of good parts."""
    if not counts.has_both:
        kind = "defects" if not counts.totals[0] else "good parts"
        raise DataError(
            f"there are no {kind} among the labelled images, so no threshold can be told from them. Add some, or "
            "choose one from good images alone: `kizu threshold MODEL --false-alarms 0.01`."
        )
    return counts.totals


def _half_way(counts: ScoreCounts, place: int) -> float:
    """Between the lowest score flagged and the highest that is not; the same verdicts as ``thresholds[place]``."""
    below = float(counts.thresholds[place])
    if place in (0, len(counts.thresholds) - 1):
        return below
    above = float(counts.thresholds[place - 1])
    middle = below + (above - below) / 2
    return middle if below <= middle < above else below
