"""The peers of ``peers.py``: which there are, what runs them, which images they get, and how findings become rows."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import _results
from _peer import Job
from kizu import images, maps, metrics
from kizu.datasets import Dataset, Sample
from kizu.datasets.masks import load_mask

HERE = Path(__file__).parent
PLACE = ("data", "peer", "fit_images", "test_images", "ratio", "weights")
QUALITY = ("image_auroc", "pixel_auroc", "pixel_aupro", "bank_rows", "peak_mib", "loaded_mib", "model_mib", "library")
SAME_PADIM = {"same": True, "detector": {"name": "padim", "reduced_dims": 100}}


class PeerError(Exception):
    """A peer did not come to its end."""


@dataclass(frozen=True)
class Entry:
    """A peer as the table names it; ``weights``: those of kizu's backbone, or ``random`` ones. ``most``: images to
    test a peer on that takes long for each; None: all.
    """

    name: str
    script: str
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = "same"
    most: int | None = None

    @property
    def anomalib(self) -> bool:
        return self.script == "with_anomalib"


ENTRIES = (
    Entry("kizu same settings", "with_kizu", {"same": True}),
    Entry("kizu lite", "with_kizu", {"preset": "lite"}),
    Entry("kizu lite-fast", "with_kizu", {"preset": "lite-fast"}),
    Entry("kizu PaDiM", "with_kizu", {"detector": "padim"}),
    Entry("kizu PaDiM same settings", "with_kizu", SAME_PADIM),
    Entry("patchcore-inspection", "patchcore_inspection"),
    Entry("walk-through", "walkthrough"),
    Entry("scikit-learn brute", "plain_sklearn", {"algorithm": "brute"}),
    Entry("scikit-learn ball tree", "plain_sklearn", {"algorithm": "ball_tree"}, most=5),
    Entry("scikit-learn kd tree", "plain_sklearn", {"algorithm": "kd_tree"}, most=5),
    Entry("scikit-learn brute all patches", "plain_sklearn", {"algorithm": "brute", "all": True}, most=20),
    Entry("anomalib PatchCore", "with_anomalib", {"model": "patchcore"}),
    Entry("anomalib PaDiM", "with_anomalib", {"model": "padim", "dims": 100}),
    Entry("anomalib PatchCore as it comes", "with_anomalib", {"model": "patchcore"}, "random", most=20),
    Entry("anomalib PaDiM as it comes", "with_anomalib", {"model": "padim"}, "random"),
)


def divided(data: Dataset, fit_images: int, test_images: int | None) -> tuple[list[Sample], list[Sample]]:
    """So many images to fit on, and so many to judge, good ones and defects in turn."""
    train = [sample for sample in data.samples if sample.split == "train"]
    if fit_images > len(train):
        raise SystemExit(f"there are {len(train)} images to fit on, not {fit_images}; give --images {len(train)}")
    test = {label: [s for s in data.samples if s.split == "test" and s.label == label] for label in ("good", "bad")}
    mixed = _in_turn(_spread(test["good"]), _spread(test["bad"]))
    if not mixed:
        raise SystemExit("there are no test images; give a data set with some")
    return _spread(train)[:fit_images], mixed[:test_images]


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """In an order that has nothing to do with names; the same every time."""
    order = np.random.default_rng(0).permutation(len(samples))
    return [samples[place] for place in order]


def _in_turn(first: Sequence[Sample], second: Sequence[Sample]) -> list[Sample]:
    both = min(len(first), len(second))
    pairs = [sample for pair in zip(first, second, strict=False) for sample in pair]
    return [*pairs, *first[both:], *second[both:]]


def run(entry: Entry, job: Job, python: str) -> dict[str, Any]:
    """Figures of one peer. Raises `PeerError` with the last line it wrote."""
    path = job.path / "job.json"
    path.write_text(json.dumps(asdict(job)), encoding="utf-8")
    command = [python, str(HERE / "peers" / f"{entry.script}.py"), str(path)]
    paths = [str(HERE), *([] if entry.anomalib else [str(HERE.parent / "src")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PeerError(f"{entry.name}: it ended with code {done.returncode}: {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def judged(job: Job, samples: Sequence[Sample]) -> dict[str, _results.Value]:
    """AUROC and PRO from the scores and maps that a peer left, the same code for all; maps at the job's side."""
    scores = np.load(job.path / "scores.npy")
    bad = np.array([sample.label == "bad" for sample in samples])
    both = bad.any() and not bad.all()
    found = metrics.image_metrics(scores, bad, threshold=0.0) if both else None
    pixels = metrics.PixelAccumulator()
    if any(sample.mask for sample in samples):
        for sample, anomaly_map in zip(samples, np.load(job.path / "maps.npy"), strict=True):
            marked = _marked(sample, job.side)
            if marked is not None:
                pixels.update(maps.resize_map(anomaly_map.astype(np.float32), marked.shape), marked)
    pixel = pixels.result(threshold=0.0)
    return {
        "image_auroc": found.auroc if found else None,
        "pixel_auroc": pixel.auroc if pixel else None,
        "pixel_aupro": pixel.aupro if pixel else None,
    }


