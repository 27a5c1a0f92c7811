"""Which of several models is better, on the same images."""

from __future__ import annotations

import statistics
import string
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.arguments import OnePath, path_of, several
from kizu.calibration import VERDICTS
from kizu.datasets import Dataset, Sample, load_dataset
from kizu.errors import DataError, ImageError, MissingExtraError, ParameterError
from kizu.files import atomic_write, prepare_folder
from kizu.images import DEFAULT_MAX_PIXELS
from kizu.inspector import Inspector, Prediction
from kizu.metrics import PixelAccumulator, image_metrics
from kizu.progress import Progress, Silent
from kizu.report import View, picture_names, side_by_side, write_image
from kizu.workflows._comparison import ComparedImage, ComparedModel, Comparison, Judged, ordered, pairs
from kizu.workflows._earlier import listed_pictures, remove
from kizu.workflows._evaluate import labelled
from kizu.workflows._history import warn_of_known
from kizu.workflows._outputs import view_of
from kizu.workflows._predict import load
from kizu.workflows._reading import Reader

TABLE, DISPUTED = "comparison.csv", "only_*_right"
"""The table of a comparison, and the folders of pictures beside it."""


@dataclass
class _Model:
    """A model, and what has been counted of it so far."""

    name: str
    path: Path | None
    inspector: Inspector
    pixels: PixelAccumulator = field(default_factory=PixelAccumulator)
    milliseconds: list[float] = field(default_factory=list)

    def inspect(self, image: npt.NDArray[Any], path: Path, truth: npt.NDArray[np.bool_] | None) -> Prediction:
        """Score an image, counting time and pixels."""
        prediction = self.inspector.inspect(image, path)
        self.milliseconds.append(prediction.milliseconds)
        if truth is not None:
            self.pixels.update(prediction.anomaly_map, self.inspector.truth_of(truth), prediction.inside)
        return prediction


