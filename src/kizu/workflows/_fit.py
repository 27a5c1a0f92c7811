"""A folder of good images → an inspector."""

from __future__ import annotations

import os
import warnings
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from kizu import backbones, detectors
from kizu.arguments import OnePath, path_of
from kizu.calibration import Calibration
from kizu.config import Config, parse, read
from kizu.datasets import Dataset, load_dataset
from kizu.errors import KizuWarning, bad_parameter
from kizu.images import DEFAULT_MAX_PIXELS
from kizu.inspector import Inspector
from kizu.progress import Progress, Silent
from kizu.workflows._area import check_covered, find_area
from kizu.workflows._budget import for_detector, pictures, within_memory
from kizu.workflows._calibrate import (
    Division,
    divide,
    from_folds,
    from_images,
    from_left_out,
    from_left_out_later,
    leaves_out_later,
)
from kizu.workflows._check_images import CheckImages
from kizu.workflows._embeddings import Embeddings
from kizu.workflows._provenance import provenance
from kizu.workflows._quantise import graph_of, quantised
from kizu.workflows._reading import Reader
from kizu.workflows._resolve import backbone_of, resolve
from kizu.workflows._set_aside import learnt, names_of, numbers_of, trusted
from kizu.workflows._tiles import warn_if_larger
from kizu.workflows._window import with_window


def fit(
    data: str | Path | Dataset,
    config: Config | OnePath | None = None,
    *,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
    **settings: Any,
) -> Inspector:
    """Fit an inspector on the good images of ``data``, and find its thresholds on them.

    ``data`` is a folder or list as `kizu.datasets.load_dataset` knows them. Settings are a `Config`, its names as
    keywords, or both, keywords winning; what neither says comes from the ``preset`` they may name. A path stands
    for the `Config` in that YAML file, as ``--config`` does::

        inspector = kizu.fit("screws", detector="padim", false_alarms=0.005)
        inspector.save("screws.kizu")

    Raises:
        ParameterError: a setting is unknown or out of range.
        DataError: the data set is missing, inconsistent or too small; `ImageError` names a file.
        BackboneError: the backbone or a layer cannot be had.
    """
    given = _given(config)
    complete = resolve(parse({**given, **settings}, "kizu.fit()"))
    dataset = data if isinstance(data, Dataset) else load_dataset(Path(data), seed=complete.seed)
    detector = detectors.build(complete.detector.name, complete.detector.parameters)
    division = divide(dataset, detector, complete)  # before anything is downloaded
    warn_if_larger(complete, division.to_fit)
    progress = progress or Silent()
    backbone = backbones.prepare(backbone_of(complete), progress)
    inspector = _unfitted(complete, backbone, detector)
    reads = pictures(inspector, (*division.to_fit, *division.held_out))
    asked = "calibration" in given | settings
    inspector, division = within_memory(inspector, division, dataset, reads, asked=asked)
    given_to_read: dict[str, Any] = {
        "skip_unreadable": skip_unreadable,
        "max_pixels": max_pixels,
        "ahead": reads.ahead,
    }
    inspector = with_window(inspector, division.to_fit, given_to_read, progress)
    complete, reader = inspector.config, Reader(inspector.reading, **given_to_read)
    inspector = replace(inspector, area=find_area(complete, reader.again(), division.to_fit, progress))
    check_covered(inspector)
    int8_error = None
    if complete.precision == "int8":
        inspector, int8_error = quantised(inspector, backbone, reader, division.to_fit, progress)
    exact = inspector.area is not None and inspector.tiling is None  # an export takes images of its size alone
    kept = CheckImages(complete.check_images, len(division.held_out), reduced=not exact)
    calibration = _fit_detector(inspector, reader, division, kept, for_detector(inspector, reads), progress)
    origin = provenance(
        complete,
        backbone.card,
        dataset,
        fitted=reader.count - (len(calibration.scores) if division.held_out else 0),
        held_out=len(calibration.scores) if division.held_out else 0,
        skipped=len(reader.skipped),
        fingerprint=reader.fingerprint,
        images=learnt(reader.digests, inspector.detector),
        set_aside=names_of(inspector.detector, reader.readable(division.to_fit), dataset.root),
        int8_error=int8_error,
    )
    calibration = trusted(calibration, inspector.detector)
    return replace(inspector, calibration=calibration, provenance=origin, check_files=kept.files)


def _given(config: object) -> dict[str, Any]:
    """What a `Config` says, or the YAML file of that path. Raises `ParameterError` for anything else."""
    if config is None:
        return {}
    if isinstance(config, str | os.PathLike):
        path = path_of(config)
        config = parse(read(path), str(path))
    if not isinstance(config, Config):
        hint = "Settings in a mapping are given as kizu.fit(data, **settings)."
        raise bad_parameter("config", "a kizu.Config or the path of a YAML file", config, hint)
    return config.model_dump(exclude_unset=True)


def require_memory(dataset: Dataset, config: Config, *, asked: bool) -> None:
    """Raise `ParameterError` where a resolved ``config.memory`` does not hold a fit of ``dataset``; no image is
    decoded. ``asked``: the user said how to calibrate.
    """
    detector = detectors.build(config.detector.name, config.detector.parameters)
    division = divide(dataset, detector, config)
    inspector = _unfitted(config, backbones.prepare(backbone_of(config), Silent()), detector)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KizuWarning)  # the fit will tell
        reads = pictures(inspector, (*division.to_fit, *division.held_out))
        within_memory(inspector, division, dataset, reads, asked=asked)


def _unfitted(config: Config, backbone: backbones.Backbone, detector: detectors.Detector) -> Inspector:
    graph = graph_of(config, backbone)
    precision = "float32" if config.precision == "int8" else config.precision  # quantising starts from float32
    return Inspector(
        config=config,
        graph=graph,
        detector=detector,
        engine=backbones.open_engine(graph, engine=config.engine, precision=precision, providers=config.providers),
    )


def _fit_detector(
    inspector: Inspector,
    reader: Reader,
    division: Division,
    kept: CheckImages,
    budget: int | None,
    progress: Progress,
) -> Calibration:
    """Fit the detector, within a ``budget`` of bytes if any, and score good images by what it would be, or is,
    without them.
    """
    config, samples = inspector.config, division.to_fit
    rng = np.random.default_rng(config.seed)
    given: dict[str, Any] = {"images": len(samples), "rng": rng, "progress": progress}
    limit = {} if budget is None else {"memory": budget}
    later = division.method == "leave_one_out" and leaves_out_later(inspector)
    given |= limit
    given |= {"leave_one_out": True} if division.method == "leave_one_out" else {}
    given |= {"later": True} if later else {}
    stages = ("Reading images", "Leaving each image out")
    with closing(Embeddings(inspector, reader, samples, progress, stages, kept.fitted)) as embeddings:
        inspector.detector.fit(embeddings, **given)
    if later:
        readable, aside = reader.readable(samples), numbers_of(inspector.detector)
        calibration = from_left_out_later(inspector, reader.again(), readable, aside, progress)
    elif division.method == "leave_one_out":
        left_out = cast(detectors.LeavesOneOut, inspector.detector).left_out_
        calibration = from_left_out(inspector, left_out, embeddings.size)
    elif division.method == "k_fold":
        calibration = from_folds(inspector, reader, reader.readable(samples), progress, limit)
    else:
        calibration = from_images(inspector, reader, division.held_out, division.method, kept, progress)
    calibration.warn_if_few()
    return calibration
