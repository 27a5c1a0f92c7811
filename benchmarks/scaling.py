"""How fit and prediction grow with the number of images, the size of images and the rows of the bank.

Each fit runs in a process of its own, by the way users take. Good solar cells are copied to files; beyond the 1,508
there are, cells come again, shifted by up to 8 pixels each way (edges mirrored) and up to 5 % brighter or darker, so
that hardly two are equal. Exponents are slopes of least squares on logarithms, with 95 % intervals of the slope:
time ~ size^b.

``images``: a share of the patches is kept, so the bank grows too. ``image size``: in pixels, and the bank a share as
well. ``bank``: so many rows, of one set of images, searched exactly and approximately.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import _peers
import _results
import _solar
from _peer import Job
from kizu import images

Image = npt.NDArray[np.uint8]

CELLS = 1508
"""Good cells there are, mono and poly."""

SHIFT, GAIN = 8, 0.05
MEASURES = (
    "fit_seconds",
    "features_seconds",
    "selection_seconds",
    "calibration_seconds",
    "ms",
    "fit_mib",
    "model_mib",
)
OF_A_BANK = tuple(measure for measure in MEASURES if measure != "features_seconds")

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
"""97.5 % points of Student's t for 1 to 12 degrees of freedom."""


@dataclass(frozen=True)
class Case:
    """One fit: ``size`` is what its ``sweep`` varies."""

    sweep: str
    detector: str
    size: int
    fit_images: int
    options: Mapping[str, Any]

    @property
    def told(self) -> str:
        """The options in a row of the table."""
        return json.dumps(self.options)

    @property
    def place(self) -> tuple[str, ...]:
        """What tells its row from others."""
        return self.sweep, self.detector, str(self.size), str(self.fit_images), self.told


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """What is asked for, small first."""
    for detector in options.detectors:
        for count in options.images:
            yield Case("images", detector, count, count, _settings(detector, options, _solar.SIDE))
        for side in options.sides:
            yield Case("image size", detector, side, options.side_images, _settings(detector, options, side))
    for search in ("exact", "approximate"):
        for rows in options.bank_rows:
            bank = {"name": "patchcore", "coreset_count": rows, "search": search}
            settings = {"layers": tuple(options.layers), "detector": bank}
            yield Case("bank", f"patchcore, {search}", rows, options.bank_images, settings)


def _settings(detector: str, options: argparse.Namespace, side: int) -> dict[str, Any]:
    parameters = {"coreset_ratio": options.ratio} if detector == "patchcore" else {}
    return {"layers": tuple(options.layers), "image_size": side, "detector": {"name": detector, **parameters}}


def cells(folder: Path, count: int) -> list[str]:
    """Files of ``count`` good cells, those beyond `CELLS` altered."""
    import cv2

    known = _solar.good_cells(min(count, CELLS))
    rng, files = np.random.default_rng(0), []
    for number in range(count):
        path = folder / f"{number:06}.png"
        cell = images.read_image(known[number % len(known)].path)
        if number >= len(known):
            cell = altered(cell, rng)
        cv2.imwrite(str(path), cell[:, :, ::-1])
        files.append(str(path))
    return files


def altered(image: Image, rng: np.random.Generator) -> Image:
    """Shifted by up to `SHIFT` pixels each way, edges mirrored, and up to `GAIN` brighter or darker."""
    down, right = rng.integers(-SHIFT, SHIFT + 1, 2)
    padded = np.pad(image, ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="symmetric")
    height, width = image.shape[:2]
    moved = padded[SHIFT + down : SHIFT + down + height, SHIFT + right : SHIFT + right + width]
    brighter = moved * rng.uniform(1 - GAIN, 1 + GAIN)
    return np.asarray(np.clip(np.rint(brighter), 0, 255), np.uint8)


def measure(case: Case, job: Job) -> _results.Row:
    """One fit and some predictions, in a process of their own."""
    entry = _peers.Entry("kizu", "with_kizu", case.options)
    found = _peers.run(
        entry, replace(job, train=job.train[: case.fit_images], options=dict(case.options)), sys.executable
    )
    return {
        "sweep": case.sweep,
        "detector": case.detector,
        "size": case.size,
        "fit_images": case.fit_images,
        "settings": case.told,
        "patches": found["patches"],
        "bank_rows": found.get("bank_rows"),
        "fit_seconds": found["fit"],
        "features_seconds": found.get("features"),
        "selection_seconds": found.get("selection"),
        "calibration_seconds": found.get("calibration"),
        "ms": found["ms"],
        "ms_p95": found["ms_p95"],
        "fit_mib": found["fit_mib"] - found["loaded_mib"],
        "loaded_mib": found["loaded_mib"],
        "model_mib": found["model_mib"],
    }


