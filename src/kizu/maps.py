"""From patch scores to what people look at: anomaly maps and predicted masks.

A map is the grid of patch scores brought to image size by bilinear interpolation (half-pixel centres) and
smoothed by a Gaussian of 4 pixels at 256 × 256, as in PatchCore (arXiv 2106.08265, section 3.3).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kizu.errors import DataError, bad_parameter

Map = NDArray[np.float32]


def default_sigma(image_size: float) -> float:
    """The blur, in pixels, for images of ``image_size`` pixels: 4 at 256, in proportion elsewhere.

    >>> default_sigma(512)
    8.0
    """
    return 4 * image_size / 256


def anomaly_map(patch_scores: Map, size: tuple[int, int], sigma: float) -> Map:
    """Patch scores brought to image size and smoothed.

    ``patch_scores`` is ``(h, w)`` float32, ``size`` is the image's ``(H, W)``, ``sigma`` is in pixels of the
    image (0: no blur; see `default_sigma`). Returns ``(H, W)`` float32, nowhere above the highest nor below
    the lowest patch score, save for rounding. The Gaussian is cut at 4 sigma; beyond its border the map is
    mirrored, the edge pixel repeated. Raises `ParameterError` for a bad size or sigma, `DataError` when
    ``patch_scores`` is no grid.

    >>> anomaly_map(np.full((2, 2), 3.0, np.float32), (8, 6), sigma=0.0).shape
    (8, 6)
    """
    _check_sigma(sigma)
    return _blur(resize_map(patch_scores, size), sigma)


def resize_map(anomaly_map: Map, size: tuple[int, int]) -> Map:
    """``anomaly_map`` (h, w) as ``size`` (H, W) float32, bilinear with half-pixel centres; a new array.

    Raises `ParameterError` for a size below 1 × 1, `DataError` when ``anomaly_map`` is no grid.
    """
    import cv2

    grid = _checked_grid(anomaly_map)
    height, width = size
    if height < 1 or width < 1:
        raise bad_parameter("size", "(height, width) of 1 or more each", size)
    if grid.shape == (height, width):
        return grid.copy()
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def nearest(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each cell of ``(h, w)`` the place, among those ``marked``, of the nearest one: ``(h, w)``; one at least
    must be. Distances are OpenCV's, of steps on a 5 × 5 mask: of two nearly as near it may take the farther.

    >>> nearest(np.array([[True, False, False, False, True]])).tolist()
    [[0, 0, 0, 1, 1]]
    """
    import cv2

    _, labels = cv2.distanceTransformWithLabels(
        (~marked).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.empty(int(labels.max()) + 1, np.int64)
    place[labels[marked]] = np.arange(int(marked.sum()))
    return np.asarray(place[labels])


def predicted_mask(anomaly_map: Map, threshold: float) -> NDArray[np.bool_]:
    """Where the map is anomalous: ``(H, W)`` bool, True where the score is above ``threshold`` (not at it).

    Raises `ParameterError` when ``threshold`` is NaN.

    >>> predicted_mask(np.array([[1.0, 2.0, 3.0]], np.float32), 2.0).tolist()
    [[False, False, True]]
    """
    if math.isnan(threshold):
        raise bad_parameter("threshold", "a number", threshold)
    return np.asarray(_checked_grid(anomaly_map) > floor32(threshold))


def _blur(scores: Map, sigma: float) -> Map:
    """Gaussian blur as ``scipy.ndimage.gaussian_filter`` has it: cut at 4 sigma, border mode "reflect"."""
    import cv2

    radius = int(4 * sigma + 0.5)
    if not radius:
        return scores
    kernel = (2 * radius + 1, 2 * radius + 1)
    blurred = cv2.GaussianBlur(scores, kernel, sigmaX=sigma, sigmaY=sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)


def floor32(threshold: float) -> np.float32:
    """The largest float32 not above ``threshold``: the same float32 scores lie above both.

    Comparing with a plain float would round it to the nearest float32, up as well as down.
    """
    largest = float(np.finfo(np.float32).max)
    if threshold < -largest:
        return np.float32(-np.inf)
    nearest = np.float32(min(threshold, largest))
    return nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf))


def _check_sigma(sigma: float) -> None:
    if not (math.isfinite(sigma) and sigma >= 0):
        raise bad_parameter("sigma", "a finite number of pixels, 0 or more", sigma, "0 means no blur.")


def _checked_grid(scores: Map) -> Map:
    grid = np.ascontiguousarray(scores, dtype=np.float32)
    if grid.ndim != 2 or not grid.size:
        raise DataError(f"a map must be (h, w) with at least one score; got shape {grid.shape}.")
    return grid
