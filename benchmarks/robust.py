"""What defects among the good images cost, with `robust` and without: a row a case, and their mean.

Of the defects of each data set a share is smuggled into the good images of the fit, drawn by the seed, and taken out
of the test. Thresholds are those of the default: each image of the fit left out, 1 % false alarms. Embeddings are
computed once a data set and kept in a temporary file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import _data
import _results
import _solar
from kizu import detectors
from kizu.calibration import Calibration
from kizu.datasets import Dataset, Sample
from kizu.metrics import image_metrics

KEY = ("data", "detector", "share", "robust", "seed")
TEXTS, ORIGIN = ("data", "detector", "robust", "seed"), ("commit", "hardware", "versions")
SCORED_AT_A_TIME = 16

Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Embedded:
    """Embeddings ``(n, h, w, D)`` of a data set, in a file; ``to_fit``, ``good``, ``bad``: which images are what."""

    name: str
    embeddings: Float32
    to_fit: Indices
    good: Indices
    bad: Indices

    def smuggled(self, share: float, seed: int) -> Indices:
        """The defects that go among the good images."""
        drawn = np.random.default_rng(1000 + seed).permutation(self.bad)
        return np.sort(drawn[: round(share * len(drawn))])


def embedded(name: str, data: Dataset, folder: Path) -> Embedded:
    """Every image through the default backbone."""
    engine = _solar.engine()
    kept = data.samples
    shape = (len(kept), *engine.grid, engine.channels)
    found = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
    for place, embedding in enumerate(_solar.embeddings(engine, kept)):
        found[place] = embedding[0]

    def of(split: str, label: str) -> Indices:
        return np.array([n for n, sample in enumerate(kept) if _is(sample, split, label)], np.int64)

    return Embedded(name, found, of("train", "good"), of("test", "good"), of("test", "bad"))


def _is(sample: Sample, split: str, label: str) -> bool:
    return sample.split == split and sample.label == label


def measure(data: Embedded, detector: str, share: float, robust: bool, seed: int) -> dict[str, _results.Value]:
    """Fit with smuggled defects, score the rest, and put down what came of it."""
    smuggled = data.smuggled(share, seed)
    to_fit = np.sort(np.concatenate([data.to_fit, smuggled]))
    fitted = detectors.build(detector, {"robust": robust} if robust else {})
    batches = [data.embeddings[place : place + 1] for place in to_fit]
    started = time.perf_counter()
    fitted.fit(batches, images=len(batches), rng=np.random.default_rng(seed), leave_one_out=True)  # type: ignore[call-arg]
    seconds = time.perf_counter() - started
    left_out = fitted.left_out_.images.astype(np.float64)  # type: ignore[attr-defined]
    calibration = Calibration(left_out, left_out)
    bad = np.setdiff1d(data.bad, smuggled)
    scores = _scores(fitted, data.embeddings, np.concatenate([data.good, bad]))
    labels = [False] * len(data.good) + [True] * len(bad)
    metrics = image_metrics(scores.tolist(), labels, calibration.threshold)
    aside = to_fit[fitted.set_aside_[:, 0]]  # type: ignore[attr-defined]
    return {
        "data": data.name,
        "detector": detector,
        "share": share,
        "robust": "yes" if robust else "no",
        "seed": seed,
        "image_auroc": metrics.auroc,
        "false_alarms": metrics.fp / len(data.good),
        "missed": metrics.fn / len(bad),
        "fit_images": len(to_fit),
        "smuggled": len(smuggled),
        "smuggled_aside": len(np.intersect1d(aside, smuggled)),
        "good_aside": len(np.setdiff1d(aside, smuggled)),
        "fit_seconds": seconds,
    }


def _scores(detector: detectors.Detector, embeddings: Float32, which: Indices) -> Float32:
    parts = [which[first : first + SCORED_AT_A_TIME] for first in range(0, len(which), SCORED_AT_A_TIME)]
    return np.concatenate([detector.score(embeddings[part]).images for part in parts])


def run(options: argparse.Namespace, data: Embedded) -> None:
    """Every case of one data set; what is there is kept as it goes, and means are made of all there is."""
    for seed in options.seeds:
        for detector in options.detectors:
            for share in options.shares:
                _results.note(f"{data.name}, {detector}, {share:g} smuggled, seed {seed}")
                rows = [measure(data, detector, share, robust, seed) for robust in (False, True)]
                path = _results.save("robust", rows, key=KEY, folder=options.results)
    _results.save("robust", means(_results.read(path)), key=KEY, folder=options.results)


def means(rows: Sequence[dict[str, str]]) -> list[_results.Row]:
    """A row a group of cases that differ in their seed alone, by data, detector and share."""
    groups: dict[tuple[str, ...], list[_results.Row]] = {}
    for row in rows:
        if row["seed"] != "mean":
            groups.setdefault(tuple(row[name] for name in KEY[:-1]), []).append(
                {name: text if name in TEXTS else float(text) for name, text in row.items() if name not in ORIGIN}
            )
    return [_results.mean(group) for group in groups.values()]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    if not options.data and not options.solar:
        parser.error("name data sets, or give --solar mono,poly")
    for name, data in _data.named(options.data, options.solar):
        with tempfile.TemporaryDirectory() as folder:
            found = embedded(name, data, Path(folder))
            run(options, found)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument(
        "--solar", type=_results.listed(str), default=[], metavar="KINDS", help="mono,poly: these too"
    )
    both = ["patchcore", "padim"]
    parser.add_argument("--detectors", type=_results.listed(str), default=both, help="(patchcore,padim)")
    parser.add_argument(
        "--shares", type=_results.listed(float), default=[0.0, 0.05, 0.1, 0.2], help="(0,0.05,0.1,0.2)"
    )
    parser.add_argument("--seeds", type=_results.listed(int), default=[0, 1, 2], help="(0,1,2)")
    return parser


if __name__ == "__main__":
    _results.run(main)
