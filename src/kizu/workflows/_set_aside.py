"""What a robust fit set aside: by name, and what it means for images seen and for thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kizu.calibration import Calibration
from kizu.datasets import Sample
from kizu.detectors import Detector, standing_out


def numbers_of(detector: Detector) -> list[int]:
    """Of the images of the fit those of which patches were set aside, most patches first."""
    found = getattr(detector, "set_aside_", None)
    return [] if found is None else [int(number) for number in found[:, 0]]


def names_of(detector: Detector, samples: Sequence[Sample], root: Path) -> list[str]:
    """The same by name, in the data set where they lie in it; ``samples`` are all of the fit."""
    paths = [samples[number].path for number in numbers_of(detector)]
    return [path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name for path in paths]


def learnt(digests: Sequence[str], detector: Detector) -> list[str]:
    """Digests of the images read, the fit's first, without those set aside: an update may still bring these."""
    aside = set(numbers_of(detector))
    return [digest for number, digest in enumerate(digests) if number not in aside]


def trusted(calibration: Calibration, detector: Detector) -> Calibration:
    """Of a robust detector, without held-out images that stand out by their scores, which may be defects too.

    Images left out one by one were set aside by the fit already; those the data sets apart are trusted.
    """
    if not getattr(detector, "robust", False) or calibration.method not in ("hold_out", "k_fold"):
        return calibration
    kept = ~standing_out(calibration.scores)
    return replace(calibration, scores=calibration.scores[kept], peaks=calibration.peaks[kept])
