"""Greedy k-center selection: certified blocks against the sequential form, on real features.

The peer is the textbook's loop as fast as NumPy makes it: rows centred, norms cached, one float32 matrix-vector
product a pick, everything in place. Its float32 distances do not settle near ties, so it may leave the true order; a
third form, sequential too but with every distance that counts computed anew in float64, says which picks are right.
Blocks that compare all pairs show what looking only at rows that come to matter is worth.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from unittest import mock

import numpy as np
import numpy.typing as npt

import _results
import _solar
from kizu.coreset import _cover, k_center_greedy

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Form = Callable[[Float32, int], Indices]


def blocks(rows: Float32, count: int) -> Indices:
    """What kizu does."""
    return k_center_greedy(rows, count).indices


def all_pairs(rows: Float32, count: int) -> Indices:
    """Certified blocks that compare every row with every centre, in as many threads and products of the same kind."""
    with mock.patch.multiple(_cover, WAVE_ROWS=len(rows) + 1, GROUPED_ROWS=len(rows) + 1):
        return k_center_greedy(rows, count).indices


def sequential(rows: Float32, count: int) -> Indices:
    """One pass over all rows a pick, in float32."""
    centred, norms = _centred(rows)
    nearest = np.full(len(rows), np.inf, dtype=np.float32)
    squared = np.empty_like(nearest)
    picks = np.zeros(count, dtype=np.int64)
    for place in range(1, count):
        _estimate(centred, norms, int(picks[place - 1]), squared)
        np.minimum(nearest, squared, out=nearest)
        picks[place] = nearest.argmax()
    return picks


def sequential_exact(rows: Float32, count: int) -> Indices:
    """The same, but float32 only rules out: a distance it may have wrong is computed again in float64."""
    centred, norms = _centred(rows)
    # |x|² + |y|² − 2x·y errs by at most (D + c)·u·(|x|² + |y|²) (Higham, eq. 3.5); c is generous.
    slack = np.float32((rows.shape[1] + 64) * np.finfo(np.float32).eps / 2)
    lower = norms * (1 - slack)
    nearest = np.full(len(rows), np.inf)
    squared = np.empty(len(rows), dtype=np.float32)
    picks = np.zeros(count, dtype=np.int64)
    for place in range(1, count):
        pick = int(picks[place - 1])
        _estimate(centred, lower, pick, squared)
        near = np.flatnonzero(squared <= nearest)
        nearest[near] = np.minimum(nearest[near], _exact(rows, near, pick))
        picks[place] = nearest.argmax()
    return picks


def _centred(rows: Float32) -> tuple[Float32, Float32]:
    """Rows about their mean, and their squared norms."""
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    return centred, np.einsum("nd,nd->n", centred, centred)


def _estimate(centred: Float32, norms: Float32, pick: int, out: Float32) -> None:
    """Squared distances of all rows to row ``pick``, into ``out``."""
    np.dot(centred, -2 * centred[pick], out=out)
    out += norms
    out += norms[pick]


def _exact(rows: Float32, which: Indices, pick: int) -> Float64:
    difference = rows[which].astype(np.float64) - rows[pick]
    total: Float64 = np.square(difference).sum(axis=1)
    return total


def run(rows: Float32, count: int, repeats: int, exact: bool) -> list[_results.Row]:
    """The forms in turn, so that a change of the machine's mood meets all; the exact one once."""
    seconds: dict[str, list[float]] = defaultdict(list)
    picks: dict[str, Indices] = {}
    forms: list[tuple[str, Form]] = [("blocks", blocks), ("blocks, all pairs", all_pairs), ("sequential", sequential)]
    forms *= repeats
    forms += [("sequential, exact", sequential_exact)] * exact
    for name, form in forms:
        _results.note(f"{name}: {count:,} of {rows.shape[0]:,} × {rows.shape[1]}")
        started = time.perf_counter()
        picks[name] = form(rows, count)
        seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["blocks"])
    return [_row(rows, name, picks, seconds[name], base) for name in picks]


def _row(rows: Float32, name: str, picks: dict[str, Indices], seconds: list[float], base: float) -> _results.Row:
    """Time and ratio of one form, and how far its picks are those of ``blocks``."""
    median, mine, ours = statistics.median(seconds), picks[name], picks["blocks"]
    both = min(len(mine), len(ours))
    differing = np.flatnonzero(mine[:both] != ours[:both])
    prefix = int(differing[0]) if len(differing) else both
    return {
        "rows": rows.shape[0],
        "dimensions": rows.shape[1],
        "picks": len(ours),
        "form": name,
        "ratio": median / base,
        "seconds": median,
        "ms_a_pick": median / len(mine) * 1e3,
        "same_picks": "yes" if prefix == len(mine) == len(ours) else "no",
        "same_prefix": prefix,
        "same_set": len(np.intersect1d(mine, ours)),
        "repeats": len(seconds),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    rows = _solar.rows(options.layers, options.images)
    if options.rows is not None:
        rows = rows[: options.rows]
    count = options.count or max(1, round(options.ratio * len(rows)))
    found = run(rows, count, options.repeats, not options.skip_exact)
    _results.save("coreset", found, key=("rows", "dimensions", "picks", "form"), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--images", type=int, default=320, help="good solar cells, 1,024 rows each (320)")
    names = _results.listed(str)
    parser.add_argument("--layers", type=names, default=["blocks.2", "blocks.4"], help="(blocks.2,blocks.4: 152 d)")
    parser.add_argument("--rows", type=int, help="use only the first so many rows (all)")
    parser.add_argument("--ratio", type=float, default=0.1, help="share of the rows to pick (0.1)")
    parser.add_argument("--count", type=int, help="picks, instead of a share")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each form, alternating (1)")
    parser.add_argument("--skip-exact", action="store_true", help="leave out the sequential form that settles ties")
    return parser


if __name__ == "__main__":
    _results.run(main)
