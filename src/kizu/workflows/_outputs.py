"""The output folder: tables, and pictures of each image, written as results come."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu.calibration import Calibration
from kizu.calibration.scales import check_scale, scaled
from kizu.datasets import Sample
from kizu.errors import OutputError
from kizu.files import prepare_folder
from kizu.inspector import Prediction
from kizu.locks import alone
from kizu.regions import find_regions
from kizu.report import (
    CocoFile,
    PixelMetricsTable,
    PredictionRow,
    PredictionTable,
    RegionTable,
    View,
    check_parts,
    compose,
    parts,
    picture_names,
    write_image,
    write_pixels,
)
from kizu.report.parts import PIXELS

TruthOf = Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.bool_]]
"""A mask of an image → one of its map."""


@dataclass(frozen=True)
class Scaling:
    """Scores on another scale than p-values, which every table has: see `kizu.calibration.scales`."""

    name: str
    calibration: Calibration | None

    def __post_init__(self) -> None:
        check_scale(self.name)

    def __call__(self, prediction: Prediction) -> float | None:
        """The score of ``prediction`` on it; None for p_value."""
        if self.name == "p_value" or self.calibration is None:
            return None
        return scaled(self.name, prediction.score, self.calibration)


@dataclass(frozen=True)
class Tables:
    """The tables of an output folder: one line an image, a region, an image with a truth."""

    predictions: PredictionTable
    regions: RegionTable
    coco: CocoFile
    pixel_metrics: PixelMetricsTable | None

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, scale: str, *, masks: bool) -> Iterator[Tables]:
        """Tables that grow in ``folder``; without ``masks`` there are no pixel metrics."""
        with ExitStack() as stack:
            enter = stack.enter_context
            yield cls(
                enter(PredictionTable(folder / "predictions.csv", scale)),
                enter(RegionTable(folder / "regions.csv")),
                enter(CocoFile(folder / "regions.coco.json")),
                enter(PixelMetricsTable(folder / "pixel_metrics.csv")) if masks else None,
            )


class Outputs:
    """The output folder: the tables, ``pictures/NAME.png``, and a file in ``PART/`` for every part asked for.

    `docs/outputs.md` lists them all.
    """

    def __init__(
        self,
        folder: Path,
        tables: Tables,
        names: dict[Path, str],
        save: Sequence[str],
        scale: Scaling,
        truth_of: TruthOf,
        min_area: int,
    ) -> None:
        self._folder = folder
        self._tables = tables
        self._names = names
        self._save = save
        self._scale = scale
        self._truth_of = truth_of
        self._min_area = min_area

    @classmethod
    @contextmanager
    def opened(
        cls,
        folder: Path,
        samples: Sequence[Sample],
        save: Sequence[str],
        scale: Scaling,
        truth_of: TruthOf,
        *,
        min_area: int = 1,
    ) -> Iterator[Outputs]:
        """Outputs in ``folder``, made if need be. ``truth_of``: `Inspector.truth_of`.

        Raises `OutputError` also where samples lie among the files written, which would take their place, and while
        another program writes in ``folder``.
        """
        masks = any(sample.mask is not None for sample in samples)
        written = [folder / name for name in ("pictures", *check_parts(save)) if masks or name != "mask"]
        _check_apart(written, samples)
        for one in (folder, *written):
            prepare_folder(one)
        names = picture_names([sample.path for sample in samples])
        with alone(folder, wait=False) as mine:
            if not mine:
                raise OutputError(
                    f"{folder}: another kizu is writing in it. Wait for that, or choose another folder."
                )
            with Tables.opened(folder, scale.name, masks=masks) as tables:
                yield cls(folder, tables, names, save, scale, truth_of, min_area)

    def add(
        self,
        sample: Sample,
        image: npt.NDArray[np.uint8],
        prediction: Prediction,
        truth: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Write one image's rows and pictures. Raises `OutputError`."""
        view = view_of(sample, image, prediction, truth)
        self._add_rows(sample, prediction, view)
        self._add_pixel_metrics(sample, prediction, truth)
        name = self._names[sample.path]
        write_image(self._folder / "pictures" / f"{name}.png", compose(view))
        for part, picture in parts(view, self._save).items():
            write_image(self._folder / part / f"{name}.png", picture)
        if PIXELS in self._save:
            write_pixels(self._folder / PIXELS / f"{name}.csv", prediction.anomaly_map, prediction.seen)

    def _add_rows(self, sample: Sample, prediction: Prediction, view: View) -> None:
        path, verdict = str(sample.path), prediction.verdict
        self._tables.predictions.append(
            PredictionRow(
                path=path,
                label=sample.label or "",
                type=sample.defect_type,
                score=prediction.score,
                threshold=prediction.threshold,
                verdict=verdict,
                p_value=prediction.p_value,
                milliseconds=prediction.milliseconds,
                scaled=self._scale(prediction),
            )
        )
        found = find_regions(view.full_map, prediction.pixel_threshold, min_area=self._min_area)
        self._tables.regions.append(path, verdict, found)
        self._tables.coco.append(path, prediction.size, prediction.score, verdict, found)

    def _add_pixel_metrics(self, sample: Sample, prediction: Prediction, truth: npt.NDArray[np.bool_] | None) -> None:
        if self._tables.pixel_metrics is None or truth is None:
            return
        self._tables.pixel_metrics.append(
            str(sample.path),
            sample.label or "",
            sample.defect_type,
            prediction.anomaly_map,
            self._truth_of(truth),
            prediction.pixel_threshold,
            prediction.inside,
        )


def _check_apart(folders: Iterable[Path], samples: Sequence[Sample]) -> None:
    """Raise `OutputError` where an image or mask of ``samples`` is in one of the folders that are written in."""
    given = [path for sample in samples for path in (sample.path, sample.mask) if path is not None]
    homes = {home: path for path in given for home in (path.parent, *_target(path))}
    for folder in filter(Path.is_dir, folders):
        for home, path in homes.items():
            if home.is_dir() and folder.samefile(home):
                raise OutputError(
                    f"{path}: lies in {folder}, where pictures of the results would take the place of the images "
                    "given. Choose another folder for the results."
                )


def _target(path: Path) -> tuple[Path, ...]:
    """The folder that a link leads into; nothing for another file."""
    return (Path(os.path.realpath(path)).parent,) if path.is_symlink() else ()  # resolve() raises for a loop


def view_of(
    sample: Sample,
    image: npt.NDArray[np.uint8],
    prediction: Prediction,
    truth: npt.NDArray[np.bool_] | None,
) -> View:
    """What pictures of an image show; the truth of good images, in which nothing is marked, is left out."""
    return View(
        image=image,
        anomaly_map=prediction.anomaly_map if prediction.whole else prediction.full_map,
        score=prediction.score,
        threshold=prediction.threshold,
        pixel_threshold=prediction.pixel_threshold,
        verdict=prediction.verdict,
        truth=truth if sample.label == "bad" else None,
        inspected=None if prediction.whole else prediction.inspected,
    )
