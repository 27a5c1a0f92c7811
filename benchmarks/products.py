"""One process that serves many products: resident memory by number of models, mapped and read into memory.

Every product's model is a file of its own with a bank of its own (one fitted bank, each time with a little noise, so
that no two are alike); all have one backbone. A fresh process loads them all, inspects an image with each in turn,
and tells its resident size: of that, pages of mapped files can be given back whenever memory is short, and are shared
with other processes. ``own`` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import _results
import _solar
import kizu
from kizu import detectors, images

MIB = 2**20
CASES = ("default", "bank")


def write_models(folder: Path, case: str, options: argparse.Namespace) -> None:
    """One fit, and as many models from it as there are products."""
    bank = {"name": "patchcore", "coreset_count": options.bank_rows, "search": "approximate"}
    settings: dict[str, Any] = {"layers": ("blocks.2", "blocks.4"), "detector": bank} if case == "bank" else {}
    fitted = kizu.fit(_solar.dataset(options.images), **settings)
    state, rng = fitted.detector.state(), np.random.default_rng(0)
    for number in range(options.products):
        noise = np.float32(1e-3) * rng.standard_normal(state["bank"].shape, dtype=np.float32)
        own = {**state, "bank": state["bank"] + noise}
        detector = detectors.restore(fitted.detector.name, fitted.detector.parameters(), own)
        replace(fitted, detector=detector).save(folder / f"product {number}.kizu")


def resident() -> dict[str, int]:
    """Bytes by kind, as Linux counts them."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM", "RssAnon", "RssFile")}


def serve(folder: Path, count: int, mapped: bool) -> dict[str, float]:
    """Load ``count`` models, inspect an image with each, twice; called in a process of its own."""
    paths = sorted(folder.glob("*.kizu"))[:count]
    image = images.read_image(_solar.defective_cells()[0].path)
    started = time.perf_counter()
    inspectors = [kizu.load(path, mapped=mapped) for path in paths]
    loaded = time.perf_counter() - started
    after_load = resident()["VmRSS"]
    took = []
    for inspector in [*inspectors, *inspectors]:
        started = time.perf_counter()
        inspector.inspect(image)
        took.append((time.perf_counter() - started) * 1e3)
    engines = len({id(inspector.engine) for inspector in inspectors})
    times = {"load_s": loaded / count, "first_ms": float(np.median(took[:count]))}
    return {**resident(), "loaded": after_load, "engines": engines, **times, "ms": float(np.median(took[count:]))}


def serve_apart(folder: Path, count: int, mapped: bool) -> dict[str, float]:
    command = [sys.executable, __file__, "--serve", json.dumps([str(folder), count, mapped])]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return found


def row(case: str, folder: Path, count: int, mapped: bool) -> _results.Row:
    found = serve_apart(folder, count, mapped)
    files = sum(path.stat().st_size for path in sorted(folder.glob("*.kizu"))[:count])
    return {
        "case": case,
        "products": count,
        "mapped": "yes" if mapped else "no",
        "resident_mib": found["VmRSS"] / MIB,
        "peak_mib": found["VmHWM"] / MIB,
        "own_mib": found["RssAnon"] / MIB,
        "mapped_files_mib": found["RssFile"] / MIB,
        "after_load_mib": found["loaded"] / MIB,
        "files_mib": files / MIB,
        "engines": int(found["engines"]),
        "load_s": found["load_s"],
        "first_ms": found["first_ms"],
        "ms": found["ms"],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    if options.serve:
        folder, count, mapped = json.loads(options.serve)
        print(json.dumps(serve(Path(folder), count, mapped)))
        return
    found = []
    for case in options.cases:
        with tempfile.TemporaryDirectory() as folder:
            write_models(Path(folder), case, options)
            for count in sorted({1, options.products}):
                found += [row(case, Path(folder), count, mapped) for mapped in (True, False)]
    _results.save("products", found, key=("case", "products", "mapped"), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--products", type=int, default=50, help="models (50)")
    parser.add_argument("--images", type=int, default=320, help="good cells the one fit is made on (320)")
    parser.add_argument("--bank-rows", type=int, default=32768, help="rows of the large bank (32768)")
    parser.add_argument("--cases", type=_results.listed(str, CASES), default=list(CASES), help="(default,bank)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    _results.run(main)
