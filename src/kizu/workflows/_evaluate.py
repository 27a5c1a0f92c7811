"""How well an inspector does on labelled images."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kizu.calibration import VERDICTS
from kizu.datasets import Dataset, Sample, load_dataset
from kizu.errors import DataError, KizuWarning
from kizu.images import DEFAULT_MAX_PIXELS
from kizu.inspector import Inspector, Prediction
from kizu.metrics import ImageMetrics, PixelAccumulator, PixelMetrics, image_metrics
from kizu.progress import Progress, Silent
from kizu.regions import check_min_area
from kizu.report import check_parts
from kizu.wording import percent
from kizu.workflows._earlier import warn_of_earlier
from kizu.workflows._figures import check_figures, write_figures
from kizu.workflows._gathering import Gathering
from kizu.workflows._history import warn_of_known
from kizu.workflows._image_files import OF_EVALUATIONS
from kizu.workflows._outputs import Scaling
from kizu.workflows._predict import inspect_samples, load
from kizu.workflows._reading import Reader
from kizu.workflows._report_target import ReportTarget

COARSE = 0.01
"""Uncertainty of the pixel AUROC by binning from which pixel metrics say little; 1e-4 and less is usual."""


@dataclass(frozen=True)
class Result:
    """One labelled image: its path, label (``good`` or ``bad``), kind of defect, score and verdict."""

    path: Path
    label: str
    defect_type: str
    score: float
    verdict: str
    milliseconds: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of a test set; ``pixel`` is None when it has no masks.

    ``counts``: images by defect type; ``verdicts``: of good and of bad images, how many got which.
    ``kept_for_fitting``: good images that were not judged, since a seed divides them (`kizu.datasets.Dataset`).
    ``seconds``: the whole evaluation, files and pictures included.
    """

    image: ImageMetrics
    pixel: PixelMetrics | None
    results: tuple[Result, ...]
    counts: dict[str, int]
    verdicts: dict[str, dict[str, int]]
    skipped: int
    kept_for_fitting: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "image": self.image.to_dict(),
            "pixel": None if self.pixel is None else self.pixel.to_dict(),
            "counts": self.counts,
            "verdicts": self.verdicts,
            "skipped": self.skipped,
            "kept_for_fitting": self.kept_for_fitting,
            "milliseconds_median": round(statistics.median(result.milliseconds for result in self.results), 3),
            "seconds": round(self.seconds, 3),
        }


