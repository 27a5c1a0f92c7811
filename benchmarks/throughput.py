"""Folders of images: what ``fit``'s reading and ``predict`` reach of what decoding and the backbone alone allow.

All figures of a row are from one run in which these take turns over the same files: decoding alone; the backbone
alone on images that are ready, one by one, several at a time and in batches, the fastest of which counts; reading and
embedding, as a fit does; and ``predict``. Decoding and backbone share the cores, so no program can reach the lower of
the two ceilings unless the other is free: ``shared_ceiling`` is what is left for both,
1 / (1/decoding + 1/backbone).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import _results
import _solar
import kizu
from kizu import images
from kizu.datasets import Sample
from kizu.progress import Silent
from kizu.workflows import predict
from kizu.workflows._embeddings import Embeddings
from kizu.workflows._reading import WORKERS, Reader

Takers = dict[str, Callable[[], object]]

LAYERS = ("blocks.2", "blocks.4")


def models(options: argparse.Namespace) -> dict[str, kizu.Inspector]:
    """The cases asked for."""
    data = _solar.dataset(options.images)
    bank = {"name": "patchcore", "coreset_count": options.bank_rows, "search": "approximate"}
    made = {
        "bank": lambda: kizu.fit(data, layers=LAYERS, detector=bank),
        "default": lambda: kizu.fit(data),
        "padim": lambda: kizu.fit(data, detector="padim"),
    }
    return {name: made[name]() for name in options.cases}


def written(folder: Path, samples: Sequence[Sample], side: int | None, suffix: str) -> list[Path]:
    """The cells as files of another size or format, or as they are."""
    if side is None and suffix == "png":
        return [sample.path for sample in samples]
    import cv2

    paths = [folder / f"{number:04d}.{suffix}" for number in range(len(samples))]
    for sample, path in zip(samples, paths, strict=True):
        image = images.read_image(sample.path)
        cv2.imwrite(str(path), image if side is None else images.resize(image, (side, side)))
    return paths


def subjects(
    inspector: kizu.Inspector, paths: Sequence[Path], pool: ThreadPoolExecutor
) -> dict[str, Callable[[], object]]:
    """What takes turns, by name."""
    samples = [Sample(path, "test", None, "") for path in paths]
    side = inspector.engine.image_size
    ready = [images.resize(images.read_image(path), (side, side))[None] for path in paths]

    def embeddings() -> None:
        for _ in Embeddings(inspector, Reader(inspector.reading), samples, Silent(), ("Reading",)):
            pass

    return {
        "decoding": lambda: list(pool.map(images.read_image, paths)),
        "backbone_one": lambda: [inspector.engine.embed(image) for image in ready],
        "backbone_several": lambda: list(pool.map(inspector.engine.embed, ready)),
        "backbone_batches": lambda: [
            inspector.engine.embed(np.concatenate(ready[first : first + 8])) for first in range(0, len(ready), 8)
        ],
        "reading_and_embedding": embeddings,
        "predict": lambda: list(predict(inspector, paths)),
        "predict_one_by_one": lambda: [inspector.inspect(images.read_image(path)) for path in paths],
    }


def row(case: str, files: str, count: int, times: dict[str, list[float]]) -> _results.Row:
    rate = {name: count / statistics.median(values) for name, values in times.items()}
    backbone = max(rate[name] for name in rate if name.startswith("backbone"))
    ceiling = min(rate["decoding"], backbone)
    shared = 1 / (1 / rate["decoding"] + 1 / backbone)
    return {
        "case": case,
        "files": files,
        "embedding_share": rate["reading_and_embedding"] / ceiling,
        "embedding_share_of_shared": rate["reading_and_embedding"] / shared,
        "predict_share": rate["predict"] / ceiling,
        "predict_share_of_shared": rate["predict"] / shared,
        "predict_gain": rate["predict"] / rate["predict_one_by_one"],
        "ceiling": ceiling,
        "shared_ceiling": shared,
        **{f"{name}_per_s": value for name, value in rate.items()},
        "images": count,
        "runs": len(times["predict"]),
    }


def measured(takers: Takers, runs: int) -> dict[str, list[float]]:
    """Seconds by name, one a run, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in takers}
    for run in range(-1, runs):
        for name, work in takers.items():
            started = time.perf_counter()
            work()
            if run >= 0:
                times[name].append(time.perf_counter() - started)
    return times


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    samples = _solar.defective_cells()[: options.queries]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        for case, inspector in models(options).items():
            for files in options.files:
                side, _, suffix = files.rpartition(".")
                target = Path(folder) / files
                target.mkdir(exist_ok=True)
                paths = written(target, samples, int(side) if side else None, suffix)
                _results.note(f"{case}, {files}: {options.runs} runs of {len(paths)} images")
                made = row(case, files, len(paths), measured(subjects(inspector, paths, pool), options.runs))
                _results.save("throughput", [made], key=("case", "files"), folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    names = _results.listed(str)
    parser.add_argument("--images", type=int, default=320, help="good cells to fit on (320)")
    parser.add_argument("--bank-rows", type=int, default=32768, help="rows of the large bank (32768)")
    cases = ["bank", "default", "padim"]
    parser.add_argument("--cases", type=_results.listed(str, cases), default=cases, help="(bank,default,padim)")
    parser.add_argument(
        "--files",
        type=names,
        default=[".png", "1024.jpg"],
        help="SIDE.FORMAT; no side: 300² as they are (.png,1024.jpg)",
    )
    parser.add_argument("--queries", type=int, default=200, help="images in the folder (200)")
    parser.add_argument("--runs", type=int, default=7, help="measurements of each (7)")
    return parser


if __name__ == "__main__":
    _results.run(main)
