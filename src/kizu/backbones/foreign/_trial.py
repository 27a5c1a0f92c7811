"""Running a graph once, to see that it works and what comes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu import onnx_runtime
from kizu.errors import BackboneError

_ERRORS_ONLY = 3
_LONGEST = 300


class TrialError(Exception):
    """ONNX Runtime will not run the graph; the text says why, on one line."""


def pictures(count: int, size: int) -> NDArray[np.uint8]:
    """``(count, size, size, 3)``: always the same, with shapes of every size as photographs have them."""
    rng = np.random.default_rng(0)
    result = np.zeros((count, size, size, 3))
    side = 2
    while side < 2 * size:
        cells = rng.normal(0, 1, (count, side, side, 3)) * size / side
        steps = np.arange(size) * side // size
        result += cells[:, steps][:, :, steps]
        side *= 2
    low, high = result.min(axis=(1, 2, 3), keepdims=True), result.max(axis=(1, 2, 3), keepdims=True)
    return np.asarray((result - low) / (high - low) * 255).round().astype(np.uint8)


def run(model: bytes, feeds: Mapping[str, NDArray[Any]], *, optimise: bool = True) -> list[NDArray[Any]]:
    """All outputs of a serialised model, on the CPU. Raises `TrialError`."""
    onnxruntime = onnx_runtime.imported()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY + 1  # what goes wrong is raised
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        found: list[NDArray[Any]] = session.run(None, dict(feeds))
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        raise TrialError(reason(error)) from error
    return found


def reason(error: object) -> str:
    """What an error of another library says, on one line of bearable length, without a full stop."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # colours for a terminal
    text = " ".join(plain.split()) or type(error).__name__
    return (text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…").rstrip(".")


def compare(
    found: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]], layers: Sequence[str], tolerance: float
) -> float:
    """The largest difference between maps, as a share of the range of each.

    Raises:
        BackboneError: it is above ``tolerance``, or the maps differ in shape.
    """
    largest = 0.0
    for layer, ours, theirs in zip(layers, found, expected, strict=True):
        if ours.shape != theirs.shape:
            raise BackboneError(f"the layer {layer!r} came out as {ours.shape} instead of {theirs.shape}.")
        share = _difference(ours.astype(np.float64), theirs.astype(np.float64))
        if not share <= tolerance:
            raise BackboneError(
                f"the layer {layer!r} came out wrong by {share:.1e} of its range, where {tolerance:.0e} is allowed."
            )
        largest = max(largest, share)
    return largest


def _difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    apart = float(np.abs(ours - theirs).max())
    extent = float(np.ptp(theirs))
    return apart / extent if extent else (0.0 if apart == 0 else np.inf)
