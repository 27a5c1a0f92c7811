"""How seldom `kizu drift` alarms when nothing changed, and how soon when something did.

Rows of kind *nothing changed*: streams that are exchangeable with the calibration, looked at after every part; the
share of them that ever alarms must not exceed the rate asked for. They are drawn from a normal distribution; real
scores of good solar cells (each left out) in random orders, some as calibration, the others as stream; and, as in
use, those as calibration and cells that the fit never saw as stream.

Other rows: after 100 parts the scores shift by so many standard deviations, or cells are darkened, blurred or
recompressed before they are scored. *delay* is how many parts later the alarm comes (median of those that alarm),
*date* how far the reported beginning is from the true one (median).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import _good_scores
import _results
from kizu.calibration import conformal
from kizu.calibration.drift import watch

Float64 = npt.NDArray[np.float64]
Stream = Callable[[np.random.Generator], tuple[Float64, Float64]]

UNCHANGED = 100
"""Parts before a change."""


def first_alarm(
    calibration: Float64, scores: Float64, rate: float, every_row: bool, rng: np.random.Generator
) -> tuple[int, int] | None:
    """The rows of the first alarm and of the beginning it reports, by both tests of the command."""
    limit = conformal.threshold(calibration, 0.01)
    below = np.inf if every_row else limit
    rows, every = np.flatnonzero(scores < below), np.arange(len(scores))
    found = watch(calibration[calibration < below], scores[rows], false_alarm_rate=rate / 2, rng=rng)
    ng = watch([], (scores > limit).astype(np.float64), false_alarm_rate=rate / 2, rng=rng)
    alarms = [
        (int(places[one.alarm]), int(places[one.since]))
        for one, places in ((found, rows), (ng, every))
        if one.alarm is not None and one.since is not None
    ]
    return min(alarms, default=None)


def measure(
    data: str, change: str, stream: Stream, rate: float, runs: int, at: int | None, *, every_row: bool = False
) -> _results.Row:
    """Watch ``runs`` streams that change at row ``at``, or never."""
    delays, dates, early, length, known = [], [], 0, 0, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        calibration, scores = stream(rng)
        length, known = len(scores), len(calibration)
        found = first_alarm(calibration, scores, rate, every_row, rng)
        if found is not None and (at is None or found[0] < at):
            early += 1
        elif found is not None and at is not None:
            delays.append(found[0] - at)
            dates.append(abs(found[1] - at))
    return {
        "data": data,
        "change": change,
        "calibration": known,
        "parts": length,
        "rows": "all" if every_row else "not NG",
        "rate": rate,
        "runs": runs,
        "false_alarms": early / runs,
        "found": None if at is None else len(delays) / runs,
        "delay": float(np.median(delays)) if delays else None,
        "date": float(np.median(dates)) if dates else None,
    }


def normal(count: int, length: int, shift: float) -> Stream:
    def drawn(rng: np.random.Generator) -> tuple[Float64, Float64]:
        scores = rng.normal(size=length)
        scores[UNCHANGED:] += shift
        return rng.normal(size=count), scores

    return drawn


def shuffled(scores: Float64, count: int) -> Stream:
    def drawn(rng: np.random.Generator) -> tuple[Float64, Float64]:
        order = rng.permutation(scores)
        return order[:count], order[count:]

    return drawn


def others(calibration: Float64, unseen: Float64) -> Stream:
    return lambda rng: (calibration, rng.permutation(unseen))


def changed(calibration: Float64, unseen: Float64, altered: Float64) -> Stream:
    def drawn(rng: np.random.Generator) -> tuple[Float64, Float64]:
        order = rng.permutation(len(unseen))
        return calibration, np.concatenate([unseen[order[:UNCHANGED]], altered[order[UNCHANGED:]]])

    return drawn


def unchanged_rows(options: argparse.Namespace, real: dict[str, dict[str, Float64]]) -> list[_results.Row]:
    cases: list[tuple[str, Stream]] = [("normal", normal(count, 1000, 0.0)) for count in options.calibration]
    for name, scores in real.items():
        cases.append((f"{name}, random orders", shuffled(scores["calibration"], len(scores["calibration"]) // 3)))
        cases.append((f"{name}, others", others(scores["calibration"], scores["unseen"])))
    return [
        measure(data, "nothing", stream, rate, options.runs, None) for data, stream in cases for rate in (0.01, 0.1)
    ]


def changed_rows(options: argparse.Namespace, real: dict[str, dict[str, Float64]]) -> list[_results.Row]:
    rows = []
    for count in options.calibration:
        for shift in (0.25, 0.5, 1.0, 2.0, -0.25, -0.5, -1.0, -2.0):
            stream = normal(count, 1100, shift)
            rows.append(measure("normal", f"{shift:+g} sd", stream, 0.01, max(1, options.runs // 5), UNCHANGED))
    for name, scores in real.items():
        for change in _good_scores.ALTERED:
            stream = changed(scores["calibration"], scores["unseen"], scores[change])
            rows += [
                measure(name, change, stream, 0.01, max(1, options.runs // 5), UNCHANGED, every_row=every_row)
                for every_row in (False, True)
            ]
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    real = {
        f"solar cells, {kind}": _good_scores.cells(
            kind, options.keep and options.keep.with_name(f"{options.keep.name}-{kind}.npz"), options.limit
        )
        for kind in options.solar
    }
    rows = [*unchanged_rows(options, real), *changed_rows(options, real)]
    key = ("data", "change", "calibration", "rows", "rate")
    _results.save("drift", rows, key=key, folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--calibration", type=_results.listed(int), default=[50, 300], help="images (50,300)")
    parser.add_argument(
        "--runs", type=int, default=1000, help="streams of each kind; a fifth of it with a change (1000)"
    )
    parser.add_argument(
        "--solar", type=_results.listed(str), default=["mono", "poly"], help="cells; '': none (mono,poly)"
    )
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where scores of cells are kept for the next run")
    parser.add_argument("--limit", type=int, help="use so many cells of each kind only, for a quick look")
    return parser


if __name__ == "__main__":
    _results.run(main)
