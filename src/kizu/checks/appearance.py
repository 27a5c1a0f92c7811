"""Exposure, focus and noise that stand out from the good images of the same data set.

Judged by how far a value lies from the median of the good images for training, in median absolute deviations, so that
a few bad pictures do not hide one another. Images labelled bad are left out: the defect itself may make them so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kizu.checks._finding import Finding, Severity
from kizu.checks._robust import LIMIT, Float64, stand_out
from kizu.checks.looks import Look
from kizu.wording import Figures, Wording


@dataclass(frozen=True)
class Measure:
    """One figure of an image, and the wordings for one that is far too low or too high (None: it does not matter)."""

    kind: str
    of: Callable[[Look], float]
    low: str | None
    high: str | None
    scale: float
    advice: str
    at_least: float
    """A deviation below which differences do not matter, in units of the figure."""


_LIGHT = "Look at it; check lamp and exposure time, and take it again or take it out."
_LENS = "Look at it; check focus, vibration and gain, and take it again or take it out."

MEASURES = (
    Measure("exposure", lambda look: look.brightness, "darker", "brighter", 1, _LIGHT, 3.0),
    Measure("clipping", lambda look: look.white, None, "burnt_out", 100, _LIGHT, 0.02),
    Measure("clipping", lambda look: look.black, None, "blacked_out", 100, _LIGHT, 0.02),
    Measure("focus", lambda look: look.detail, "blurred", None, 1, _LENS, 0.02),
    Measure("noise", lambda look: look.noise, None, "noisier", 1, _LENS, 0.02),
)


def odd_looks(looks: Sequence[Look]) -> Iterator[Finding]:
    """A finding for each image and measure that stands out; none from fewer than 10 good images for training."""
    judged = [look for look in looks if look.sample.label != "bad"]
    fitted = np.array([look.sample.split == "train" and look.sample.label == "good" for look in judged], bool)
    for measure in MEASURES:
        values = np.array([measure.of(look) for look in judged], float)
        distances = stand_out(values, values[fitted], measure.at_least)
        for look, value, distance in zip(judged, values.tolist(), distances.tolist(), strict=True):
            key = measure.low if distance < -LIMIT else measure.high if distance > LIMIT else None
            if key is not None:
                wording = Wording(key, _figures(measure.scale, value, values[fitted]))
                severity: Severity = "warning" if look.sample.split == "train" else "note"
                yield Finding(measure.kind, severity, (look.sample.path,), wording, measure.advice)


def _figures(scale: float, value: float, good: Float64) -> Figures:
    """A value beside what is usual of good images, both multiplied by ``scale``."""
    low, middle, high = (scale * np.quantile(good, [0.05, 0.5, 0.95])).tolist()
    return {"value": scale * value, "low": low, "middle": middle, "high": high}
