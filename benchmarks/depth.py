"""Cameras of more than 8 bits: solar cells as a dark 12-bit camera writes them, read in 8 bits and with a window.

The camera gives ``OFFSET + GAIN × grey level`` into 16-bit PNG files, 0 to 65,535 of which it fills 1,021: no
information is added to the cells, and none lost, so that the cells as they are tell what can be reached. ``margin``:
what `kizu.images.learn_window` adds at either end of what good images have, of that range.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import _results

OFFSET, GAIN = 256, 3

READ: dict[str, tuple[bool, dict[str, Any], float | None]] = {
    "the cells as they are, 8 bits": (False, {}, None),
    "the cells as they are, --window 0,255": (False, {"window": (0, 255)}, None),
    "dark camera, 8 bits by full range": (True, {}, None),
    "dark camera, --window 0,4095": (True, {"window": (0, 4095)}, None),
    "dark camera, --window auto, no margin": (True, {"window": "auto"}, 0.0),
    "dark camera, --window auto, margin 1/8": (True, {"window": "auto"}, 0.125),
    "dark camera, --window auto, margin 1/4": (True, {"window": "auto"}, 0.25),
    "dark camera, --window auto, margin 1/2": (True, {"window": "auto"}, 0.5),
}


def darkened(cells: Any, folder: Path) -> Any:
    """The same data set as the dark camera wrote it."""
    import cv2

    from kizu.images import read_image

    samples = []
    for number, sample in enumerate(cells.samples):
        path = folder / f"{number:04}.png"
        grey = read_image(sample.path)[..., 0].astype(np.uint16)
        path.write_bytes(cv2.imencode(".png", OFFSET + GAIN * grey)[1].tobytes())
        samples.append(replace(sample, path=path))
    return replace(cells, samples=tuple(samples))


def judged(kind: str, name: str, data: Any) -> _results.Row:
    """Fit and evaluate in one way of reading."""
    import kizu
    from kizu import workflows
    from kizu.images import samples

    given, margin, usual = READ[name][1], READ[name][2], samples.MARGIN
    started = time.perf_counter()
    try:
        samples.MARGIN = usual if margin is None else margin
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inspector = kizu.fit(data, **given)
    finally:
        samples.MARGIN = usual
    seconds = time.perf_counter() - started
    found = workflows.evaluate(inspector, data)
    low, high = inspector.reading.window or (None, None)
    return {
        "cells": kind,
        "reading": name,
        "low": low,
        "high": high,
        "auroc": found.image.auroc,
        "ap": found.image.ap,
        "fit_seconds": seconds,
        "milliseconds": found.to_dict()["milliseconds_median"],
    }


def thinned(data: Any, share: int) -> Any:
    """One of so many samples of each kind."""
    kinds: dict[tuple[str, str | None], list[Any]] = {}
    for sample in data.samples:
        kinds.setdefault((sample.split, sample.label), []).append(sample)
    return replace(data, samples=tuple(one for of_kind in kinds.values() for one in of_kind[::share]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _results.parser(__doc__)
    parser.add_argument("--cells", type=_results.listed(str), default=["mono", "poly"], help="[default: mono,poly]")
    parser.add_argument("--thinned", type=int, default=1, metavar="N", help="take one cell of N [default: 1]")
    parser.add_argument("--only", default="", metavar="TEXT", help="readings with this in their name")
    options = parser.parse_args(arguments)
    from kizu.datasets.solar_cells import solar_cells

    rows: list[_results.Row] = []
    for kind in options.cells:
        cells = thinned(solar_cells(kind), options.thinned)
        with tempfile.TemporaryDirectory() as folder:
            dark = darkened(cells, Path(folder))
            for name in READ:
                if options.only in name:
                    _results.note(f"{kind}, {name}")
                    rows.append(judged(kind, name, dark if READ[name][0] else cells))
    _results.save("depth", rows, key=("cells", "reading"), folder=options.results)


if __name__ == "__main__":
    _results.run(main)
