"""Scores of good solar cells as benchmarks want them: the fit's own, left out; and others, as they are or altered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import _results
import kizu
from kizu import images
from kizu.datasets.solar_cells import solar_cells

Float64 = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]


def as_it_is(image: Image) -> Image:
    """Nothing done."""
    return image


def darker(image: Image) -> Image:
    """Ten percent less light."""
    return np.round(image * 0.9).astype(np.uint8)


def blurred(image: Image) -> Image:
    """Out of focus by about a pixel."""
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8)


def recompressed(image: Image) -> Image:
    """Through JPEG of quality 30."""
    import cv2

    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


ALTERED: dict[str, Callable[[Image], Image]] = {
    "brightness −10 %": darker,
    "blur, σ 1 px": blurred,
    "JPEG, quality 30": recompressed,
}


def cells(kind: Literal["mono", "poly"], keep: Path | None, limit: int | None = None) -> dict[str, Float64]:
    """Scores by name: ``calibration``, ``unseen``, and those of the unseen cells altered in each way of `ALTERED`.

    ``keep`` is a file they are read from, or kept in for the next time.
    """
    if keep is not None and keep.exists():
        with np.load(keep, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    data = solar_cells(kind)
    if limit is not None:
        data = kizu.datasets.Dataset(data.root, data.layout, data.samples[:limit] + data.samples[-2 * limit :])
    _results.note(f"solar cells, {kind}: fitting")
    inspector = kizu.fit(data, check_images=0)
    found = {"calibration": _calibration(inspector).scores}
    others = [images.read_image(sample.path) for sample in data.test() if sample.label == "good"][:limit]
    for name, alter in {"unseen": as_it_is, **ALTERED}.items():
        _results.note(f"{len(others)} others: {name}")
        found[name] = np.array([inspector.measure(alter(image))[0] for image in others])
    if keep is not None:
        np.savez(keep, **found)  # type: ignore[arg-type]
    return found


def _calibration(inspector: Any) -> kizu.Calibration:
    if inspector.calibration is None:
        raise SystemExit("the fit made no calibration")
    return inspector.calibration  # type: ignore[no-any-return]
