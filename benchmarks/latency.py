"""One image, from a decoded array to score and map, as a ratio to the backbone's own ONNX Runtime time.

Every figure of a row comes from one run in which whole inspection, kizu's engine, a bare ONNX Runtime session with
default options, and the single stages take turns. Each has a pause first, in which idle threads of what ran before go
to sleep, and does its work once on another image, so that caches are as in a steady stream: what that takes is in the
columns ``first_…``, the second is the measurement. ``resize`` is that of a cell as it is on disk (300²); images of
--side 256 need none, so the total has none.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

import _results
import _solar
import kizu
from kizu import detectors, images, maps
from kizu.detectors.patchcore import PatchCore

Image = npt.NDArray[np.uint8]
Subject = Callable[[int], dict[str, float]]

LAYERS = ("blocks.2", "blocks.4")


class Stopwatch:
    """Milliseconds by name."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}

    @contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.times[name] = (time.perf_counter() - started) * 1e3


def timed(name: str, work: Callable[[int], object]) -> Subject:
    """A subject that measures all of ``work``."""

    def subject(run: int) -> dict[str, float]:
        watch = Stopwatch()
        with watch.measuring(name):
            work(run)
        return watch.times

    return subject


def staged(inspector: kizu.Inspector, cells: Sequence[Image]) -> Subject:
    """A subject that goes the inspector's way stage by stage, from cells as they are on disk."""

    def subject(run: int) -> dict[str, float]:
        watch, side = Stopwatch(), inspector.engine.image_size
        with watch.measuring("resize"):
            image = images.resize(cells[run % len(cells)], (side, side))
        with watch.measuring("embed"):
            embedding = inspector.engine.embed(image[None])
        with _watched_search(inspector.detector, watch), watch.measuring("score"):
            scores = inspector.detector.score(embedding)
        with watch.measuring("map"):
            maps.anomaly_map(scores.patches[0], (side, side), inspector.config.sigma or maps.default_sigma(side))
        if "search" in watch.times:
            watch.times["confirm"] = watch.times["score"] - watch.times["search"]
        return watch.times

    return subject


@contextmanager
def _watched_search(detector: detectors.Detector, watch: Stopwatch) -> Iterator[None]:
    """Time the first search inside ``detector.score``, of all patches; what is left of it is the exact confirmation,
    which searches again for a few.
    """
    if not isinstance(detector, PatchCore):
        yield
        return
    search: Any = detector._bank.search
    name = "search_image" if hasattr(search, "search_image") else "search"
    plain = getattr(search, name)

    def measured(*arguments: Any) -> Any:
        if "search" in watch.times:
            return plain(*arguments)
        with watch.measuring("search"):
            return plain(*arguments)

    with mock.patch.object(search, name, measured):
        yield


def bare_session(graph: bytes) -> Any:
    """ONNX Runtime as one would use it without kizu."""
    import onnxruntime

    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def subjects(inspector: kizu.Inspector, cells: Sequence[Image], side: int) -> list[Subject]:
    """What takes turns: whole inspection, engine, bare session, and the stages."""
    decoded = [images.resize(cell, (side, side)) for cell in cells]
    prepared = [images.resize(cell, (inspector.engine.image_size,) * 2)[None] for cell in cells]
    session = bare_session(inspector.graph)
    return [
        timed("total", lambda run: inspector.inspect(decoded[run % len(cells)])),
        timed("engine", lambda run: inspector.engine.embed(prepared[run % len(cells)])),
        timed("bare", lambda run: session.run(None, {"images": prepared[run % len(cells)]})),
        staged(inspector, cells),
    ]


def interleave(takers: Sequence[Subject], runs: int, pause: float) -> dict[str, list[float]]:
    """Milliseconds by name, one a run, after two runs to warm up; by ``first`` and the name those right after the
    pause.
    """
    times: dict[str, list[float]] = {}
    for run in range(-2, runs):
        for subject in takers:
            time.sleep(pause)
            first = {f"first {name}": milliseconds for name, milliseconds in subject(run - 1).items()}
            for name, milliseconds in {**first, **subject(run)}.items():
                if run >= 0:
                    times.setdefault(name, []).append(milliseconds)
    return times


