"""The HTML report of 1,000 images: bytes, seconds to write it, and seconds until a browser has drawn it.

Pictures: good solar cells, and pixels of pure noise under a map of pure noise, which compress worst. Chromium opens
each file without a network (driven as the tests do): "shown" is the first text on screen, "drawn" the last chart.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import _results
from kizu.calibration import Calibration
from kizu.calibration.workload import workload
from kizu.datasets.solar_cells import solar_cells
from kizu.images import read_image
from kizu.metrics import image_metrics
from kizu.regions import find_regions
from kizu.report import View
from kizu.report.html import FoundRegion, ReportContent, ReportImage, bytes_for, render, thumbnails
from kizu.report.pdf import find_chromium

LIMIT = 25.0


def pictures(kind: str, count: int) -> list[NDArray[np.uint8]]:
    """``count`` images: real ones, each of them several times if need be, or noise."""
    if kind == "noise":
        rng = np.random.default_rng(0)
        return [rng.integers(0, 256, (600, 800, 3)).astype(np.uint8) for _ in range(min(count, 20))]
    paths = [sample.path for sample in solar_cells("mono").samples[:200]]
    return [read_image(path) for path in paths]


def content(kind: str, count: int) -> ReportContent:
    """A report of ``count`` images, a third of them defective, with scores and maps drawn by chance."""
    rng, shown = np.random.default_rng(1), pictures(kind, count)
    grid = 256 if kind == "noise" else 16
    images, calibration = [], Calibration(rng.normal(20, 2, 500), rng.normal(20, 2, 500))
    for number in range(count):
        pixels, bad = shown[number % len(shown)], number % 3 == 0
        score = float(rng.normal(30 if bad else 20, 3))
        drawn = (rng.random((grid, grid)) * score * 1.2).astype(np.float32)
        view = View(
            pixels,
            drawn,
            score,
            calibration.threshold,
            LIMIT,
            calibration.verdict(score),
            truth=drawn_truth(pixels, bad),
        )
        images.append(made(f"part{number:05}.png", view, bad, calibration, bytes_for(count)))
    scores, labels = [image.score for image in images], [image.label == "bad" for image in images]
    return ReportContent(
        product="benchmark",
        model="benchmark.kizu",
        data=kind,
        created=datetime(2026, 1, 1, tzinfo=timezone.utc),
        version="0",
        calibration=calibration,
        images=images,
        image_metrics=image_metrics(scores, labels, calibration.threshold),
        workload=workload(scores, labels, calibration.threshold),
    )


def drawn_truth(pixels: NDArray[np.uint8], bad: bool) -> NDArray[np.bool_] | None:
    """A mask of noise as large as an image, for defects."""
    return np.random.default_rng(2).random(pixels.shape[:2]) < 0.5 if bad else None


def made(name: str, view: View, bad: bool, calibration: Calibration, most: int) -> ReportImage:
    """One image of the report."""
    found = find_regions(view.full_map, view.pixel_threshold, min_area=20)[:5]
    return ReportImage(
        name=name,
        path=name,
        label="bad" if bad else "good",
        kind="bad" if bad else "good",
        score=view.score,
        p_value=calibration.p_value(view.score),
        verdict=calibration.verdict(view.score),
        size=view.size,
        milliseconds=20.0,
        thumbnails=thumbnails(view, most),
        regions=tuple(FoundRegion.of(region, view.size) for region in found),
    )


def seconds_to_open(path: Path, runs: int) -> tuple[float, float]:
    """Seconds from opening a file until its first text is on screen, and until its last chart is drawn (medians)."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from browser.devtools import browser  # type: ignore[import-not-found]

    shown, drawn = [], []
    with tempfile.TemporaryDirectory() as profile, browser(find_chromium(), Path(profile)) as page:
        for _ in range(runs):
            page.size(1300, 900)
            page.open(path)
            shown.append(page.run("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1e3)
            drawn.append(int(page.run("document.documentElement.dataset.ready")) / 1e3)
    return statistics.median(shown), statistics.median(drawn)


def measure(kind: str, count: int, runs: int) -> _results.Row:
    """One row: what the report of such images takes."""
    _results.note(f"{count} images of {kind}")
    shown = content(kind, count)
    started = time.perf_counter()
    page = render(shown).encode()
    written = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.html")
        path.write_bytes(page)
        seen, drawn = seconds_to_open(path, runs)
    row: _results.Row = {"pictures": kind, "images": count, "megabytes": len(page) / 1e6}
    return {**row, "seconds_to_write": written, "seconds_until_shown": seen, "seconds_until_drawn": drawn}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and save the figures."""
    parser = _results.parser(__doc__)
    parser.add_argument("--images", type=_results.listed(int), default=[100, 1000], metavar="N,N")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="times a page is opened")
    chosen: argparse.Namespace = parser.parse_args(arguments)
    rows = [measure(kind, count, chosen.runs) for count in chosen.images for kind in ("solar cells", "noise")]
    _results.save("report", rows, key=("pictures", "images"), folder=chosen.results)


if __name__ == "__main__":
    _results.run(main)
