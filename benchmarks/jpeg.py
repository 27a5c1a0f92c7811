"""Large JPEG files decoded at a half, a quarter or an eighth: time of reading, and how far scores and maps go.

Mono-crystalline solar cells, enlarged to 4000 × 3000 with a sensor's noise, saved as JPEG of quality 92. ``least``:
how many times larger than what images are resized to a reduced file must still be. ``same_model``: a model fitted on
whole files is given reduced ones; ``score`` differences as a share of the score (median and largest), and the largest
in units of the deviation of good images' scores; ``map`` as a share of the map's range. ``refitted``: it is fitted on
reduced files too, as ``reduced_jpeg`` does.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import _results

SIZE = (3000, 4000)
NOISE = 4.0
QUALITY = 92


def photographed(samples: Sequence[Any], folder: Path) -> list[Any]:
    """The same samples as photographs of `SIZE`."""
    import cv2

    from kizu.images import read_image, resize

    rng, made = np.random.default_rng(0), []
    for number, sample in enumerate(samples):
        large = resize(read_image(sample.path), SIZE).astype(np.float32)
        large += NOISE * rng.standard_normal(large.shape, np.float32)
        options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        data = cv2.imencode(".jpg", large.clip(0, 255).astype(np.uint8)[..., ::-1], options)[1]
        path = folder / f"{number:04}.jpg"
        path.write_bytes(data.tobytes())
        made.append(replace(sample, path=path))
    return made


def chosen(count: int) -> list[Any]:
    """So many cells to fit on, and half as many good and bad ones to test with."""
    from kizu.datasets.solar_cells import solar_cells

    kinds: dict[tuple[str, str | None], list[Any]] = {}
    for sample in solar_cells("mono").samples:
        kinds.setdefault((sample.split, sample.label), []).append(sample)
    train = kinds["train", "good"][:count]
    return [*train, *kinds["test", "good"][: count // 2], *kinds["test", "bad"][: count // 2]]


def judged(data: Any, least: int | None) -> dict[str, Any]:
    """A model fitted on files read in this way, and what it says of those to test with."""
    import kizu
    from kizu import workflows
    from kizu.inspector import _inspector

    usual = _inspector.ENLARGED
    try:
        _inspector.ENLARGED = usual if least is None else least
        started = time.perf_counter()
        inspector = kizu.fit(data, reduced_jpeg=least is not None, false_alarms=0.05)
        fitted = time.perf_counter() - started
        started = time.perf_counter()
        found = workflows.evaluate(inspector, data)
        seconds = time.perf_counter() - started
        return {"inspector": inspector, "found": found, "fit_seconds": fitted, "seconds": seconds,
                "reading": inspector.reading}  # fmt: skip
    finally:
        _inspector.ENLARGED = usual


def reading_time(reading: Any, paths: Sequence[Path]) -> float:
    """Milliseconds to read and resize a file, by one thread."""
    from kizu.images import resize

    taken = []
    for path in paths:
        started = time.perf_counter()
        resize(reading.read(path), (256, 256))
        taken.append(time.perf_counter() - started)
    return 1e3 * statistics.median(taken)


def differences(inspector: Any, reading: Any, paths: Sequence[Path]) -> dict[str, float]:
    """Of scores and maps of one model, between whole files and those read by ``reading``."""
    whole = [inspector.measure(inspector.reading.read(path)) for path in paths]
    reduced = [inspector.measure(reading.read(path)) for path in paths]
    spread = float(np.std(inspector.calibration.scores))
    apart = [abs(b[0] - a[0]) for a, b in zip(whole, reduced, strict=True)]
    shares = [difference / a[0] for difference, a in zip(apart, whole, strict=True)]
    maps = [float(np.abs(b[1] - a[1]).max() / np.ptp(a[1])) for a, b in zip(whole, reduced, strict=True)]
    return {
        "score_median": statistics.median(shares),
        "score_largest": max(shares),
        "score_in_deviations": max(apart) / spread,
        "map_median": statistics.median(maps),
        "map_largest": max(maps),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _results.parser(__doc__)
    parser.add_argument("--fit", type=int, default=60, metavar="N", help="cells to fit on [default: 60]")
    parser.add_argument("--least", type=_results.listed(int), default=[4, 2, 1], help="[default: 4,2,1]")
    options = parser.parse_args(arguments)
    from kizu.datasets import Dataset

    rows: list[_results.Row] = []
    with tempfile.TemporaryDirectory() as folder:
        _results.note("making photographs")
        data = Dataset(Path(folder), "benchmark", tuple(photographed(chosen(options.fit), Path(folder))))
        paths = [sample.path for sample in data.test()]
        plain: dict[str, Any] | None = None
        for least in (None, *options.least):
            _results.note(f"least {least}")
            found = judged(data, least)
            plain = plain or found
            reduced = found["reading"].read(paths[0])
            rows.append(
                {
                    "least": "whole files" if least is None else least,
                    "reduced_to": f"{reduced.shape[1]} x {reduced.shape[0]}",
                    "read_ms": reading_time(found["reading"], paths[:20]),
                    **differences(plain["inspector"], found["reading"], paths),
                    "refitted_auroc": found["found"].image.auroc,
                    "fit_seconds": found["fit_seconds"],
                    "images_a_second": len(paths) / found["seconds"],
                }
            )
    _results.save("jpeg", rows, key=("least",), folder=options.results)


if __name__ == "__main__":
    _results.run(main)
