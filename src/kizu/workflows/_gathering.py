"""What a report needs of each image, gathered in the one pass over the images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kizu._version import __version__
from kizu.calibration import Calibration
from kizu.calibration.workload import WorkloadCurve, workload
from kizu.errors import ImageError, NotFittedError
from kizu.inspector import Inspector
from kizu.metrics import ImageMetrics, PixelAccumulator, PixelMetrics, image_metrics
from kizu.regions import find_regions
from kizu.report.html import FoundRegion, ReportContent, ReportImage, bytes_for, thumbnails
from kizu.report.html.content import Finding
from kizu.workflows._outputs import view_of
from kizu.workflows._predict import Inspected
from kizu.workflows._report_target import ReportTarget


class Gathering:
    """Keeps small pictures and figures of images as they are inspected, and what a report says of all of them.

    ``count``: how many images there will be, which decides how large their pictures may be. ``root``: the data; names
    of images start there. Regions of fewer than ``min_area`` pixels are left out.
    """

    def __init__(self, inspector: Inspector, count: int, root: Path, *, min_area: int = 1) -> None:
        self._inspector = inspector
        self._root = root
        self._bytes = bytes_for(count)
        self._min_area = min_area
        self._images: list[ReportImage] = []
        self._pixels = PixelAccumulator()
        self._masks = False

    def add(self, inspected: Inspected) -> None:
        """Keep what a report shows of one image."""
        sample, prediction = inspected.sample, inspected.prediction
        view = view_of(sample, inspected.image, prediction, inspected.truth)
        regions = find_regions(view.full_map, view.pixel_threshold, min_area=self._min_area)
        self._images.append(
            ReportImage(
                name=_name(sample.path, self._root),
                path=str(sample.path),
                label=sample.label or "",
                kind=sample.defect_type,
                score=prediction.score,
                p_value=prediction.p_value,
                verdict=prediction.verdict,
                size=prediction.size,
                milliseconds=prediction.milliseconds,
                thumbnails=thumbnails(view, self._bytes),
                regions=tuple(FoundRegion.of(region, prediction.size) for region in regions),
            )
        )
        self._count_pixels(inspected)

    def _count_pixels(self, inspected: Inspected) -> None:
        self._masks = self._masks or inspected.sample.mask is not None
        if inspected.truth is not None:
            truth = self._inspector.truth_of(inspected.truth)
            self._pixels.update(inspected.prediction.anomaly_map, truth, inspected.prediction.inside)

    def content(
        self,
        target: ReportTarget,
        skipped: Sequence[ImageError] = (),
        findings: tuple[Finding, ...] | None = None,
    ) -> ReportContent:
        """Everything the report at ``target`` tells. Raises `DataError` when there is no image."""
        calibration = self._inspector.calibration
        if calibration is None:
            raise NotFittedError("this inspector has no calibration; make it with kizu.fit().")
        product = str(self._inspector.provenance.get("data", {}).get("product") or self._root.name)
        model = f"{product}.kizu" if target.model is None else target.model.name
        pixels = self._pixels.result(calibration.pixel_threshold) if self._masks else None
        return ReportContent(
            product=product,
            model=model,
            data=str(self._root),
            created=datetime.now().astimezone(),
            version=__version__,
            calibration=calibration,
            images=tuple(self._images),
            image_metrics=self._image_metrics(calibration),
            pixel_metrics=pixels if _tells(pixels) else None,
            workload=self._workload(calibration),
            findings=findings,
            skipped=tuple(skipped),
            provenance=_provenance(self._inspector, {"file": model, "id": target.identity}),
        )

    def _labelled(self) -> tuple[list[float], list[bool]]:
        labelled = [image for image in self._images if image.label]
        return [image.score for image in labelled], [image.label == "bad" for image in labelled]

    def _image_metrics(self, calibration: Calibration) -> ImageMetrics | None:
        scores, bad = self._labelled()
        return image_metrics(scores, bad, calibration.threshold) if scores else None

    def _workload(self, calibration: Calibration) -> WorkloadCurve | None:
        scores, bad = self._labelled()
        return workload(scores, bad, calibration.threshold) if any(bad) and not all(bad) else None


def _tells(pixels: PixelMetrics | None) -> bool:
    """Whether masks mark anything: with good images alone nothing says where a defect is."""
    return pixels is not None and pixels.regions > 0


def _name(path: Path, root: Path) -> str:
    """The path from the data set on, with slashes."""
    folder = root if root.is_dir() else root.parent
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return "/".join(path.parts[-2:])


def _provenance(inspector: Inspector, file: dict[str, str | None]) -> dict[str, dict[str, Any]]:
    """Sections of names and values: the file, the data and settings of the fit, the detector, the versions."""
    told_elsewhere = {"detector", "false_alarms", "review_budget"}  # thresholds may have changed since the fit
    settings = inspector.config.model_dump(mode="json", exclude=told_elsewhere)
    detector = {"name": inspector.detector.name, **inspector.detector.parameters(), **inspector.detector.summary()}
    made_from = {name: value for name, value in inspector.provenance.items() if isinstance(value, dict)}
    rest = {name: value for name, value in inspector.provenance.items() if not isinstance(value, dict)}
    rest.pop("images", None)  # digests of pixels, one for each image
    if "history" in rest:
        rest["history"] = [f"+{step['added']} ({step['id']})" for step in rest["history"]]
    return {"model": {**file, **rest}, **made_from, "detector": detector, "settings": settings}
