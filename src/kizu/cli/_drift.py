"""``kizu drift``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.cli import _options
from kizu.wording import plural

if TYPE_CHECKING:
    from kizu.workflows import DriftFound


def drift(
    model: _options.Model,
    predictions: Annotated[
        list[Path],
        typer.Argument(help="Tables that `kizu predict --out` wrote, oldest first.", metavar="PREDICTIONS"),
    ],
    false_alarm_rate: Annotated[
        float,
        typer.Option(help="Probability of ever alarming though nothing has changed, at most.", metavar="SHARE"),
    ] = 0.01,
    every_row: Annotated[
        bool, typer.Option("--all", help="Look at every row, NG too; defects then count as drift. [default: off]")
    ] = False,
    rows_alone: Annotated[
        bool,
        typer.Option(
            "--rows-alone", help="Compare rows with earlier rows only, not with the calibration. [default: off]"
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw scores and evidence to a PNG, which replaces an earlier plot alone; needs "
            'pip install "kizu[report]". [default: none]',
            metavar="FILE",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Settles ties between equal scores.", metavar="N", min=0)] = 0,
    as_json: _options.Json = False,
) -> None:
    """Tell whether recent images still score as the good ones did.

    Tests the rows in the order of the tables, one after the other, and says since which row they differ.
    """
    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.workflows import check_plot, draw_drift, find_drift

    if plot is not None:
        check_plot(plot)
    result = find_drift(
        model,
        predictions,
        false_alarm_rate=false_alarm_rate,
        every_row=every_row,
        rows_alone=rows_alone,
        seed=seed,
        progress=Bars(),
    )
    if as_json:
        _show.document(result.to_dict())
    else:
        _show.lines(_lines(result))
    if plot is not None:  # after the answer, which must not be lost with it
        draw_drift(result, plot)
        _show.lines([] if as_json else [f"Wrote {plot}."])


_HOW = {
    "higher": "scores are higher than before",
    "lower": "scores are lower than before",
    "spread": "scores spread differently than before",
}


def _lines(result: DriftFound) -> Iterator[str]:
    left_out = len(result.rows) - len(result.watched)
    against = f"{result.known} calibration scores and earlier rows" if result.known else "earlier rows"
    without = f" ({left_out} at or above the threshold left out)" if left_out else ""
    yield f"{plural(len(result.rows), 'row')}{without}, each compared with {against}."
    yield from _scores(result)
    yield from _ng(result)
    yield f"Both together alarm falsely with a probability of at most {result.false_alarm_rate:g}, however long."
    if result.ng_beyond:
        yield (
            f"MORE NG THAN PROMISED: {_percent(result.ng_share)} of the rows, where it is at most "
            f"{_percent(result.ng_promised)} of good parts. Look at the parts: they are defective, or not like those "
            "that calibrated."
        )
    yield ""
    yield f"  {'rows':<16}{'NG':<10}{'REVIEW':<10}median p-value"
    for period in result.periods:
        rows = f"{period.first + 1} to {period.last + 1}"
        yield f"  {rows:<16}{_percent(period.ng):<10}{_percent(period.review):<10}{period.middle:.2f}"
    if result.drifted:
        yield ""
        yield "Look at lamp, lens, focus, position, material. If all is as it should be, fit or update the model."


def _scores(result: DriftFound) -> Iterator[str]:
    found = result.scores
    if found.alarm is None or found.since is None or found.direction is None:
        highest, limit = _odds(found.evidence.max()), _odds(found.limit)
        yield f"Scores: no drift. The highest evidence is {highest}; an alarm is raised from {limit} on."
        return
    alarm, since = result.row(found.alarm), result.row(found.since)
    yield f"Scores: DRIFT, {_HOW[found.direction]}, since about row {result.watched[found.since] + 1}"
    yield f"  ({since.file}, line {since.line}: {since.path})."
    yield (
        f"  Alarm at row {result.watched[found.alarm] + 1} ({alarm.file}, line {alarm.line}: {alarm.path}), "
        f"evidence {_odds(found.evidence[found.alarm])}."
    )


def _ng(result: DriftFound) -> Iterator[str]:
    found = result.ng
    if found.alarm is None or found.since is None:
        highest, limit = _odds(found.evidence.max()), _odds(found.limit)
        yield (
            f"NG: {_percent(result.ng_share)} of the rows; no change shown. The highest evidence is {highest}; an "
            f"alarm is raised from {limit} on."
        )
        return
    way = "RISES" if found.direction == "higher" else "FALLS" if found.direction == "lower" else "CHANGES"
    since, alarm = result.rows[found.since], result.rows[found.alarm]
    yield (
        f"NG: the share {way}, since about row {found.since + 1} ({since.file}, line {since.line}: "
        f"{since.path}); alarm at row {found.alarm + 1} ({alarm.file}, line {alarm.line})."
    )


def _odds(evidence: float) -> str:
    """10 ** evidence to 1, in words for people."""
    return f"{10**evidence:.3g} to 1" if evidence < 6 else f"10^{evidence:.0f} to 1"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
