"""PaDiM in plain loops, float64: a covariance a position, inverted as the paper writes it (arXiv 2011.08785)."""

from __future__ import annotations

import numpy as np


def mahalanobis(difference, covariance):
    """Distances ``(B, P)`` of ``(B, P, D)`` under covariances ``(P, D, D)``, by explicit inverses."""
    found = np.zeros(difference.shape[:2])
    for image, position in np.ndindex(*found.shape):
        offset = difference[image, position].astype(np.float64)
        found[image, position] = np.sqrt(offset @ np.linalg.inv(covariance[position]) @ offset)
    return found


def patch_scores(good, test, channels, regularisation):
    """Patch scores ``(B, h, w)`` of ``test`` after a fit on ``good``, both ``(n, h, w, D)``."""
    good, test = (part[..., channels].astype(np.float64) for part in (good, test))
    _, height, width, size = good.shape
    found = np.zeros(test.shape[:3])
    for i in range(height):
        for j in range(width):
            samples = good[:, i, j]
            covariance = np.atleast_2d(np.cov(samples, rowvar=False)) + regularisation * np.eye(size)
            offsets = (test[:, i, j] - samples.mean(axis=0))[:, None, :]
            found[:, i, j] = mahalanobis(offsets, covariance[None])[:, 0]
    return found
