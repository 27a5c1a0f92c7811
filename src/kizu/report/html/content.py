"""What a report says, before it is said: plain results, in no language and no layout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from kizu.calibration import Calibration, Verdict
from kizu.calibration.workload import WorkloadCurve
from kizu.errors import DataError, ImageError
from kizu.metrics import ImageMetrics, PixelMetrics
from kizu.regions import Region
from kizu.report.coco import annotation
from kizu.report.html.thumbnails import Thumbnails
from kizu.wording import Wording

Outcome = Literal["missed", "false_alarm", "to_review", "caught", "passed", "unjudged"]
"""What came of an image: a defect called OK, a good part called NG, a part for a person, a defect called NG, a good
part called OK; ``unjudged``: nobody has said what it is."""

Label = Literal["good", "bad", ""]


class Finding(Protocol):
    """What a report needs of a finding of the data check; ``severity``: problem, warning or note."""

    @property
    def kind(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def paths(self) -> tuple[Path, ...]: ...
    @property
    def wording(self) -> Wording: ...
    @property
    def advice(self) -> str: ...


@dataclass(frozen=True)
class FoundRegion:
    """A region as a report needs it: its box, area and peak, and all of it as an annotation of COCO (JSON, no ids).

    Its mask is not kept: of large images a thousand of them would not fit into memory.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float
    coco: str

    @classmethod
    def of(cls, region: Region, size: tuple[int, int]) -> FoundRegion:
        """A region of an image of ``size`` (H, W)."""
        coco = json.dumps(annotation(region, size), allow_nan=False)
        return cls(region.x, region.y, region.width, region.height, region.area, region.peak, coco)


@dataclass(frozen=True)
class ReportImage:
    """One image of a report.

    ``name``: what people know it by, ``path``: as it was given; ``label``: what it really is, "" when nobody has
    said, and ``kind`` the kind of defect. ``size``: its own (height, width) in pixels, those of ``regions`` too.
    """

    name: str
    path: str
    label: Label
    kind: str
    score: float
    p_value: float
    verdict: Verdict
    size: tuple[int, int]
    milliseconds: float
    thumbnails: Thumbnails | None
    regions: tuple[FoundRegion, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Whether the verdict is right, as far as anybody knows."""
        if not self.label:
            return "unjudged"
        if self.verdict == "review":
            return "to_review"
        if self.label == "bad":
            return "caught" if self.verdict == "ng" else "missed"
        return "false_alarm" if self.verdict == "ng" else "passed"


@dataclass(frozen=True)
class KindResult:
    """What became of the images of one kind."""

    kind: str
    label: Label
    count: int
    ok: int
    review: int
    ng: int
    median_score: float


@dataclass(frozen=True)
class ReportContent:
    """Everything a report tells.

    ``model`` and ``data``: names of files. ``images`` in any order. ``image_metrics``, ``pixel_metrics`` and
    ``workload`` are None where labels or masks do not allow them; ``findings`` where the data was not checked.
    ``provenance``: what the model was made from, sections of names and values. ``skipped``: files that could not be
    read, and why.

    Raises `DataError` without images.
    """

    product: str
    model: str
    data: str
    created: datetime
    version: str
    calibration: Calibration
    images: Sequence[ReportImage]
    image_metrics: ImageMetrics | None = None
    pixel_metrics: PixelMetrics | None = None
    workload: WorkloadCurve | None = None
    findings: Sequence[Finding] | None = None
    skipped: Sequence[ImageError] = ()
    provenance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.images:
            raise DataError("a report needs at least one image; check the data.")

    @property
    def labelled(self) -> bool:
        """Whether somebody has said what the images are."""
        return any(image.label for image in self.images)

    @cached_property
    def counts(self) -> Counter[tuple[str, str]]:
        """Images by label and verdict."""
        return Counter((image.label, image.verdict) for image in self.images)

    def count(self, label: str | None = None, verdict: str | None = None) -> int:
        """How many images have that label and verdict; None: any."""
        counts = self.counts.items()
        return sum(n for (of, called), n in counts if label in (None, of) and verdict in (None, called))

    @cached_property
    def ranked(self) -> tuple[ReportImage, ...]:
        """Misses first, the lowest score before others; then false alarms; then the rest: highest scores first."""
        return tuple(sorted(self.images, key=_rank))

    @cached_property
    def kinds(self) -> tuple[KindResult, ...]:
        """Good parts, then kinds of defects by how many get through, then what nobody has labelled."""
        found = {(image.label, image.kind) for image in self.images}
        results = [_of_kind([i for i in self.images if (i.label, i.kind) == both], *both) for both in found]
        order = {"good": 0, "bad": 1, "": 2}
        return tuple(sorted(results, key=lambda r: (order[r.label], -r.ok / r.count, r.kind)))


def _rank(image: ReportImage) -> tuple[int, float, str]:
    if image.outcome == "missed":
        return 0, image.score, image.name
    return 1 if image.outcome == "false_alarm" else 2, -image.score, image.name


def _of_kind(images: Sequence[ReportImage], label: Label, kind: str) -> KindResult:
    verdicts = Counter(image.verdict for image in images)
    scores = sorted(image.score for image in images)
    middle = len(scores) // 2
    median = scores[middle] if len(scores) % 2 else (scores[middle - 1] + scores[middle]) / 2
    return KindResult(kind, label, len(images), verdicts["ok"], verdicts["review"], verdicts["ng"], median)
