"""How alike two images are once they lie on each other: what two files of one photograph share, and two parts do not.

Good parts look alike, so correlating whole images says little: two sister wafers reach 0.98. What tells one
photograph from another is fine detail, down to the noise, after the two have been aligned. So:

1. **Candidates.** Small contrast-normalised images, whitened by the covariance of this data set: what all its parts
   share (edges, bars, lettering, and how they move) counts little, what is particular to one image counts much. The
   nearest few of each image, by cosine, are candidates.
2. **Similarity.** The second image is laid on the first by an affine map (the enhanced correlation coefficient of
   Evangelidis and Psarakis, IEEE TPAMI 30(10), 2008), both are stripped of everything coarser than a pixel or two,
   and correlated block by block. The median over blocks of grain and texture is the similarity, in [-1, 1]: blocks
   without any detail do not count, nor those with far more than most, since edges are what parts have in common. It
   does not change with brightness and contrast.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kizu.images import resize

Grey = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

SIDE = 128
"""Side of the thumbnails that are compared, in pixels: 16 KiB an image."""

NEIGHBORS = 4
"""Candidates an image; on three products a copy, however distorted, was among the nearest 4."""

COMPARE_ALL = 16
"""Up to so many images, every pair is a candidate: fewer have no covariance to speak of."""

_COARSE, _COARSE_SIGMA = 32, 1.5
_RIDGE = 0.1  # of the mean variance, added to every direction before whitening
_FINE_SIGMA = 1.0
_BLOCK = 8  # pixels of a thumbnail
_FLAT = 0.02  # variance of fine detail, in grey levels squared, at which a block counts as empty
_DETAILED_AT_LEAST = 0.03  # share of blocks
_EDGES = (25, 6.0)  # a block of more than 6 times the 25th percentile of all detail is one of edges
_HOPELESS = 0.35  # similarity at half size below which it is not refined; copies, however distorted, have 0.41
_ROWS_AT_A_TIME = 1024


def candidates(thumbnails: Grey) -> Iterator[tuple[int, int]]:
    """Pairs ``(i, j)``, i < j, each once, of ``(n, 128, 128)`` thumbnails that may show the same photograph."""
    count = len(thumbnails)
    if count <= COMPARE_ALL:
        yield from ((i, j) for i in range(count) for j in range(i + 1, count))
        return
    features = _whitened(np.stack([_coarse(thumbnail) for thumbnail in thumbnails]))
    found: set[tuple[int, int]] = set()
    for start in range(0, count, _ROWS_AT_A_TIME):
        cosines = features[start : start + _ROWS_AT_A_TIME] @ features.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        nearest = np.argpartition(-cosines, NEIGHBORS - 1, axis=1)[:, :NEIGHBORS]
        found |= {(min(i, j), max(i, j)) for i, row in enumerate(nearest.tolist(), start) for j in row}
    yield from sorted(found)


def similarity(one: Grey, other: Grey) -> float:
    """How much grain and texture two thumbnails ``(128, 128)`` share, in [-1, 1].

    Aligned at half size first; what is clearly different there keeps the value it has there. 0 where the two cannot
    be aligned, or have next to no detail.
    """
    warp, value = np.eye(2, 3, dtype=np.float32), 0.0
    for side, rounds in ((SIDE // 2, 15), (SIDE, 8)):
        fixed, moving = (resize(image, (side, side)).astype(np.float32) for image in (one, other))
        found = _aligned(fixed, moving, warp, rounds)
        if found is None:
            return 0.0
        warp, aligned = found
        value = _shared_detail(fixed, aligned)
        if value < _HOPELESS:
            return value
        warp = _at_double_size(warp)
    return value


def _shared_detail(one: Float32, other: Float32) -> float:
    margin = len(one) // 16
    x, y = (_fine(image)[margin:-margin, margin:-margin] for image in (one, other))
    covariance, of_x, of_y = _block_means(x * y), _block_means(x * x), _block_means(y * y)
    detail = np.maximum(of_x, of_y)
    detailed = detail > _FLAT
    if detailed.mean() < _DETAILED_AT_LEAST:
        return 0.0
    percentile, times = _EDGES
    grain = detailed & (detail <= times * np.percentile(detail[detailed], percentile))
    correlations = covariance / np.sqrt((of_x + _FLAT) * (of_y + _FLAT))
    return float(np.median(correlations[grain]))


def _coarse(thumbnail: Grey) -> Float32:
    """Edges and texture of a small version, contrast evened out: ``(1024,)``."""
    import cv2

    small = cv2.resize(thumbnail, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = small - cv2.GaussianBlur(small, (0, 0), _COARSE_SIGMA)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2 * _COARSE_SIGMA)) + 1
    return np.asarray(detail / contrast, np.float32).ravel()


def _whitened(rows: Float32) -> Float32:
    """Rows ``(n, d)`` of unit length, every direction scaled by how much the data set varies in it."""
    centred = rows - rows.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(rows))
    scale = np.sqrt(variances.clip(0) + _RIDGE * max(float(variances.mean()), 1e-12))
    white = centred @ (directions / scale)
    return np.asarray(white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12), np.float32)


def _aligned(fixed: Float32, moving: Float32, warp: Float32, rounds: int) -> tuple[Float32, Float32] | None:
    """The affine map from ``fixed`` to ``moving``, refined from ``warp``, and ``moving`` laid on ``fixed`` by it.

    None where the two share nothing to hold on to.
    """
    import cv2

    size = (fixed.shape[1], fixed.shape[0])
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, rounds, 1e-3)
    mask = np.full(fixed.shape, 255, np.uint8)
    try:
        _, refined = cv2.findTransformECC(fixed, moving, warp.copy(), cv2.MOTION_AFFINE, stop, mask, 5)
    except cv2.error:
        return None
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(moving, refined, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(refined, np.float32), np.asarray(laid, np.float32)


def _at_double_size(warp: Float32) -> Float32:
    """The affine map ``(2, 3)`` between images twice as large; pixel centres lie at whole numbers in both."""
    doubled = warp.copy()
    doubled[:, 2] = 2 * warp[:, 2] + (1 - warp[:, :2].sum(axis=1)) / 2
    return doubled


def _fine(image: Float32) -> Float32:
    import cv2

    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), _FINE_SIGMA), np.float32)


def _block_means(values: Float32) -> Float32:
    """Means over blocks of 8 × 8 pixels, a block every 4."""
    import cv2

    half = _BLOCK // 2
    return np.asarray(cv2.boxFilter(values, -1, (_BLOCK, _BLOCK)), np.float32)[half:-half:half, half:-half:half]
