"""What a comparison of models finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kizu.calibration import Verdict
from kizu.inspector import Prediction
from kizu.metrics import (
    AurocComparison,
    ImageMetrics,
    PixelMetrics,
    VerdictComparison,
    compare_auroc,
    compare_verdicts,
    holm,
)
from kizu.report import csv_table

SURE = 0.05
"""Differences that chance brings about less often than this are called real."""


@dataclass(frozen=True)
class Judged:
    """What one model says of one image."""

    score: float
    threshold: float
    p_value: float
    verdict: Verdict

    @classmethod
    def of(cls, prediction: Prediction) -> Judged:
        """The figures of a prediction."""
        return cls(prediction.score, prediction.threshold, prediction.p_value, prediction.verdict)

    @property
    def margin(self) -> float:
        """How far the score lies from the threshold, as a share of it: comparable between models."""
        return abs(self.score - self.threshold) / max(abs(self.threshold), 1e-12)


@dataclass(frozen=True)
class ComparedImage:
    """One labelled image, and what each model says of it, in the order of the models. ``picture``: that of a disputed
    one, in the folder written.
    """

    path: Path
    label: str
    defect_type: str
    judged: tuple[Judged, ...]
    picture: Path | None = None

    @property
    def right(self) -> tuple[bool, ...]:
        """Which models call it rightly: NG what is bad, and nothing else."""
        return tuple((judged.verdict == "ng") == (self.label == "bad") for judged in self.judged)

    @property
    def disputed(self) -> bool:
        """Whether some models are right and some are wrong."""
        return len(set(self.right)) > 1

    @property
    def mistake(self) -> str:
        """What the models that are wrong did."""
        return "missed" if self.label == "bad" else "false alarm"

    @property
    def severity(self) -> tuple[bool, float]:
        """Sorts mistakes, the worst highest: defects missed, then false alarms, each by how far they are off."""
        wrong = [judged.margin for judged, right in zip(self.judged, self.right, strict=True) if not right]
        return self.label == "bad", max(wrong, default=0.0)


@dataclass(frozen=True, eq=False)
class ComparedModel:
    """One model and how it does on the images of all.

    ``name``: A, B, …; ``path`` and ``size`` in bytes are None for an inspector in memory. ``verdicts``: of good and
    of bad images, how many got which. ``milliseconds``: the median of an image, from the decoded image to the map.
    """

    name: str
    path: Path | None
    size: int | None
    detector: str
    backbone: str
    image_size: int
    image: ImageMetrics
    pixel: PixelMetrics | None
    verdicts: dict[str, dict[str, int]]
    milliseconds: float

    def to_dict(self) -> dict[str, Any]:
        """Its part of the document that ``--json`` prints."""
        return {
            "name": self.name,
            "path": None if self.path is None else str(self.path),
            "size": self.size,
            "detector": self.detector,
            "backbone": self.backbone,
            "image_size": self.image_size,
            "image": self.image.to_dict(),
            "pixel": None if self.pixel is None else self.pixel.to_dict(),
            "verdicts": self.verdicts,
            "milliseconds_median": round(self.milliseconds, 3),
        }


@dataclass(frozen=True)
class Pair:
    """Two models compared, by tests of the same images.

    ``auroc``: None when the images are all good or all bad. ``verdicts``: right or wrong at the models' own
    thresholds; ``on_good`` and ``on_bad`` the same of one kind of images, None where there are none.
    ``auroc_p_value`` and ``verdicts_p_value`` allow for the number of pairs compared (Holm): judge by these.
    """

    first: str
    second: str
    auroc: AurocComparison | None
    verdicts: VerdictComparison
    on_good: VerdictComparison | None
    on_bad: VerdictComparison | None
    auroc_p_value: float | None
    verdicts_p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Its part of the document that ``--json`` prints."""
        tests = {"auroc": self.auroc, "verdicts": self.verdicts, "on_good": self.on_good, "on_bad": self.on_bad}
        return {
            "first": self.first,
            "second": self.second,
            **{name: None if test is None else test.to_dict() for name, test in tests.items()},
            "auroc_p_value": self.auroc_p_value,
            "verdicts_p_value": self.verdicts_p_value,
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models side by side on the same images.

    ``pairs``: each model with the first. ``images``: those the models dispute first, worst first, then the others.
    ``left_out``: images that are not in the test set of every model. ``seconds``: all of it.
    """

    models: tuple[ComparedModel, ...]
    pairs: tuple[Pair, ...]
    images: tuple[ComparedImage, ...]
    left_out: int
    skipped: int
    seconds: float

    @property
    def disputed(self) -> tuple[ComparedImage, ...]:
        """The images that some models get right and some wrong, worst first."""
        return tuple(image for image in self.images if image.disputed)

    def names(self, image: ComparedImage) -> tuple[str, ...]:
        """The models that call an image rightly."""
        return tuple(model.name for model, right in zip(self.models, image.right, strict=True) if right)

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "models": [model.to_dict() for model in self.models],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "disputed": [
                {
                    "path": str(image.path),
                    "label": image.label,
                    "type": image.defect_type,
                    "mistake": image.mistake,
                    "right": list(self.names(image)),
                }
                for image in self.disputed
            ],
            "images": len(self.images),
            "left_out": self.left_out,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
        }

    def csv(self) -> bytes:
        """``comparison.csv``: a line an image; ``only_right`` names the models right where others are not, and
        ``picture`` shows what each makes of it.
        """
        figures = ("score", "threshold", "verdict", "p_value", "right")
        columns = [f"{model.name}_{figure}" for model in self.models for figure in figures]
        return csv_table(("path", "label", "type", "only_right", *columns, "picture"), map(self._row, self.images))

    def _row(self, image: ComparedImage) -> list[Path | str | float | None]:
        only = " ".join(self.names(image)) if image.disputed else ""
        row: list[Path | str | float | None] = [image.path, image.label, image.defect_type, only]
        for judged, right in zip(image.judged, image.right, strict=True):
            row += [judged.score, judged.threshold, judged.verdict, judged.p_value, int(right)]
        return [*row, image.picture]


def ordered(images: Sequence[ComparedImage]) -> tuple[ComparedImage, ...]:
    """Disputed images first, worst first; the others as they come."""
    disputed = sorted((image for image in images if image.disputed), key=lambda image: image.severity, reverse=True)
    return (*disputed, *(image for image in images if not image.disputed))


def pairs(names: Sequence[str], images: Sequence[ComparedImage]) -> tuple[Pair, ...]:
    """Each model with the first."""
    labels = [image.label == "bad" for image in images]
    scores = [[image.judged[place].score for image in images] for place in range(len(names))]
    others = range(1, len(names))
    ranked = [compare_auroc(scores[0], scores[place], labels) for place in others]
    decided = [_verdicts(images, place) for place in others]
    auroc_p = holm([None if test is None else test.p_value for test in ranked])
    verdicts_p = holm([test.p_value for test in decided])
    return tuple(
        Pair(
            first=names[0],
            second=names[place],
            auroc=ranked[place - 1],
            verdicts=decided[place - 1],
            on_good=_verdicts_of("good", images, place),
            on_bad=_verdicts_of("bad", images, place),
            auroc_p_value=auroc_p[place - 1],
            verdicts_p_value=verdicts_p[place - 1] or 0.0,
        )
        for place in others
    )


def _verdicts(images: Sequence[ComparedImage], place: int) -> VerdictComparison:
    return compare_verdicts([image.right[0] for image in images], [image.right[place] for image in images])


def _verdicts_of(label: str, images: Sequence[ComparedImage], place: int) -> VerdictComparison | None:
    chosen = [image for image in images if image.label == label]
    return _verdicts(chosen, place) if chosen else None
