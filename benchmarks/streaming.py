"""``kizu fit --memory``: peak memory against the budget, and how far patches are from the bank, by number of images.

Images are the good solar cells over and over, each time turned, mirrored, shifted and brightened a little, as JPEG
files. Each fit is a process of its own, ``kizu fit DIR --memory SIZE``, which tells its own peak. The
``cover_radius`` told is an upper bound; ``reached`` is the largest distance of any patch of any image to the model's
bank (searched as the model does, so at most ``search_error`` too large), from reading all images again. With
``--unlimited`` the same images are fitted without a limit as well, where they fit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import _results
import _solar
import kizu
from kizu import images
from kizu.datasets import Sample
from kizu.memory import parse_size
from kizu.progress import Silent
from kizu.workflows._embeddings import Embeddings
from kizu.workflows._reading import Reader

MIB = 2**20
CELLS = 1400
KIZU = Path(__file__).with_name("_kizu_peak.py")


def write_images(folder: Path, count: int) -> None:
    """``count`` JPEG files of good cells, no two alike."""
    import cv2

    cells = [images.read_image(sample.path) for sample in _solar.good_cells(min(count, CELLS))]
    rng = np.random.default_rng(0)
    for number in range(count):
        image = np.rot90(cells[number % len(cells)], number // len(cells))
        image = np.roll(image[:, ::-1] if rng.random() < 0.5 else image, rng.integers(-4, 5, 2), axis=(0, 1))
        brighter = np.clip(image * rng.uniform(0.95, 1.05), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), brighter, [cv2.IMWRITE_JPEG_QUALITY, 92])


def fit(data: Path, model: Path, memory: str | None, settings: Sequence[str]) -> dict[str, float]:
    """One fit in a process of its own: its seconds, and the peak of its resident size in bytes."""
    command = [sys.executable, str(KIZU), "fit", str(data), "-o", str(model)]
    command += [*(["--memory", memory] if memory else []), *(part for one in settings for part in ("--set", one))]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"the fit failed: {' '.join(command)}")
    return {"seconds": time.perf_counter() - started, "peak": int(done.stdout.splitlines()[-1])}


def reached(inspector: kizu.Inspector, data: Path) -> float:
    """The largest distance of any patch to the bank."""
    samples = [Sample(path, "train", "good", "") for path in sorted(data.iterdir())]
    scores = inspector.detector.score
    return max(
        float(scores(batch).images[0])
        for batch in Embeddings(inspector, Reader(inspector.reading), samples, Silent(), ("",))
    )


def row(data: Path, count: int, memory: str | None, options: argparse.Namespace) -> _results.Row:
    model = data.parent / "model.kizu"
    found = fit(data, model, memory, options.set or [])
    inspector = kizu.load(model)
    summary = inspector.detector.summary()
    budget = parse_size(memory) if memory else None
    total = count * inspector.engine.grid[0] * inspector.engine.grid[1]
    return {
        "images": count,
        "memory": memory or "unlimited",
        "peak_share": found["peak"] / budget if budget else None,
        "peak_mib": found["peak"] / MIB,
        "embeddings_mib": total * inspector.engine.channels * 4 / MIB,
        "seconds": found["seconds"],
        "ms_an_image": found["seconds"] / count * 1e3,
        "bank_rows": summary["bank rows"],
        "dimensions": summary["dimensions"],
        "cover_radius": summary["cover radius"],
        "reached": reached(inspector, data) if count <= options.reached_up_to else None,
        "calibration": inspector.config.calibration,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    found = []
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "good"
            data.mkdir()
            _results.note(f"writing {count} images")
            write_images(data, count)
            for memory in [*options.memory, *([None] if count <= options.unlimited_up_to else [])]:
                _results.note(f"{count} images, {memory or 'no limit'}")
                found.append(row(data, count, memory, options))
    _results.save("streaming", found, key=("images", "memory", "bank_rows", "dimensions"), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    numbers, names = _results.listed(int), _results.listed(str)
    parser.add_argument("--images", type=numbers, default=[1000, 3000, 10000], help="(1000,3000,10000)")
    parser.add_argument("--memory", type=names, default=["1GB", "2GB"], help="budgets (1GB,2GB)")
    parser.add_argument("--unlimited-up-to", type=int, default=1000, help="images fitted without a limit too (1000)")
    parser.add_argument("--reached-up-to", type=int, default=3000, help="images read again for `reached` (3000)")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="settings of the fit, as kizu's own")
    return parser


if __name__ == "__main__":
    _results.run(main)
