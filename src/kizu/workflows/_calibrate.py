"""Scores of good images the detector was not fitted on: each left out, one part after another, or some held out."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kizu import detectors
from kizu.calibration import Calibration, Decision, Method
from kizu.config import Config
from kizu.datasets import Dataset, Sample, split_good
from kizu.detectors import Scores, checked_scores
from kizu.errors import DataError
from kizu.inspector import Inspector
from kizu.progress import Progress
from kizu.workflows._check_images import CheckImages
from kizu.workflows._embeddings import Embeddings
from kizu.workflows._reading import Image, Reader, naming
from kizu.workflows._side_by_side import worked

HELD_OUT_AT_LEAST = 5
"""Good images kept back for the threshold at least: fewer say next to nothing about it."""


@dataclass(frozen=True)
class Division:
    """Which good samples are fitted on, which are ``held_out``, and how scores of images not fitted on come about."""

    method: Method
    to_fit: tuple[Sample, ...]
    held_out: tuple[Sample, ...] = ()


def divide(dataset: Dataset, detector: detectors.Detector, config: Config) -> Division:
    """As a resolved ``config`` asks; images that the data set itself sets apart for calibration come first.

    Raises `DataError` where there are too few.
    """
    good = dataset.train_good()
    given = tuple(sample for sample in dataset.calibration() if sample.label == "good")
    method: Method = "given" if given else config.calibration or "hold_out"
    spare = {"given": 0, "hold_out": HELD_OUT_AT_LEAST, "leave_one_out": 1}
    needed = max(detector.min_images + spare.get(method, 0), config.folds if method == "k_fold" else 0)
    if len(good) < needed:
        also = {
            "hold_out": f" and {HELD_OUT_AT_LEAST} to hold out for the threshold",
            "leave_one_out": " and one to leave out at a time for the threshold",
            "k_fold": f", and {config.folds} folds for the threshold take an image each",
        }
        images = "image" if len(good) == 1 else "images"
        raise DataError(
            f"{dataset.root}: {len(good)} good {images} to fit on; {detector.name} needs at least {needed} "
            f"({detector.min_images} to fit{also.get(method, '')}). Add good images."
        )
    if method == "hold_out":
        return Division(
            method, *split_good(good, seed=config.seed, share=config.hold_out, at_least=HELD_OUT_AT_LEAST)
        )
    return Division(method, good, given)


def decision_of(config: Config) -> Decision:
    """What a fit decides by."""
    return Decision(false_alarms=config.false_alarms, review_budget=config.review_budget)


def from_left_out(inspector: Inspector, scores: Scores, size: tuple[int, int]) -> Calibration:
    """From what a detector says of the images of its own fit, each left out; ``size`` (H, W) is that of one."""
    frame = inspector.frame(size)
    grid = frame.grid if frame.counts is None else (1, int(frame.counts.sum()))
    scores = checked_scores(scores, (len(scores.images), *grid), inspector.detector.name)
    peaks = [float(inspector.map_of(patches, size).max()) for patches in scores.patches]
    found = scores.images.astype(np.float64), np.array(peaks)
    return Calibration(*found, decision_of(inspector.config), "leave_one_out")


def leaves_out_later(inspector: Inspector) -> bool:
    """Whether images of the fit are left out and scored whole once it is done: those cut into tiles, which may be
    fitted on in parts, and whose embeddings need not all be held; and those of which, by their shapes, more or fewer
    patches lie in the inspected area.
    """
    scaled = inspector.area is not None and inspector.area.scales and inspector.preprocessing.keep_aspect
    return (scaled or inspector.tiling is not None) and inspector.detector.leaves_one_out_later


def from_left_out_later(
    inspector: Inspector, reader: Reader, samples: Sequence[Sample], aside: Container[int], progress: Progress
) -> Calibration:
    """From the images that the detector was fitted on, or learnt last, each scored whole by `Detector.without` it;
    but for those set ``aside``, by number.
    """
    numbers = {sample.path: number for number, sample in enumerate(samples)}  # not all may be read a second time
    with (
        progress.stage("Leaving each image out", len(samples)) as advance,
        closing(reader.images(samples, advance)) as read,
    ):
        measured = [
            _measured(replace(inspector, detector=inspector.detector.without(numbers[sample.path])), sample, image)
            for sample, image in read
            if numbers[sample.path] not in aside
        ]
    scores, peaks = np.array(measured).T
    return Calibration(scores, peaks, decision_of(inspector.config), "leave_one_out")


def from_images(
    inspector: Inspector,
    reader: Reader,
    samples: Sequence[Sample],
    method: Method,
    kept: CheckImages,
    progress: Progress,
) -> Calibration:
    """From images that were not fitted on."""
    with (
        progress.stage("Finding the threshold", len(samples)) as advance,
        closing(worked(reader, samples, inspector, _measured, advance)) as read,
    ):
        measured = []
        for _, image, found in read:
            kept.held_out(image)
            measured.append(found)
    scores, peaks = np.array(measured).T
    return Calibration(scores, peaks, decision_of(inspector.config), method)


def from_folds(
    inspector: Inspector, reader: Reader, samples: Sequence[Sample], progress: Progress, given: Mapping[str, Any]
) -> Calibration:
    """Each part of the samples by a detector fitted on the other parts, drawn by the seed; ``inspector`` stays.
    ``given``: more arguments of that fit.
    """
    config = inspector.config
    shuffled = np.random.default_rng(config.seed).permutation(len(samples))
    parts = [sorted(part.tolist()) for part in np.array_split(shuffled, config.folds)]
    measured: list[tuple[float, float]] = []
    for number, part in enumerate(parts, start=1):
        others = [sample for place, sample in enumerate(samples) if place not in set(part)]
        detector = detectors.build(config.detector.name, config.detector.parameters)
        fold = f"fold {number} of {config.folds}"
        with closing(Embeddings(inspector, reader.again(), others, progress, (f"Reading, {fold}",))) as embeddings:
            detector.fit(
                embeddings, images=len(others), rng=np.random.default_rng(config.seed), progress=progress, **given
            )
        left_out = [samples[place] for place in part]
        fitted = replace(inspector, detector=detector)
        with (
            progress.stage(f"Scoring, {fold}", len(left_out)) as advance,
            closing(worked(reader.again(), left_out, fitted, _measured, advance)) as read,
        ):
            measured += [found for *_, found in read]
    scores, peaks = np.array(measured).T
    return Calibration(scores, peaks, decision_of(config), "k_fold")


def _measured(inspector: Inspector, sample: Sample, image: Image) -> tuple[float, float]:
    with naming(sample):
        score, anomaly_map = inspector.measure(image)
    return score, float(anomaly_map.max())
