"""A Gaussian a position: mean and covariance from running sums, Mahalanobis distance by Cholesky factors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

POSITIONS = 64
"""Positions worked on at a time: temporary D × D matrices for all of them would double the memory."""


class RunningGaussian:
    """Mean and covariance at each of P positions, updated batch by batch.

    Memory is ``P·(D² + D)`` float64 whatever the number of samples. Chan, Golub, LeVeque: "Updating formulae and
    a pairwise algorithm for computing sample variances" (Stanford STAN-CS-79-773): sums about the running
    mean, so large means cost no digits.
    """

    def __init__(self, positions: int, dimensions: int) -> None:
        self.count = 0
        self.mean: Float64 = np.zeros((positions, dimensions))
        self._scatter: Float64 = np.zeros((positions, dimensions, dimensions))

    def update(self, samples: Float32) -> None:
        """Add ``samples`` ``(n, P, D)``."""
        n = len(samples)
        total = self.count + n
        for first in range(0, len(self.mean), POSITIONS):
            here = slice(first, first + POSITIONS)
            batch: Float64 = samples[:, here].transpose(1, 0, 2).astype(np.float64)
            batch_mean = batch.mean(axis=1)
            batch -= batch_mean[:, None, :]
            self._scatter[here] += np.matmul(batch.transpose(0, 2, 1), batch)
            shift = batch_mean - self.mean[here]
            if self.count:
                self._scatter[here] += (self.count * n / total) * (shift[:, :, None] * shift[:, None, :])
            self.mean[here] += shift * (n / total)
        self.count = total

    def covariance(self) -> Float64:
        """The unbiased covariance ``(P, D, D)``; raises ``ValueError`` below two samples."""
        if self.count < 2:
            raise ValueError(f"a covariance needs 2 samples, got {self.count}")
        covariance: Float64 = self._scatter / (self.count - 1)
        return covariance


def packed_cholesky(covariance: Float64, regularisation: float) -> Float32:
    """The lower Cholesky factors of ``covariance + regularisation·I``, packed for `mahalanobis`.

    ``(P, D, D)`` → ``(D·(D+1)/2, P)`` float32: row j of the triangle fills rows j(j+1)/2 … of the result, so that a
    step of the forward substitution reads one contiguous stretch for all positions. Raises
    ``numpy.linalg.LinAlgError`` when a covariance is not positive definite.
    """
    positions, size, _ = covariance.shape
    packed = np.empty((size * (size + 1) // 2, positions), dtype=np.float32)
    lower = np.tril_indices(size)
    diagonal = np.arange(size)
    for first in range(0, positions, POSITIONS):
        part = covariance[first : first + POSITIONS].copy()
        part[:, diagonal, diagonal] += regularisation
        packed[:, first : first + POSITIONS] = np.linalg.cholesky(part)[:, lower[0], lower[1]].T
    return packed


def mahalanobis(difference: Float32, packed: Float32) -> Float32:
    """Plain (not squared) Mahalanobis distances from ``difference`` ``(B, P, D)`` to the mean: ``(B, P)``.

    Solves L·y = difference by forward substitution, all positions at once; the distance is ``|y|``.
    """
    batch, positions, size = difference.shape
    solved = np.empty((batch, size, positions), dtype=np.float32)
    for image in range(batch):
        rest = np.ascontiguousarray(difference[image].T)
        y = solved[image]
        for row in range(size):
            first = row * (row + 1) // 2
            if row:
                rest[row] -= np.einsum("ip,ip->p", packed[first : first + row], y[:row])
            np.divide(rest[row], packed[first + row], out=y[row])
    distances: Float32 = np.sqrt(np.einsum("bdp,bdp->bp", solved, solved))
    return distances