def evaluate(
    model: str | Path | Inspector,
    data: str | Path | Dataset,
    *,
    out: str | Path | None = None,
    save: str | Sequence[str] = (),
    scale: str = "p_value",
    min_area: int = 1,
    plots: bool = False,
    report: str | Path | ReportTarget | None = None,
    skip_unreadable: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Evaluation:
    """Score the labelled test images of ``data``; tables and pictures go to ``out``.

    ``scale`` and ``min_area``: see `predict`. ``plots``: ROC, precision and recall, confusion matrix and scores as
    pictures in ``out``. ``report``: an HTML file, or a folder for ``report.html``, that shows everything in one page;
    a `ReportTarget` says its language too.

    The test share of ``good/`` ``bad/`` folders is drawn with the model's own seed, so that no image it was
    fitted on is judged as long as the folder stays as it was; a `KizuWarning` tells of images that the model has
    learnt all the same. Pixel metrics are at the model's image size, masks brought to it with nearest neighbours;
    defective images without a mask count for the image metrics alone.

    Raises `DataError` when there is nothing labelled to evaluate, `ImageError` for a file, `MissingExtraError` when
    plots are asked for without matplotlib, or a report without plotly and Jinja2.
    """
    started = time.perf_counter()
    check_figures(out, plots)
    check_min_area(min_area)
    wanted, target = check_parts(save), ReportTarget.at(report, model)
    inspector = model if isinstance(model, Inspector) else load(model)
    dataset = data if isinstance(data, Dataset) else load_dataset(Path(data), seed=inspector.config.seed)
    samples = labelled(dataset)
    reader = Reader(inspector.reading, skip_unreadable=skip_unreadable, max_pixels=max_pixels)
    pixels, results = PixelAccumulator(), []
    scaling = Scaling(scale, inspector.calibration)
    shown = progress or Silent()
    gathered = None if target is None else Gathering(inspector, len(samples), dataset.root, min_area=min_area)
    for inspected in inspect_samples(inspector, samples, reader, out, wanted, shown, scaling, min_area=min_area):
        sample, prediction = inspected.sample, inspected.prediction
        if inspected.truth is not None:
            truth = inspector.truth_of(inspected.truth)
            pixels.update(prediction.anomaly_map, truth, prediction.inside)
        results.append(_result(sample.label or "", sample.defect_type, prediction))
        if gathered is not None:
            gathered.add(inspected)
    warn_of_known(inspector, reader.digests)
    masks = any(sample.mask is not None for sample in samples)
    left_out = len(reader.skipped), dataset.kept_for_fitting()
    found = _evaluation(inspector, results, pixels if masks else None, left_out, started)
    if out is not None:
        counts = pixels.counts() if found.pixel else None
        written = write_figures(Path(out), found, inspector.calibration, counts, plots=plots)
        written += ["pixel_metrics.csv"] if masks else []
        warn_of_earlier(Path(out), [name for name in OF_EVALUATIONS if name not in written])
    if target is not None and gathered is not None:
        target.write(gathered.content(target, reader.skipped), shown)
    return found


def _warn_if_coarse(pixel: PixelMetrics | None) -> None:
    """Say so where maps lie beyond what pixel metrics tell apart: a detector of unusual settings, say."""
    uncertain = 0.0 if pixel is None else pixel.auroc_resolution or 0.0
    if uncertain > COARSE:
        warnings.warn(
            f"pixel metrics say little here: {percent(2 * uncertain)} of what they compare looks equal to them. They "
            "tell scores from 1e-6 to 1e6 apart; look at the detector's settings.",
            KizuWarning,
            stacklevel=3,
        )


def labelled(dataset: Dataset) -> list[Sample]:
    """The labelled test images. Raises `DataError` when there are none."""
    samples = [sample for sample in dataset.test() if sample.label is not None]
    if not samples:
        raise DataError(
            f"{dataset.root}: no labelled test images ({dataset.layout}). Evaluation needs good and bad images, as "
            "test/good and test/DEFECT or good/ and bad/; for unlabelled images use `kizu predict`."
        )
    return samples


def _verdicts(results: Sequence[Result]) -> dict[str, dict[str, int]]:
    counted = Counter((result.label, result.verdict) for result in results)
    return {label: {verdict: counted[label, verdict] for verdict in VERDICTS} for label in ("good", "bad")}


def _result(label: str, defect_type: str, prediction: Prediction) -> Result:
    path = prediction.path or Path()
    return Result(path, label, defect_type, prediction.score, prediction.verdict, prediction.milliseconds)


def _evaluation(
    inspector: Inspector,
    results: list[Result],
    pixels: PixelAccumulator | None,
    left_out: tuple[int, int],
    started: float,
) -> Evaluation:
    """The metrics; ``left_out``: images skipped, and kept for fitting."""
    if inspector.calibration is None:
        raise ValueError("the inspector has no calibration")
    scores, labels = [r.score for r in results], [r.label == "bad" for r in results]
    pixel = None if pixels is None else pixels.result(inspector.calibration.pixel_threshold)
    _warn_if_coarse(pixel)
    return Evaluation(
        image=image_metrics(scores, labels, inspector.calibration.threshold),
        pixel=pixel,
        results=tuple(results),
        counts=dict(sorted(Counter(r.defect_type for r in results).items())),
        verdicts=_verdicts(results),
        skipped=left_out[0],
        kept_for_fitting=left_out[1],
        seconds=time.perf_counter() - started,
    )
