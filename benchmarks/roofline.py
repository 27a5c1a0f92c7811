"""How near each stage comes to what this machine can do at most: a roofline, with ceilings measured in the same run.

Ceilings: the product of two square float32 matrices by NumPy's BLAS on all cores, and copying large arrays with a
thread a core (bytes read and bytes written both count). Operations and bytes of a stage are counted from shapes: what
it cannot do without. The share is the least time that the lower ceiling allows, divided by the time measured.

The backbone's bytes are image, weights and embedding, as if every layer in between stayed in caches. The coreset is
held against the ceiling twice: of the products and passes that certified blocks would take if they ruled no pair out,
and of one pass over all rows a pick; where pairs are ruled out the share passes 100 %.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import _results
import _solar
import _work
from _work import Work
from kizu import detectors, images, maps
from kizu.coreset import k_center_greedy
from kizu.neighbors import ApproximateNeighbors, ExactNeighbors, tuned

Float32 = npt.NDArray[np.float32]
Median = Callable[[Callable[[], object]], float]
"""Seconds that some work takes."""

LAYERS = ("blocks.2", "blocks.4")


@dataclass(frozen=True)
class Ceilings:
    """Operations and bytes a second."""

    flops: float
    moved: float


@dataclass(frozen=True)
class Stage:
    """What was counted and measured, in words ``size``."""

    name: str
    size: str
    work: Work
    seconds: float


def ceilings(side: int, mebibytes: int, repeats: int) -> Ceilings:
    """The best of ``repeats`` matrix products and copies."""
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((side, side), dtype=np.float32) for _ in range(2))
    out = np.empty_like(left)
    product = min(_seconds(lambda: np.matmul(left, right, out=out), repeats))
    source = np.ones(mebibytes * 2**18, np.float32)
    target = np.zeros_like(source)
    edges = np.linspace(0, len(source), _results.cores() + 1).astype(int)
    slices = [slice(first, stop) for first, stop in itertools.pairwise(edges)]
    with ThreadPoolExecutor(len(slices)) as pool:
        copy = min(_seconds(lambda: list(pool.map(lambda s: np.copyto(target[s], source[s]), slices)), repeats))
    return Ceilings(2.0 * side**3 / product, 2.0 * source.nbytes / copy)


def _seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each run, after one unmeasured."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times[1:]


def stages(options: argparse.Namespace) -> Iterator[Stage]:
    """Every stage on solar cells: one image by the backbone, the searches, the map; and the selection."""
    engine = _solar.engine(LAYERS)
    cell = images.resize(images.read_image(_solar.defective_cells()[0].path), (_solar.SIDE, _solar.SIDE))[None]
    graph = _solar.graph(LAYERS)

    def median(work: Callable[[], object]) -> float:
        return statistics.median(_seconds(work, options.repeats))

    yield Stage(
        "backbone", f"{_solar.SIDE}², {' '.join(LAYERS)}", _work.of_graph(graph), median(lambda: engine.embed(cell))
    )
    rows = _solar.rows(LAYERS, options.images)
    queries = engine.embed(cell).reshape(-1, rows.shape[1])
    bank = rows[np.random.default_rng(0).permutation(len(rows))[: options.bank_rows]]
    yield from searches(bank, queries, median)
    yield from _padim(engine.grid, rows, queries, median)
    yield _map(engine.grid, queries, median)
    yield from selection(rows, options.ratio)


def searches(bank: Float32, queries: Float32, median: Median) -> Iterator[Stage]:
    """The bank searched exactly, and approximately by what FAISS says it looked at."""
    size = f"{len(queries):,} × {bank.shape[1]} in {len(bank):,}"
    exact = ExactNeighbors(bank)
    work = _work.of_search(len(queries), len(bank), bank.shape[1])
    yield Stage("search, exact", size, work, median(lambda: exact.search(queries, 1)))
    approximate, _ = tuned(bank, queries, 0.01)
    walk = _walked(approximate, queries)
    work = _work.of_walk(walk, len(queries), bank.shape[1])
    yield Stage("search, approximate", size, work, median(lambda: approximate.search(queries, 1)))


def _walked(search: ApproximateNeighbors, queries: Float32) -> int:
    """Distances that one search computes."""
    import faiss

    told: Any = faiss.cvar
    told.hnsw_stats.reset()
    search.search(queries, 1)
    return int(told.hnsw_stats.ndis)


def _padim(grid: tuple[int, int], rows: Float32, queries: Float32, median: Median) -> Iterator[Stage]:
    shape = (-1, *grid, rows.shape[1])
    detector = detectors.build("padim", {})
    detector.fit(iter([rows.reshape(shape)]), rng=np.random.default_rng(0))
    state, embedding = detector.state(), queries.reshape(shape)
    dimensions = int(detector.summary()["dimensions"])
    stored = sum(array.nbytes for array in state.values())
    work = _work.of_gaussians(grid[0] * grid[1], dimensions, stored)
    size = f"{grid[0] * grid[1]:,} × {dimensions}"
    yield Stage("PaDiM's distances", size, work, median(lambda: detector.score(embedding)))


def _map(grid: tuple[int, int], queries: Float32, median: Median) -> Stage:
    side, sigma = _solar.SIDE, maps.default_sigma(_solar.SIDE)
    scores = np.ascontiguousarray(queries[:, 0].reshape(grid))
    work = _work.of_map(grid, side, sigma)
    return Stage("map", f"{side}², σ {sigma:g}", work, median(lambda: maps.anomaly_map(scores, (side, side), sigma)))


def selection(rows: Float32, ratio: float) -> Iterator[Stage]:
    """The coreset, measured once; against blocks and against the textbook."""
    picks, rounds = max(1, round(ratio * len(rows))), []
    started = time.perf_counter()
    k_center_greedy(rows, picks, advance=lambda steps=1: rounds.append(steps))
    seconds = time.perf_counter() - started
    size = f"{picks:,} of {len(rows):,} × {rows.shape[1]}"
    blocks = _work.of_blocks(len(rows), rows.shape[1], picks, len(rounds))
    yield Stage("coreset, as blocks without ruling out", f"{size}, {len(rounds)} rounds", blocks, seconds)
    yield Stage("coreset, as one pass a pick", size, _work.of_passes(len(rows), rows.shape[1], picks), seconds)


def row(stage: Stage, most: Ceilings) -> _results.Row:
    work = stage.work
    least = work.seconds(most.flops, most.moved)
    return {
        "stage": stage.name,
        "size": stage.size,
        "share": least / stage.seconds,
        "bound": work.bound(most.flops, most.moved),
        "ms": stage.seconds * 1e3,
        "least_ms": least * 1e3,
        "gflop": work.flops / 1e9,
        "mb": work.moved / 1e6,
        "flops_a_byte": work.flops / work.moved,
        "gflop_a_second": work.flops / stage.seconds / 1e9,
        "gb_a_second": work.moved / stage.seconds / 1e9,
        "ceiling_gflop_a_second": most.flops / 1e9,
        "ceiling_gb_a_second": most.moved / 1e9,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    _results.note("ceilings")
    most = ceilings(options.matrix, options.copied, options.repeats)
    rows = []
    for stage in stages(options):
        _results.note(stage.name)
        rows.append(row(stage, most))
    _results.save("roofline", rows, key=("stage",), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--images", type=int, default=320, help="good solar cells that rows come from (320)")
    parser.add_argument("--bank-rows", type=int, default=32768, help="rows of the bank that is searched (32768)")
    parser.add_argument("--ratio", type=float, default=0.1, help="share of the rows the coreset keeps (0.1)")
    parser.add_argument("--matrix", type=int, default=3072, help="side of the matrices multiplied (3072)")
    parser.add_argument("--copied", type=int, default=512, help="MiB copied (512)")
    parser.add_argument("--repeats", type=int, default=20, help="runs of each stage but the coreset (20)")
    return parser


if __name__ == "__main__":
    main()
