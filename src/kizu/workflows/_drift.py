"""Whether recent scores still come from where a model's calibration scores came from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from kizu.arguments import Paths, number
from kizu.calibration import Calibration
from kizu.calibration.binomial import at_least_beyond
from kizu.calibration.drift import Drift, watch
from kizu.errors import DataError, KizuWarning, bad_parameter
from kizu.inspector import Inspector
from kizu.progress import Progress, Silent
from kizu.report.html.chance import LEVEL
from kizu.workflows._predictions_file import PredictedRow, read_predictions

BLOCKS = 10
"""Parts the rows are divided into, for shares over time."""

_SAME = 1e-5
"""Share by which numbers differ at most that a table and a model have in common: tables keep six digits."""


@dataclass(frozen=True)
class Period:
    """Rows ``first`` to ``last`` (from 0, both included) and what became of them.

    ``ng`` and ``review``: their shares by the model's thresholds. ``middle``: the median of the p-values that the
    calibration gives them; about 0.5 for good parts alone, lower for scores higher than usual.
    """

    first: int
    last: int
    ng: float
    review: float
    middle: float


@dataclass(frozen=True, eq=False)
class DriftFound:
    """What rows of predictions say about drift.

    ``scores``: of the ``watched`` rows (their places among all ``rows``), compared with ``known`` calibration scores.
    ``ng``: whether the share of NG changed among the rows. Each alarms falsely with at most half of
    ``false_alarm_rate``, both together with at most all of it, however often they are looked at.

    ``ng_share`` of the rows are NG, where the calibration promises at most ``ng_promised`` of good parts.
    ``ng_beyond``: whether that is more than chance explains, at the 5 % level. Defects bring it about too, so it is
    no alarm.
    """

    model: Path
    rows: tuple[PredictedRow, ...]
    watched: tuple[int, ...]
    known: int
    scores: Drift
    ng: Drift
    ng_share: float
    ng_promised: float
    ng_beyond: bool
    threshold: float
    periods: tuple[Period, ...]
    false_alarm_rate: float

    @property
    def drifted(self) -> bool:
        """Whether either alarms."""
        return self.scores.alarm is not None or self.ng.alarm is not None

    def row(self, place: int) -> PredictedRow:
        """The row of a place among the watched ones, which ``scores`` counts."""
        return self.rows[self.watched[place]]

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints; rows are counted from 0 over all tables."""
        return {
            "model": str(self.model),
            "drifted": self.drifted,
            "rows": len(self.rows),
            "watched": len(self.watched),
            "calibration_scores": self.known,
            "false_alarm_rate": self.false_alarm_rate,
            "scores": _told(self.scores, self.rows, self.watched),
            "ng": {
                **_told(self.ng, self.rows, range(len(self.rows))),
                "share": self.ng_share,
                "promised": self.ng_promised,
                "beyond_promise": self.ng_beyond,
            },
            "periods": [vars(period) for period in self.periods],
        }