def compare(
    models: OnePath | Inspector | Iterable[OnePath | Inspector],
    data: str | Path | Dataset,
    *,
    out: str | Path | None = None,
    exact: bool = False,
    engine: str | None = None,
    precision: str | None = None,
    providers: str | Sequence[str] | None = None,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Comparison:
    """Score the labelled test images of ``data`` with each model; compare all with the first.

    Each image is read once, or once more for models that read files in another way. Of ``good/`` ``bad/`` folders,
    whose test share every model's seed draws anew, the images count that are in the test share of all. A model is
    right when it calls NG what is bad, and nothing else. In ``out``: ``comparison.csv``, and a picture of every image
    that some models get right and some wrong; pictures that an earlier comparison lists there go. ``exact``,
    ``engine``, ``precision`` and ``providers`` are those of `load`, for model files.

    Raises `ParameterError` for fewer than 2 models or more than 26, `DataError` when there is nothing labelled that
    all may be judged by, `ImageError` for a file.
    """
    started = time.perf_counter()
    running = {"exact": exact, "engine": engine, "precision": precision, "providers": providers}
    taken = _models(models, running)
    samples, left_out = _samples([model.inspector for model in taken], data)
    reader = Reader(taken[0].inspector.reading, skip_unreadable=skip_unreadable, max_pixels=max_pixels)
    folder = None if out is None else prepare_folder(out)
    images = ordered(_inspected(taken, samples, reader, folder, progress or Silent()))
    for one in taken:
        if one.inspector.reading == reader.reading:  # digests are of pixels as they are read
            warn_of_known(one.inspector, reader.digests, f"model {one.name}")
    masks = any(sample.mask is not None for sample in samples)
    result = Comparison(
        models=tuple(_compared(model, images, place, masks=masks) for place, model in enumerate(taken)),
        pairs=pairs([model.name for model in taken], images),
        images=images,
        left_out=left_out,
        skipped=len(reader.skipped),
        seconds=time.perf_counter() - started,
    )
    if folder is not None:
        before = listed_pictures(folder / TABLE, DISPUTED)
        atomic_write(folder / TABLE, result.csv())
        remove(before - {folder / image.picture for image in images if image.picture})
    return result


def _models(models: OnePath | Inspector | Iterable[OnePath | Inspector], running: Mapping[str, Any]) -> list[_Model]:
    names, given = string.ascii_uppercase, several(models)
    if not 2 <= len(given) <= len(names):
        raise ParameterError(f"2 to {len(names)} models are compared; got {len(given)}. Name the model files first.")
    return [
        _Model(name, None, model) if isinstance(model, Inspector) else _loaded(name, path_of(model), running)
        for name, model in zip(names, given, strict=False)
    ]


def _loaded(name: str, path: Path, running: Mapping[str, Any]) -> _Model:
    """A model from its file, which is named where its engine or precision cannot be had."""
    try:
        return _Model(name, path, load(path, **running))
    except (MissingExtraError, ParameterError) as error:
        raise type(error)(f"{path}: {error}") from None


def _samples(inspectors: Sequence[Inspector], data: str | Path | Dataset) -> tuple[list[Sample], int]:
    """The labelled test images of all models, and how many are not of all."""
    if isinstance(data, Dataset):
        return labelled(data), 0
    seeds = dict.fromkeys(inspector.config.seed for inspector in inspectors)
    each = [{sample.path: sample for sample in labelled(load_dataset(Path(data), seed=seed))} for seed in seeds]
    common = [sample for path, sample in each[0].items() if all(path in samples for samples in each)]
    if not common:
        raise DataError(
            f"{data}: no image is in the test share of every model, as they were fitted with different seeds. Give "
            "test images of their own, as test/good and test/DEFECT."
        )
    return common, len(set().union(*each)) - len(common)


def _inspected(
    models: Sequence[_Model], samples: Sequence[Sample], reader: Reader, folder: Path | None, progress: Progress
) -> list[ComparedImage]:
    images, names = [], picture_names([sample.path for sample in samples])
    labels = [model.name for model in models]
    with (
        progress.stage("Inspecting images", len(samples)) as advance,
        closing(reader.images(samples, advance)) as read,
    ):
        for sample, image in read:
            try:
                seen = _as_each_reads(models, reader, image, sample.path)
            except ImageError as error:
                reader.skip(error)
                continue
            size = reader.reading.size_of(sample.path, image)
            truth = reader.truth_of(sample, size)
            found = [model.inspect(own, sample.path, truth) for model, own in zip(models, seen, strict=True)]
            compared = ComparedImage(
                sample.path, sample.label or "", sample.defect_type, tuple(map(Judged.of, found))
            )
            if folder is not None and compared.disputed:
                shown = [model.inspector.reading.view(own, size) for model, own in zip(models, seen, strict=True)]
                views = [view_of(sample, *pair, truth) for pair in zip(shown, found, strict=True)]
                compared = _drawn(folder, names[sample.path], compared, labels, views)
            images.append(compared)
    return images


def _as_each_reads(
    models: Sequence[_Model], reader: Reader, image: npt.NDArray[Any], path: Path
) -> list[npt.NDArray[Any]]:
    """The image as each model reads it, and as ``reader`` has read it. Raises `ImageError`."""
    read = {reader.reading: image}
    for reading in dict.fromkeys(model.inspector.reading for model in models):
        if reading not in read:
            read[reading] = reading.read(path, max_pixels=reader.max_pixels)
    return [read[model.inspector.reading] for model in models]


def _drawn(
    folder: Path, name: str, image: ComparedImage, models: Sequence[str], views: Sequence[View]
) -> ComparedImage:
    """A disputed image with its picture, in a folder named after the models that are right."""
    right = dict(zip(models, image.right, strict=True))
    only = "_".join(model for model, is_right in right.items() if is_right)
    picture = prepare_folder(folder / f"only_{only}_right") / f"{name}.png"
    write_image(picture, side_by_side(right, views, image.mistake))
    return replace(image, picture=picture.relative_to(folder))


def _compared(model: _Model, images: Sequence[ComparedImage], place: int, *, masks: bool) -> ComparedModel:
    config, calibration = model.inspector.config, model.inspector.calibration
    if calibration is None:
        raise ValueError("the inspector has no calibration")
    scores, labels = [image.judged[place].score for image in images], [image.label == "bad" for image in images]
    counted = Counter((image.label, image.judged[place].verdict) for image in images)
    return ComparedModel(
        name=model.name,
        path=model.path,
        size=None if model.path is None else model.path.stat().st_size,
        detector=model.inspector.detector.name,
        backbone=config.backbone,
        image_size=model.inspector.preprocessing.image_size,
        image=image_metrics(scores, labels, calibration.threshold),
        pixel=model.pixels.result(calibration.pixel_threshold) if masks else None,
        verdicts={label: {verdict: counted[label, verdict] for verdict in VERDICTS} for label in ("good", "bad")},
        milliseconds=statistics.median(model.milliseconds),
    )
