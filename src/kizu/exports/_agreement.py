"""How far an export is from its inspector, on images both are given."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.calibration import Calibration
from kizu.errors import ExportError
from kizu.exports._check_images import CheckImage
from kizu.exports._formats import Results, Run
from kizu.inspector import Inspector, Prediction
from kizu.progress import Advance, ignore

SCORE_TOLERANCE = 1e-3
"""Largest difference of scores, as a share of the inspector's."""

MAP_TOLERANCE = 1e-2
"""Largest difference anywhere in a map, as a share of its range."""

_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Agreement:
    """The largest differences over ``images`` images, and the median times of one of them in milliseconds.

    ``score``: of scores, as a share of the inspector's. ``map``: anywhere in a map, as a share of its range.
    """

    images: int
    score: float
    map: float
    milliseconds: float
    inspector_milliseconds: float


def compare(
    run: Run, inspector: Inspector, images: Sequence[CheckImage], colour: str = "rgb", advance: Advance = ignore
) -> Agreement:
    """Give every image to both. Raises `ExportError` where they differ by more than the tolerances, naming the image.

    ``run`` takes images with their channels in the order of ``colour``; ``inspector`` searches exactly. The decision
    and the p-value must be those of `Calibration` for the export's own score.
    """
    if inspector.calibration is None:
        raise ValueError("the inspector has no calibration")
    differences, times = [], []
    for image in images:
        expected = inspector.inspect(image.pixels)
        given = image.pixels.astype(inspector.engine.dtype)
        results, milliseconds = _timed(run, given if colour == "rgb" else given[..., ::-1])
        times.append((milliseconds, expected.milliseconds))
        try:
            _check_decisions(results, inspector.calibration)
            differences.append(_differences(results, expected))
        except _DisagreementError as problem:
            raise _refusal(image.name, str(problem), inspector) from None
        advance(1)
    score, map_ = np.max(differences, axis=0)
    own, theirs = np.median(times, axis=0)
    return Agreement(len(images), float(score), float(map_), float(own), float(theirs))


def _timed(run: Run, pixels: npt.NDArray[Any]) -> tuple[Results, float]:
    given = np.ascontiguousarray(pixels)
    started = time.perf_counter()
    results = run(given)
    return results, (time.perf_counter() - started) * 1e3


class _DisagreementError(Exception):
    """What the export does otherwise."""


def _differences(results: Results, expected: Prediction) -> tuple[float, float]:
    """Of score and map, as shares. Raises above the tolerances, and for anything that is no number."""
    score = float(results["score"])
    of_score = abs(score - expected.score) / max(abs(expected.score), _TINY)
    if not of_score <= SCORE_TOLERANCE:
        raise _DisagreementError(f"scores {score:.6g} where the model scores {expected.score:.6g}")
    found, wanted = results["anomaly_map"], expected.anomaly_map
    if found.shape != wanted.shape:
        raise _DisagreementError(f"gives a map of {found.shape} where the model's is {wanted.shape}")
    of_map = float(np.abs(found - wanted).max()) / max(float(np.ptp(wanted)), _TINY)
    if not of_map <= MAP_TOLERANCE:
        raise _DisagreementError(f"differs from the model's map by {of_map:.2g} of its range")
    return of_score, of_map


def _check_decisions(results: Results, calibration: Calibration) -> None:
    score = float(results["score"])
    if any(bool(results[verdict]) != (calibration.verdict(score) == verdict) for verdict in ("review", "ng")):
        raise _DisagreementError(f"decides the other way at a score of {score:.6g}")
    p_value, expected = float(results["p_value"]), calibration.p_value(score)
    if not abs(p_value - expected) <= 1e-6:
        raise _DisagreementError(f"gives a p-value of {p_value:.6g} where {expected:.6g} is right")
    for limit in ("threshold", "review_threshold", "pixel_threshold"):
        stored, wanted = float(results[limit]), getattr(calibration, limit)
        if not abs(stored - wanted) <= 1e-6 * abs(wanted):
            raise _DisagreementError(f"has a {limit} of {stored:.6g} where the model's is {wanted:.6g}")


def _refusal(name: str, what: str, inspector: Inspector) -> ExportError:
    config = inspector.config
    advice = "Update onnxruntime and opencv-python-headless; if that does not help, report it."
    if config.precision == "bfloat16":
        advice = "The model computes in bfloat16, exports in float32: fit it with --precision float32."
    elif config.precision == "int8":
        advice = (
            f"The model computes in int8 with {config.engine}, and int8 differs a little from runtime to runtime, in "
            "OpenVINO from graph to graph too: fit it with --engine onnxruntime and export it to onnx, or fit it "
            "with --precision float32."
        )
    problem = f"the export does not agree with the model: on {name} it {what}."
    return ExportError(f"{problem} Nothing was written. {advice}")
