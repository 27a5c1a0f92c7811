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


@dataclass(frozen=True)
class Measure:
    """One figure of an image, and what it means when that is far too low or too high (None: nothing)."""

    kind: str
    of: Callable[[Look], float]
    low: str | None
    high: str | None
    scale: float
    unit: str
    advice: str
    at_least: float = 0.0
    """A deviation below which differences do not matter, in units of the figure."""


_LIGHT = "Look at it; check lamp and exposure time, and take it again or take it out."
_LENS = "Look at it; check focus, vibration and gain, and take it again or take it out."

MEASURES = (
    Measure("exposure", lambda look: look.brightness, "darker", "brighter", 1, "mean grey level", _LIGHT, 3.0),
    Measure("clipping", lambda look: look.white, None, "more burnt out", 100, "percent white", _LIGHT, 0.02),
    Measure("clipping", lambda look: look.black, None, "more blacked out", 100, "percent black", _LIGHT, 0.02),
    Measure("focus", lambda look: look.detail, "more blurred", None, 1, "logarithm of fine detail", _LENS, 0.02),
    Measure("noise", lambda look: look.noise, None, "noisier", 1, "logarithm of noise", _LENS, 0.02),
)


def odd_looks(looks: Sequence[Look]) -> Iterator[Finding]:
    """A finding for each image and measure that stands out; none from fewer than 10 good images for training."""
    judged = [look for look in looks if look.sample.label != "bad"]
    fitted = np.array([look.sample.split == "train" and look.sample.label == "good" for look in judged], bool)
    for measure in MEASURES:
        values = np.array([measure.of(look) for look in judged], float)
        distances = stand_out(values, values[fitted], measure.at_least)
        for look, value, distance in zip(judged, values.tolist(), distances.tolist(), strict=True):
            word = measure.low if distance < -LIMIT else measure.high if distance > LIMIT else None
            if word is not None:
                yield _finding(measure, word, look, value, values[fitted])


def _finding(measure: Measure, word: str, look: Look, value: float, good: Float64) -> Finding:
    low, middle, high = (f"{number:.3g}" for number in measure.scale * np.quantile(good, [0.05, 0.5, 0.95]))
    usual = f"of good images {middle}, mostly {low} to {high}"
    message = f"{word} than the others ({measure.unit} {measure.scale * value:.3g}; {usual})."
    severity: Severity = "warning" if look.sample.split == "train" else "note"
    return Finding(measure.kind, severity, (look.sample.path,), message, measure.advice)
