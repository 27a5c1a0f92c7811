"""A model fitted on half of the good images that learns the other half later, against a fit on all of them.

A row a form: ``half`` alone, ``refit`` on all, ``update`` in so many batches. Reading images, selecting, leaving each
image out and thresholds are all in the seconds. ``cover_measured`` is the farthest that any patch of all good images
lies from the bank; ``cover_radius`` what the model says of it. DATA is a folder or list in any layout kizu knows;
--solar adds the mono-crystalline cells of the package ``elpv-dataset``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import _data
import _results
import kizu
from kizu.datasets import Dataset, Sample
from kizu.detectors.patchcore import PatchCore
from kizu.errors import KizuWarning
from kizu.images import read_image
from kizu.neighbors import ExactNeighbors

KEY = ("data", "detector", "form", "batches", "seed")


def divided(data: Dataset, seed: int, limit: int | None) -> tuple[list[Sample], list[Sample], Dataset]:
    """Two halves of the good images to fit on, drawn by the seed, and the rest: what is tested on."""
    good = list(data.train_good())
    order = np.random.default_rng(seed).permutation(len(good))[:limit]
    halves = [[good[place] for place in part] for part in np.array_split(order, 2)]
    test = data.test()
    kept = [sample for label in ("good", "bad") for sample in [s for s in test if s.label == label][:limit]]
    return halves[0], halves[1], replace(data, samples=tuple(kept))


def measure(
    name: str, data: Dataset, detector: str, seed: int, batches: Sequence[int], limit: int | None
) -> list[_results.Row]:
    """Every form on one data set."""
    first, second, test = divided(data, seed, limit)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "half.kizu"
        half, seconds = fitted(data, first, detector, seed)
        half.save(model)
        common: dict[str, _results.Value] = {"data": name, "detector": detector, "seed": seed}
        rows.append(figures({**common, "form": "half", "batches": 0}, half, seconds, [*first, *second], test))
        every, seconds = fitted(data, [*first, *second], detector, seed)
        rows.append(figures({**common, "form": "refit", "batches": 0}, every, seconds, [*first, *second], test))
        for count in batches:
            _results.note(f"{name}, {detector}, update in {count}")
            updated, seconds = learnt(model, second, count)
            row = {**common, "form": "update", "batches": count}
            rows.append(figures(row, updated, seconds, [*first, *second], test))
    return rows


def fitted(data: Dataset, good: Sequence[Sample], detector: str, seed: int) -> tuple[kizu.Inspector, float]:
    """A fit on ``good``, and the seconds it took."""
    samples = tuple(replace(sample, split="train") for sample in good)
    started = time.perf_counter()
    return kizu.fit(replace(data, samples=samples), detector=detector, seed=seed), time.perf_counter() - started


def learnt(model: Path, samples: Sequence[Sample], count: int) -> tuple[kizu.Inspector, float]:
    """The model with the samples added in ``count`` batches, and the seconds of all of them."""
    out, source, seconds = model.with_name(f"in-{count}.kizu"), model, 0.0
    for part in np.array_split(np.arange(len(samples)), min(count, len(samples))):
        found = kizu.update(source, [samples[place].path for place in part], out=out)
        source, seconds = out, seconds + found.seconds
    return kizu.load(out), seconds


def figures(
    row: _results.Row, inspector: kizu.Inspector, seconds: float, good: Sequence[Sample], test: Dataset
) -> _results.Row:
    """What a form gives: cover of all good patches, ranking, and errors at the threshold."""
    image = kizu.evaluate(inspector, test).image
    calibration = inspector.calibration
    if calibration is None:
        raise ValueError("the model decides nothing")
    bank = isinstance(inspector.detector, PatchCore)
    return {
        **row,
        "seconds": seconds,
        "bank_rows": inspector.detector.summary().get("bank rows"),
        "cover_radius": inspector.detector.summary().get("cover radius"),
        "cover_measured": cover(inspector, good) if bank else None,
        "image_auroc": image.auroc,
        "threshold": image.threshold,
        "calibration_images": len(calibration.scores),
        "promised": calibration.promised,
        "false_alarms": image.fp / (image.fp + image.tn),
        "missed": image.fn / (image.fn + image.tp),
        "good_images": len(good),
    }


def cover(inspector: kizu.Inspector, good: Sequence[Sample]) -> float:
    """The largest distance of a good patch to the bank; exact."""
    bank = ExactNeighbors(inspector.detector.state()["bank"])
    farthest = 0.0
    for sample in good:
        embedding = inspector.embed(read_image(sample.path))
        found, _ = bank.search(embedding.reshape(-1, embedding.shape[-1]), 1)
        farthest = max(farthest, float(found.max()))
    return farthest


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    if not options.data and not options.solar:
        parser.error("name data sets, or give --solar")
    warnings.simplefilter("ignore", KizuWarning)
    for seed in options.seeds:
        for name, data in _data.named(options.data, ["mono"] if options.solar else [], seed=seed):
            for detector in options.detectors:
                _results.note(f"{name}, {detector}, seed {seed}")
                found = measure(name, data, detector, seed, options.batches, options.limit)
                _results.save("update", found, key=KEY, folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument("--solar", action="store_true", help="the mono-crystalline solar cells too")
    both = ["patchcore", "padim"]
    parser.add_argument("--detectors", type=_results.listed(str), default=both, help="(patchcore,padim)")
    parser.add_argument("--batches", type=_results.listed(int), default=[1, 5], help="of the second half (1,5)")
    parser.add_argument("--seeds", type=_results.listed(int), default=[0], help="(0)")
    parser.add_argument(
        "--limit", type=int, help="use so many good images, and of each kind to test, for a quick look"
    )
    return parser


if __name__ == "__main__":
    _results.run(main)