def row(
    case: str, inspector: kizu.Inspector, times: Mapping[str, list[float]], *, side: int, pause: float
) -> _results.Row:
    median = {name: statistics.median(values) for name, values in times.items()}
    summary, state = inspector.detector.summary(), inspector.detector.state()
    return {
        "case": case,
        "pause": pause,
        "ratio_to_engine": median["total"] / median["engine"],
        "ratio_to_bare": median["total"] / median["bare"],
        "ms": median["total"],
        "ms_p95": float(np.percentile(times["total"], 95)),
        "first_ratio_to_engine": median["first total"] / median["first engine"],
        "first_ms": median["first total"],
        "first_ms_p95": float(np.percentile(times["first total"], 95)),
        "engine_ms": median["engine"],
        "engine_ms_p95": float(np.percentile(times["engine"], 95)),
        "bare_ms": median["bare"],
        "bare_ms_p95": float(np.percentile(times["bare"], 95)),
        **{f"{name}_ms": median.get(name) for name in ("resize", "embed", "score", "search", "confirm", "map")},
        "layers": " ".join(inspector.config.layers or ()),
        "bank_rows": summary.get("bank rows"),
        "dimensions": summary["dimensions"],
        "recall": summary.get("search recall"),
        "breadth": int(state["breadth"]) if "breadth" in state else None,
        "image_side": side,
        "runs": len(times["total"]),
    }


def inspectors(options: argparse.Namespace) -> Iterator[tuple[str, kizu.Inspector]]:
    """The cases asked for, each fitted when its turn comes."""
    data = _solar.dataset(options.images)
    if {"bank", "bank exact"} & set(options.cases):
        bank = {"name": "patchcore", "coreset_count": options.bank_rows, "search": "approximate"}
        fitted = kizu.fit(data, layers=LAYERS, detector=bank)
        if "bank" in options.cases:
            yield "bank", fitted
        if "bank exact" in options.cases:
            yield "bank exact", exactly(fitted)
    if "default" in options.cases:
        yield "default", kizu.fit(data)
    if "padim" in options.cases:
        yield "padim", kizu.fit(data, detector="padim")


def exactly(inspector: kizu.Inspector) -> kizu.Inspector:
    """The same inspector with exact search, as ``kizu.load(..., exact=True)`` gives it."""
    fitted = inspector.detector
    detector = detectors.restore(fitted.name, fitted.parameters(), fitted.state())
    detector.search_exactly()
    return replace(inspector, detector=detector)


def queries(count: int) -> list[Image]:
    """Defective cells and good ones that were not fitted on, in turn: those that production brings."""
    good, bad = _solar.good_cells(588)[::-1], _solar.defective_cells()
    mixed = [sample for pair in zip(good, bad, strict=False) for sample in pair]
    return [images.read_image(sample.path) for sample in mixed[:count]]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    cells, found = queries(options.queries), []
    for case, inspector in inspectors(options):
        takers = subjects(inspector, cells, options.side)
        for pause in options.pauses:
            _results.note(f"{case}: {options.runs} runs, {pause:g} s of rest before each")
            times = interleave(takers, options.runs, pause)
            found.append(row(case, inspector, times, side=options.side, pause=pause))
    _results.save("latency", found, key=("case", "pause", "image_side"), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    cases = ["bank", "bank exact", "default", "padim"]
    parser.add_argument("--images", type=int, default=320, help="good cells to fit on (320)")
    parser.add_argument("--bank-rows", type=int, default=32768, help="rows of the large bank (32768)")
    parser.add_argument("--cases", type=_results.listed(str, cases), default=cases, help=f"which ({','.join(cases)})")
    parser.add_argument("--runs", type=int, default=200, help="measurements of each (200)")
    parser.add_argument("--queries", type=int, default=50, help="different images inspected (50)")
    parser.add_argument("--side", type=int, default=256, help="side of the decoded image in pixels (256)")
    pauses = [0.02, 0.3]
    parser.add_argument(
        "--pauses", type=_results.listed(float), default=pauses, help="seconds of rest before (0.02,0.3)"
    )
    return parser


if __name__ == "__main__":
    _results.run(main)
