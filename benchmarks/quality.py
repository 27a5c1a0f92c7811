"""How well PatchCore and PaDiM do with default settings: a row a seed, and their mean.

DATA is a folder or list in any layout kizu knows; --solar adds the mono- and poly-crystalline cells of the package
``elpv-dataset``, whose division into fitted and judged ones each seed draws anew.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import _data
import _results
import kizu
from kizu.datasets import Dataset

KEY = ("data", "detector", "seed")


def limited(data: Dataset, limit: int | None) -> Dataset:
    """At most ``limit`` samples of each split and kind of defect."""
    if limit is None:
        return data
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for sample in data.samples:
        seen[sample.split, sample.defect_type] += 1
        if seen[sample.split, sample.defect_type] <= limit:
            kept.append(sample)
    return replace(data, samples=tuple(kept))


def measure(name: str, data: Dataset, detector: str, seed: int) -> dict[str, _results.Value]:
    """Fit, evaluate, and put down what came of it."""
    started = time.perf_counter()
    inspector = kizu.fit(data, detector=detector, seed=seed)
    seconds = time.perf_counter() - started
    evaluation = kizu.evaluate(inspector, data)
    return {
        "data": name,
        "detector": detector,
        "seed": seed,
        **image_figures(evaluation),
        **pixel_figures(evaluation),
        "fit_images": inspector.provenance["data"]["fitted"],
        "fit_seconds": seconds,
        "ms_an_image": statistics.median(result.milliseconds for result in evaluation.results),
        "bank_rows": inspector.detector.summary().get("bank rows"),
        "model_mib": model_mib(inspector),
    }


def image_figures(evaluation: kizu.Evaluation) -> dict[str, _results.Value]:
    """Ranking figures; and at the threshold, the shares of good parts called NG and of bad ones let pass."""
    image = evaluation.image
    good, bad = image.fp + image.tn, image.fn + image.tp
    return {
        "image_auroc": image.auroc,
        "image_ap": image.ap,
        "image_f1_max": image.f1_max,
        "false_alarms": image.fp / good if good else None,
        "missed": image.fn / bad if bad else None,
        "test_good": good,
        "test_bad": bad,
    }


def pixel_figures(evaluation: kizu.Evaluation) -> dict[str, _results.Value]:
    pixel = evaluation.pixel
    names = ("auroc", "ap", "f1_max", "aupro")
    return {f"pixel_{name}": None if pixel is None else getattr(pixel, name) for name in names}


def model_mib(inspector: kizu.Inspector) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.kizu"
        inspector.save(path)
        return path.stat().st_size / 2**20


def with_means(rows: Sequence[_results.Row]) -> list[_results.Row]:
    """Rows by data and detector, each group followed by its mean."""
    groups: dict[tuple[_results.Value, _results.Value], list[_results.Row]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["detector"]), []).append(row)
    return [row for group in groups.values() for row in [*group, _results.mean(group)]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    if not options.data and not options.solar:
        parser.error("name data sets, or give --solar")
    found = []
    for seed in options.seeds:
        for name, data in _data.named(options.data, _data.CELLS if options.solar else (), seed=seed):
            for detector in options.detectors:
                _results.note(f"{name}, {detector}, seed {seed}")
                found.append(measure(name, limited(data, options.limit), detector, seed))
    _results.save("quality", with_means(found), key=KEY, folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="folders or lists of images")
    parser.add_argument("--solar", action="store_true", help="the solar cells, mono and poly, too")
    both = ["patchcore", "padim"]
    parser.add_argument("--detectors", type=_results.listed(str), default=both, help="(patchcore,padim)")
    parser.add_argument("--seeds", type=_results.listed(int), default=[0, 1, 2], help="(0,1,2)")
    parser.add_argument("--limit", type=int, help="use so many images of each split and kind only, for a quick look")
    return parser


if __name__ == "__main__":
    main()