def exponents(rows: Sequence[_results.Row]) -> list[_results.Row]:
    """A row for every sweep, detector and measure with two sizes or more."""
    groups: dict[tuple[_results.Value, _results.Value], list[_results.Row]] = {}
    for row in rows:
        groups.setdefault((row["sweep"], row["detector"]), []).append(row)
    made: list[_results.Row] = []
    for (sweep, detector), members in groups.items():
        for measured in MEASURES if sweep != "bank" else OF_A_BANK:
            points = [(float(x), float(y)) for row in members if (x := row["size"]) and (y := row[measured])]
            if len(points) > 1:
                made.append({"sweep": sweep, "detector": detector, "measure": measured, **fitted(points)})
    return made


def fitted(points: Sequence[tuple[float, float]]) -> dict[str, _results.Value]:
    """The slope of log y on log x, and its 95 % interval where there are three points or more.

    >>> fitted([(1, 2), (10, 200), (100, 20000)])["exponent"]
    2.0
    """
    x, y = np.log(np.array(points)).T
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    found: dict[str, _results.Value] = {"exponent": round(slope, 12), "low": None, "high": None}
    free = len(points) - 2
    if free > 0:
        error = math.sqrt(float(np.square(y - slope * x).sum()) / free / float(x @ x))
        margin = STUDENT[min(free, len(STUDENT)) - 1] * error
        found |= {"low": slope - margin, "high": slope + margin}
    sizes = [size for size, _ in points]
    return {**found, "points": len(points), "smallest": min(sizes), "largest": max(sizes)}


def done(wanted: Sequence[Case], folder: Path) -> list[_results.Row]:
    """Rows of the table that the same versions have measured on this processor."""
    path, here = _results.path_of("scaling", folder), _results.origin()
    keys = {case.place for case in wanted}
    rows = _results.read(path) if path.exists() else []
    return [{**row} for row in rows if place(row) in keys and here.items() <= row.items()]


def place(row: Mapping[str, _results.Value]) -> tuple[str, ...]:
    """`Case.place` of a row; older rows do not hold all of it, and count as of other settings."""
    return tuple(str(row.get(name, "")) for name in ("sweep", "detector", "size", "fit_images", "settings"))


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    wanted = list(cases(options))
    if not wanted:
        raise SystemExit("nothing to measure; give sizes to --images, --sides or --bank-rows")
    found = done(wanted, options.results) if options.skip_done else []
    known = set(map(place, found))
    wanted = [case for case in wanted if case.place not in known]
    with tempfile.TemporaryDirectory() as folder:
        _results.note("writing images")
        files = cells(Path(folder), max((case.fit_images for case in wanted), default=0))
        queries = [str(sample.path) for sample in _solar.defective_cells()[: options.queries]]
        job = Job(train=files, test=queries, folder=folder)
        for case in wanted:
            _results.note(f"{case.sweep} {case.size:,}, {case.detector}")
            found.append(measure(case, job))
            _results.save("scaling", found[-1:], key=("sweep", "detector", "size"), folder=options.results)
    slopes = exponents(found)
    if slopes:
        _results.save("scaling_exponents", slopes, key=("sweep", "detector", "measure"), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    numbers, names = _results.listed(int), _results.listed(str)
    counts, sides = [50, 100, 200, 500, 1000, 2000, 5000], [128, 192, 256, 384, 512]
    banks = [1024, 2048, 4096, 8192, 16384, 32768, 65536]
    parser.add_argument("--images", type=numbers, default=counts, help="numbers of images (50 to 5000)")
    parser.add_argument("--sides", type=numbers, default=sides, help="sizes of images in pixels (128 to 512)")
    parser.add_argument("--side-images", type=int, default=50, help="images that those are fitted on (50)")
    parser.add_argument("--bank-rows", type=numbers, default=banks, help="rows of banks (1024 to 65536)")
    parser.add_argument("--bank-images", type=int, default=160, help="images that those are fitted on (160)")
    parser.add_argument("--detectors", type=names, default=["patchcore", "padim"], help="(patchcore,padim)")
    parser.add_argument("--layers", type=names, default=["blocks.2", "blocks.4"], help="(blocks.2,blocks.4: 152 d)")
    parser.add_argument("--ratio", type=float, default=0.01, help="share of the patches to keep (0.01)")
    parser.add_argument("--queries", type=int, default=30, help="defective cells predicted (30)")
    parser.add_argument("--skip-done", action="store_true", help="leave out what these versions have measured")
    return parser


if __name__ == "__main__":
    _results.run(main)
