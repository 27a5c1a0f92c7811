"""A folder of good images → an inspector."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu import backbones, detectors
from kizu.calibration import Calibration
from kizu.config import Config, parse
from kizu.datasets import Dataset, Sample, load_dataset, split_good
from kizu.errors import DataError
from kizu.images import DEFAULT_MAX_PIXELS
from kizu.inspector import Inspector
from kizu.progress import Progress, Silent
from kizu.workflows._check_images import CheckImages
from kizu.workflows._provenance import provenance
from kizu.workflows._quantise import graph_of, quantised
from kizu.workflows._reading import Reader
from kizu.workflows._resolve import backbone_of, resolve

HELD_OUT_AT_LEAST = 5
"""Good images kept back for the threshold at least: fewer say next to nothing about it."""


def fit(
    data: str | Path | Dataset,
    config: Config | None = None,
    *,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
    **settings: Any,
) -> Inspector:
    """Fit an inspector on the good images of ``data``; each is read once.

    ``data`` is a folder or list as `kizu.datasets.load_dataset` knows them. Settings are a `Config`, its names as
    keywords, or both, keywords winning; what neither says comes from the ``preset`` they may name::

        inspector = kizu.fit("screws", detector="padim", false_alarms=0.005)
        inspector.save("screws.kizu")

    Raises:
        ParameterError: a setting is unknown or out of range.
        DataError: the data set is missing, inconsistent or too small; `ImageError` names a file.
        BackboneError: the backbone or a layer cannot be had.
    """
    given = {} if config is None else config.model_dump(exclude_unset=True)
    complete = resolve(parse({**given, **settings}, "kizu.fit()"))
    dataset = data if isinstance(data, Dataset) else load_dataset(Path(data), seed=complete.seed)
    detector = detectors.build(complete.detector.name, complete.detector.parameters)
    to_fit, held_out = _divide(dataset, detector, complete)  # before anything is downloaded
    progress = progress or Silent()
    backbone = backbones.prepare(backbone_of(complete), progress)
    inspector = _unfitted(complete, backbone, detector)
    reader = Reader(skip_unreadable=skip_unreadable, max_pixels=max_pixels)
    int8_error = None
    if complete.precision == "int8":
        inspector, int8_error = quantised(inspector, backbone, reader, to_fit, progress)
    kept = CheckImages(complete.check_images, len(held_out))
    _fit_detector(inspector, reader, to_fit, kept, progress)
    calibration = _calibrate(inspector, reader, held_out, kept, progress)
    origin = provenance(
        complete,
        backbone.card,
        dataset,
        fitted=len(to_fit) + len(held_out) - len(reader.skipped) - len(calibration.scores),
        held_out=len(calibration.scores),
        skipped=len(reader.skipped),
        fingerprint=reader.fingerprint,
        int8_error=int8_error,
    )
    return replace(inspector, calibration=calibration, provenance=origin, check_files=kept.files)


def _unfitted(config: Config, backbone: backbones.Backbone, detector: detectors.Detector) -> Inspector:
    graph = graph_of(config, backbone)
    precision = "float32" if config.precision == "int8" else config.precision  # quantising starts from float32
    return Inspector(
        config=config,
        graph=graph,
        detector=detector,
        engine=backbones.open_engine(graph, engine=config.engine, precision=precision, providers=config.providers),
    )


def _divide(
    dataset: Dataset, detector: detectors.Detector, config: Config
) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Good samples to fit on, and others for the threshold: the data's own, or a seeded share."""
    good = dataset.train_good()
    calibration = [sample for sample in dataset.calibration() if sample.label == "good"]
    needed = detector.min_images + (0 if calibration else HELD_OUT_AT_LEAST)
    if len(good) < needed:
        kept = "" if calibration else f" and {HELD_OUT_AT_LEAST} to hold out for the threshold"
        raise DataError(
            f"{dataset.root}: {len(good)} good images to fit on; {detector.name} needs at least {needed} "
            f"({detector.min_images} to fit{kept}). Add good images."
        )
    if calibration:
        return good, calibration
    return split_good(good, seed=config.seed, share=config.hold_out, at_least=HELD_OUT_AT_LEAST)


def _fit_detector(
    inspector: Inspector, reader: Reader, samples: Sequence[Sample], kept: CheckImages, progress: Progress
) -> None:
    def embeddings() -> Generator[npt.NDArray[np.float32], None, None]:
        with (
            progress.stage("Reading images", len(samples)) as advance,
            closing(reader.images(samples, advance)) as read,
        ):
            for _, image in read:
                kept.fitted(image)
                yield inspector.embed(image)

    rng = np.random.default_rng(inspector.config.seed)
    with closing(embeddings()) as batches:
        inspector.detector.fit(batches, images=len(samples), rng=rng, progress=progress)


def _calibrate(
    inspector: Inspector, reader: Reader, samples: Sequence[Sample], kept: CheckImages, progress: Progress
) -> Calibration:
    measured = []
    with (
        progress.stage("Finding the threshold", len(samples)) as advance,
        closing(reader.images(samples, advance)) as read,
    ):
        for _, image in read:
            kept.held_out(image)
            measured.append(inspector.measure(image))
    calibration = Calibration(
        scores=np.array([score for score, _ in measured]),
        peaks=np.array([float(anomaly_map.max()) for _, anomaly_map in measured]),
        false_alarms=inspector.config.false_alarms,
    )
    calibration.warn_if_few()
    return calibration