def find_drift(
    model: str | Path | Inspector,
    predictions: Paths,
    *,
    false_alarm_rate: float = 0.01,
    every_row: bool = False,
    rows_alone: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> DriftFound:
    """Test whether the scores in a ``predictions.csv``, or in several in their order, drifted from the model's
    calibration.

    Scores at or above the NG threshold are left out, on both sides, since defects are no drift; ``every_row`` takes
    them too. ``rows_alone`` compares rows with earlier rows only. ``seed`` settles ties.

    Raises:
        ModelFileError: the model is missing or damaged.
        DataError: a table cannot be read or is none, or no row is left to watch.
        ParameterError: ``false_alarm_rate`` is not in (0, 1).
    """
    hint = "For one percent write 0.01."
    if not 0 < number("false_alarm_rate", false_alarm_rate, "in (0, 1)", hint) < 1:
        raise bad_parameter("false_alarm_rate", "in (0, 1)", false_alarm_rate, hint)
    inspector = model if isinstance(model, Inspector) else Inspector.look(model)
    path = Path() if isinstance(model, Inspector) else Path(model)
    calibration = cast(Calibration, inspector.calibration)
    rows = read_predictions(predictions)
    _warn_of_others(rows, calibration, path)
    scores = np.array([row.score for row in rows])
    watched, known = _watched(scores, calibration, every_row, rows_alone)
    rng = np.random.default_rng(seed)
    with (progress or Silent()).stage("Looking for drift", len(watched) + len(rows)) as advance:
        drift = watch(known, scores[watched], false_alarm_rate=false_alarm_rate / 2, rng=rng, advance=advance)
        called = (scores > calibration.threshold).astype(np.float64)
        ng = watch([], called, false_alarm_rate=false_alarm_rate / 2, rng=rng, advance=advance)
    promised, beyond = _against_promise(calibration, int(called.sum()), len(rows))
    return DriftFound(
        model=path,
        rows=tuple(rows),
        watched=tuple(watched.tolist()),
        known=len(known),
        scores=drift,
        ng=ng,
        ng_share=float(called.mean()),
        ng_promised=promised,
        ng_beyond=beyond,
        threshold=calibration.threshold,
        periods=_periods(scores, calibration),
        false_alarm_rate=false_alarm_rate,
    )


def _against_promise(calibration: Calibration, ng: int, rows: int) -> tuple[float, bool]:
    """The share of good parts that are NG at most, in expectation, and whether so many of the rows are beyond it.

    With k of n calibration scores above it the threshold is no lower than the (k + 1)-th highest, whoever chose it;
    what exceeds that one among further good parts is beta-binomial.
    """
    above, count = int((calibration.scores > calibration.threshold).sum()), len(calibration.scores)
    if above == count:
        return 1.0, False
    return (above + 1) / (count + 1), at_least_beyond(ng, rows, above + 1, count) < LEVEL


def _watched(
    scores: npt.NDArray[np.float64], calibration: Calibration, every_row: bool, rows_alone: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The rows to look at, and the calibration scores to compare them with.

    Below the threshold both sides are exchangeable again; the threshold itself, one of the calibration scores mostly,
    is no draw from there, so scores equal to it are left out too.
    """
    limit = np.inf if every_row else calibration.threshold
    watched = np.flatnonzero(scores < limit)
    if not len(watched):
        raise DataError(
            f"no row is below the threshold {limit:.6g}, so none is left to look for drift; use --all to look at "
            "every row."
        )
    return watched, np.zeros(0) if rows_alone else calibration.scores[calibration.scores < limit]


def _warn_of_others(rows: Sequence[PredictedRow], calibration: Calibration, model: Path) -> None:
    """Say so when another model scored a row: its p-value, which no decision changes, is not this one's; by the
    threshold, where a table has no p-values, that is only likely.
    """
    here = model.name or "this model"
    for row in rows:
        at = f"{row.file}, line {row.line}"
        if row.p_value is not None:
            own = calibration.p_value(row.score)
            if _close(row.p_value, own):
                continue
            found = (
                f"{at}: scored by another model than {here}, or by this one before an update: it gave the p-value "
                f"{row.p_value:.6g}, where {here} has {own:.6g}. Such rows say nothing here; inspect those images "
                "again."
            )
        elif row.threshold is None or _close(row.threshold, calibration.threshold):
            continue
        else:
            found = (
                f"{at}: written under the threshold {row.threshold:.6g}, not {calibration.threshold:.6g}. If that "
                f"was another model than {here}, its scores say nothing here; if only the decision was changed "
                "since, all is well."
            )
        warnings.warn(found, KizuWarning, stacklevel=3)
        return


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME * max(abs(one), abs(other))


def _periods(scores: npt.NDArray[np.float64], calibration: Calibration) -> tuple[Period, ...]:
    ends = np.linspace(0, len(scores), min(BLOCKS, len(scores)) + 1).astype(int)
    return tuple(_period(scores, int(first), int(end), calibration) for first, end in pairwise(ends))


def _period(scores: npt.NDArray[np.float64], first: int, end: int, calibration: Calibration) -> Period:
    part = scores[first:end]
    ng = part > calibration.threshold
    review = (part > calibration.review_threshold) & ~ng
    middle = float(np.median([calibration.p_value(float(score)) for score in part]))
    return Period(first, end - 1, float(ng.mean()), float(review.mean()), middle)


def _told(found: Drift, rows: Sequence[PredictedRow], places: Sequence[int]) -> dict[str, Any]:
    """A `Drift` for JSON, with rows counted over all tables and named."""

    def named(place: int | None) -> dict[str, Any] | None:
        if place is None:
            return None
        row = rows[places[place]]
        return {"row": places[place], "file": str(row.file), "line": row.line, "path": row.path}

    return {**found.to_dict(), "alarm": named(found.alarm), "since": named(found.since)}
