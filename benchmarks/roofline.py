"""How near each stage comes to what this machine can do at most: a roofline, with ceilings measured in the same run.

Ceilings: the product of two square float32 matrices by NumPy's BLAS on all cores, and copying large arrays with a
thread a core (bytes read and bytes written both count). Operations and bytes of a stage are counted from shapes: what
it cannot do without. The share is the least time that the lower ceiling allows, divided by the time measured.

The backbone's bytes are image, weights and embedding, as if every layer in between stayed in caches. The coreset is
held against the ceiling twice: of the products and passes that certified blocks of all pairs would take, and of one
pass over all rows a pick; where pairs are left out the share may pass 100 %. A search is timed with all
that makes scores of it: confirming what was found approximately is in the time, not in the count.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import _results
import _solar
import _work
from _work import Work
from kizu import detectors, images, maps
from kizu.progress import Advance

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
    rows = _solar.rows(LAYERS, options.images).reshape(-1, *engine.grid, engine.channels)
    embedding = engine.embed(cell)
    yield from patchcore(rows, embedding, options.ratio, median)
    yield _padim(rows, embedding, median)
    yield _map(embedding, median)


class Selecting:
    """A `kizu.progress.Progress` that measures the selection, and counts its rounds."""

    def __init__(self) -> None:
        self.seconds, self.rounds = 0.0, 0

    @contextmanager
    def stage(self, description: str, total: int, *, unit: str = "") -> Iterator[Advance]:
        started, selecting = time.perf_counter(), description == "Selecting the coreset"

        def advance(steps: int = 1, /) -> None:
            self.rounds += selecting

        yield advance
        self.seconds += selecting * (time.perf_counter() - started)


def patchcore(rows: Float32, embedding: Float32, ratio: float, median: Median) -> Iterator[Stage]:
    """The selection, measured once, against blocks and against the textbook; then an image against the bank."""
    watch, dimensions = Selecting(), rows.shape[-1]
    patches = rows.size // dimensions
    detector = detectors.build("patchcore", {"coreset_ratio": ratio, "search": "approximate"})
    detector.fit(iter([rows]), images=len(rows), rng=np.random.default_rng(0), progress=watch)
    bank = int(detector.summary()["bank rows"])
    size = f"{bank:,} of {patches:,} × {dimensions}"
    blocks = _work.of_blocks(patches, dimensions, bank, watch.rounds)
    yield Stage("coreset, as blocks of all pairs", f"{size}, {watch.rounds} rounds", blocks, watch.seconds)
    yield Stage("coreset, as one pass a pick", size, _work.of_passes(patches, dimensions, bank), watch.seconds)
    queries = embedding.size // dimensions
    size = f"{queries:,} × {dimensions} in {bank:,}"
    work = _work.of_walk(_walked(detector, embedding), queries, dimensions)
    yield Stage("search, approximate", size, work, median(lambda: detector.score(embedding)))
    detector.search_exactly()
    work = _work.of_search(queries, bank, dimensions)
    yield Stage("search, exact", size, work, median(lambda: detector.score(embedding)))


def _walked(detector: detectors.Detector, embedding: Float32) -> int:
    """Distances that FAISS computes for one image."""
    import faiss

    told: Any = faiss.cvar
    told.hnsw_stats.reset()
    detector.score(embedding)
    return int(told.hnsw_stats.ndis)


def _padim(rows: Float32, embedding: Float32, median: Median) -> Stage:
    detector = detectors.build("padim", {})
    detector.fit(iter([rows]), rng=np.random.default_rng(0))
    dimensions, positions = int(detector.summary()["dimensions"]), embedding.size // embedding.shape[-1]
    stored = sum(array.nbytes for array in detector.state().values())
    work = _work.of_gaussians(positions, dimensions, stored)
    return Stage(
        "PaDiM's distances", f"{positions:,} × {dimensions}", work, median(lambda: detector.score(embedding))
    )


def _map(embedding: Float32, median: Median) -> Stage:
    side, sigma = _solar.SIDE, maps.default_sigma(_solar.SIDE)
    scores = np.ascontiguousarray(embedding[0, :, :, 0])
    work = _work.of_map(scores.shape, side, sigma)
    return Stage("map", f"{side}², σ {sigma:g}", work, median(lambda: maps.anomaly_map(scores, (side, side), sigma)))


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
    parser.add_argument("--ratio", type=float, default=0.1, help="share of the rows the bank keeps (0.1)")
    parser.add_argument("--matrix", type=int, default=3072, help="side of the matrices multiplied (3072)")
    parser.add_argument("--copied", type=int, default=512, help="MiB copied (512)")
    parser.add_argument("--repeats", type=int, default=20, help="runs of each stage but the coreset (20)")
    return parser


if __name__ == "__main__":
    _results.run(main)
