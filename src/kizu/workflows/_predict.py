"""Images → predictions, one path for new images and for labelled ones."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.arguments import Paths
from kizu.datasets import Sample
from kizu.images import DEFAULT_MAX_PIXELS
from kizu.inspector import Inspector, Prediction
from kizu.progress import Progress, Silent
from kizu.regions import check_min_area
from kizu.report import check_parts
from kizu.workflows._earlier import warn_of_earlier
from kizu.workflows._image_files import OF_EVALUATIONS, find_files
from kizu.workflows._outputs import Outputs, Scaling
from kizu.workflows._reading import Reader
from kizu.workflows._side_by_side import worked


@dataclass(frozen=True, eq=False)
class Inspected:
    """A sample, its image ``(H, W, 3)`` as people look at it, its prediction, and its truth mask ``(H, W)`` where
    there is one.
    """

    sample: Sample
    image: npt.NDArray[np.uint8]
    prediction: Prediction
    truth: npt.NDArray[np.bool_] | None


class Predictions(Iterator[Prediction]):
    """Predictions as they come; ``skipped`` counts the files that could not be read so far."""

    def __init__(self, inspected: Generator[Inspected, None, None], reader: Reader, scaling: Scaling) -> None:
        self._inspected = inspected
        self._reader = reader
        self.scaled = scaling
        """Brings a prediction's score to the scale asked for; None for p_value, which every prediction has."""

    @property
    def skipped(self) -> int:
        return len(self._reader.skipped)

    def __next__(self) -> Prediction:
        return next(self._inspected).prediction

    def close(self) -> None:
        """Stop here: what has been written stays, the table as ``predictions.csv.part``."""
        self._inspected.close()


def load(
    path: str | Path,
    *,
    exact: bool = False,
    threads: int | None = None,
    engine: str | None = None,
    precision: str | None = None,
    providers: str | Sequence[str] | None = None,
    mapped: bool = False,
) -> Inspector:
    """Read a model file made by `kizu.fit` and ``save``; the same as `Inspector.load`."""
    choice: dict[str, Any] = {"engine": engine, "precision": precision, "providers": providers}
    return Inspector.load(path, exact=exact, threads=threads, mapped=mapped, **choice)


def look(path: str | Path) -> Inspector:
    """Read a model file to see what it is; the same as `Inspector.look`."""
    return Inspector.look(path)


def predict(
    model: str | Path | Inspector,
    paths: Paths,
    *,
    out: str | Path | None = None,
    save: str | Sequence[str] = (),
    scale: str = "p_value",
    min_area: int = 1,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Predictions:
    """Inspect files, and folders of them, one by one; results are written to ``out`` as they come.

    ``scale``: one of `kizu.calibration.scales`, for another column of the table. ``min_area``: regions of fewer
    pixels are not listed.

    Raises `DataError` when a path does not exist or a folder has no images, before anything is inspected.
    """
    parts = check_parts(save)
    check_min_area(min_area)
    inspector = model if isinstance(model, Inspector) else load(model)
    samples = [Sample(path, "test", None, "") for path in find_files(paths)]
    reader = Reader(inspector.reading, skip_unreadable=skip_unreadable, max_pixels=max_pixels)
    scaling = Scaling(scale, inspector.calibration)
    shown = progress or Silent()
    inspected = inspect_samples(inspector, samples, reader, out, parts, shown, scaling, min_area=min_area)
    return Predictions(_telling(inspected, out), reader, scaling)


def _telling(inspected: Generator[Inspected, None, None], out: str | Path | None) -> Generator[Inspected, None, None]:
    """The same, and at the end a warning of what an evaluation has left in ``out``."""
    yield from inspected
    if out is not None:
        warn_of_earlier(Path(out), OF_EVALUATIONS)


def inspect_samples(
    inspector: Inspector,
    samples: Sequence[Sample],
    reader: Reader,
    out: str | Path | None,
    save: Sequence[str],
    progress: Progress,
    scaling: Scaling,
    *,
    min_area: int = 1,
) -> Generator[Inspected, None, None]:
    """Inspect samples in order, writing tables and pictures to ``out`` as they come."""
    with ExitStack() as stack:
        outputs = None
        if out is not None:
            opened = Outputs.opened(Path(out), samples, save, scaling, inspector.truth_of, min_area=min_area)
            outputs = stack.enter_context(opened)
        advance = stack.enter_context(progress.stage("Inspecting images", len(samples)))
        read = stack.enter_context(closing(worked(reader, samples, inspector, _inspect, advance)))
        for sample, image, prediction in read:
            truth = reader.truth_of(sample, prediction.size) if sample.label else None
            inspected = Inspected(sample, reader.reading.view(image, prediction.size), prediction, truth)
            if outputs is not None:
                outputs.add(inspected.sample, inspected.image, prediction, truth)
            yield inspected


def _inspect(inspector: Inspector, sample: Sample, image: npt.NDArray[Any]) -> Prediction:
    return inspector.inspect(image, sample.path)