def _marked(sample: Sample, side: int) -> npt.NDArray[np.bool_] | None:
    mask = load_mask(sample, images.read_image(sample.path).shape)
    return None if mask is None else images.resize_mask(mask, (side, side))


def row(entry: Entry, found: Mapping[str, Any], quality: Mapping[str, _results.Value]) -> dict[str, _results.Value]:
    """What was measured, and apart from it what is extrapolated."""
    picks, wanted = found.get("picks", 0), found.get("wanted", 0)
    more = (wanted - picks) * found["ms_a_pick"] / 1e3 if 0 < picks < wanted else None
    known = sum(found.get(stage) or 0.0 for stage in ("features", "selection", "calibration"))
    judge = quality if entry.weights == "same" else dict.fromkeys(quality)
    return {
        "peer": entry.name,
        "library": found["library"],
        "weights": entry.weights,
        "fit_seconds": found["fit"],
        "features_seconds": found.get("features"),
        "selection_seconds": found.get("selection"),
        "calibration_seconds": found.get("calibration"),
        "other_seconds": found["fit"] - known,
        "picks": picks or None,
        "picks_wanted": wanted or None,
        "ms_a_pick": found.get("ms_a_pick"),
        "ms_a_pick_first_half": found.get("ms_a_pick_first_half"),
        "selection_seconds_extrapolated": found["selection"] + more if more is not None else None,
        "fit_seconds_extrapolated": found["fit"] + more if more is not None else None,
        "patches": found["patches"] or None,
        "bank_rows": found.get("bank_rows"),
        "ms": found["ms"],
        "ms_p95": found["ms_p95"],
        "ms_filled_bank": found.get("ms_filled"),
        **judge,
        "peak_mib": found["peak_mib"],
        "loaded_mib": found["loaded_mib"],
        "model_mib": found["model_mib"],
    }


def with_ratios(rows: Sequence[dict[str, _results.Value]]) -> list[_results.Row]:
    """Ratios against the mean of the first and last row, kizu with the same settings; one row for both."""
    first, last = rows[0], rows[-1]
    base = {**first, **{name: _mean(first[name], last[name]) for name in first if not name.startswith("picks")}}
    for name in ("fit_seconds", "ms"):
        a, b = _number(first[name]), _number(last[name])
        if max(a, b) > 1.2 * min(a, b):
            _results.note(f"{name} of kizu was {a:.3g} at first and {b:.3g} at last: this machine is not quiet")
    fit, ms, threshold = (_number(base[name] or 0.0) for name in ("fit_seconds", "ms", "calibration_seconds"))

    def ratios(measured: Mapping[str, _results.Value]) -> dict[str, _results.Value]:
        own = _number(measured["calibration_seconds"] or 0.0)
        seconds, more = _number(measured["fit_seconds"]), measured["fit_seconds_extrapolated"]
        filled = measured["ms_filled_bank"]
        return {
            "fit_ratio": seconds / fit,
            "fit_ratio_extrapolated": None if more is None else _number(more) / fit,
            "unthresholded_ratio": (seconds - own) / (fit - threshold),
            "unthresholded_ratio_extrapolated": None if more is None else (_number(more) - own) / (fit - threshold),
            "ms_ratio": _number(measured["ms"]) / ms,
            "ms_ratio_filled_bank": None if filled is None else _number(filled) / ms,
        }

    return [{**measured, **ratios(measured)} for measured in (base, *rows[1:-1])]


def tables(rows: Sequence[_results.Row]) -> dict[str, list[_results.Row]]:
    """Two tables of the same rows: times, ratios first; and what was found, with memory and sizes."""
    times = [name for name in rows[0] if name not in PLACE + QUALITY]
    times.sort(key=lambda name: "_ratio" not in name)
    chosen = {"peers": times, "peers_quality": QUALITY}
    return {
        table: [{name: row[name] for name in (*PLACE, *names)} for row in rows] for table, names in chosen.items()
    }


def _mean(first: _results.Value, last: _results.Value) -> _results.Value:
    if isinstance(first, float) and isinstance(last, float):
        return (first + last) / 2
    return first


def _number(value: _results.Value) -> float:
    assert isinstance(value, int | float)
    return float(value)
