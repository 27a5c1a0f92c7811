"""Peak memory of a fit against the float32 bytes of all its embeddings.

Each fit runs in a process of its own. What counts is the resident peak during the fit less what was resident before
it, with libraries loaded and a backbone session that has run; reading and embedding the images is part of the fit.
A bank with approximate search holds the search's copy of its rows too, so a large ``coreset_ratio`` may cost more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import _results

MIB = 2**20


def peak() -> int:
    """The largest resident size of this process so far, in bytes; on Linux untouched by the process that started it
    (which is in what ``getrusage`` and ``wait4`` tell).
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    largest = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return largest[0] if largest else _told_by_the_system()


def _told_by_the_system() -> int:
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def forget_peak() -> None:
    """Let the peak start from what is resident now, where the system can (Linux): loading leaves one behind."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def fit(job: dict[str, Any]) -> dict[str, float]:
    """Run one fit; its memory and time. Called in the child process."""
    import cv2  # noqa: F401
    import faiss  # noqa: F401
    import numpy as np

    import _solar
    from kizu import detectors

    engine, samples = _solar.engine(job["layers"]), _solar.good_cells(job["images"])
    for _ in _solar.embeddings(engine, samples[:2]):
        pass
    detector = detectors.build(job["detector"], job["parameters"])
    forget_peak()
    before, started = peak(), time.perf_counter()
    detector.fit(_solar.embeddings(engine, samples), images=len(samples), rng=np.random.default_rng(0))
    rows = len(samples) * engine.grid[0] * engine.grid[1]
    return {
        "rows": rows,
        "dimensions": engine.channels,
        "before": before,
        "peak": peak(),
        "embeddings": rows * engine.channels * 4,
        "seconds": time.perf_counter() - started,
    }


def fit_apart(job: dict[str, Any]) -> dict[str, float]:
    """`fit` in a fresh process."""
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return found


def jobs(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """PatchCore by images, ratio and search; PaDiM by images."""
    for count in options.images:
        for ratio in options.ratios:
            for search in options.searches:
                parameters = {"coreset_ratio": ratio, "search": search}
                yield {"detector": "patchcore", "images": count, "layers": options.layers, "parameters": parameters}
    for count in options.padim_images:
        yield {"detector": "padim", "images": count, "layers": options.layers, "parameters": {}}


def row(job: dict[str, Any], found: dict[str, float]) -> _results.Row:
    used = found["peak"] - found["before"]
    return {
        "detector": job["detector"],
        "images": job["images"],
        "coreset_ratio": job["parameters"].get("coreset_ratio"),
        "search": job["parameters"].get("search"),
        "ratio": used / found["embeddings"],
        "fit_mib": used / MIB,
        "embeddings_mib": found["embeddings"] / MIB,
        "before_mib": found["before"] / MIB,
        "process_mib": found["peak"] / MIB,
        "rows": int(found["rows"]),
        "dimensions": int(found["dimensions"]),
        "seconds": found["seconds"],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    if options.job:
        print(json.dumps(fit(json.loads(options.job))))
        return
    found = []
    for job in jobs(options):
        _results.note(f"{job['detector']} {job['images']} images {job['parameters'] or ''}")
        found.append(row(job, fit_apart(job)))
    key = ("detector", "images", "coreset_ratio", "search", "dimensions")
    _results.save("memory", found, key=key, folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    numbers, names, shares = _results.listed(int), _results.listed(str), _results.listed(float)
    parser.add_argument("--images", type=numbers, default=[100, 200], help="cells PatchCore is fitted on (100,200)")
    parser.add_argument("--ratios", type=shares, default=[0.02, 0.1, 0.5, 1.0], help="(0.02,0.1,0.5,1.0)")
    parser.add_argument("--searches", type=names, default=["auto", "exact"], help="(auto,exact)")
    parser.add_argument("--padim-images", type=numbers, default=[50, 200, 800], help="those for PaDiM (50,200,800)")
    parser.add_argument("--layers", type=names, help="layers (the backbone's own choice)")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    _results.run(main)
