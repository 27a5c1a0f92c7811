"""A Gaussian a position: mean and covariance from running sums, Mahalanobis distance by Cholesky factors.

Symmetric and triangular ``D × D`` matrices are kept **packed**: of the lower triangle row after row, ``T = D(D+1)/2``
numbers. For the 550 dimensions at 56 × 56 positions that PaDiM has on Wide ResNet-50 this is 3.8 GB in float64
and not 7.6, and it is held once: factors are written over the sums they come from.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kizu.progress import Advance, ignore

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

SCRATCH = 2**20
"""Elements of the full D × D matrices worked on at a time: few enough to stay in the cache."""

TRANSPOSED_AT_A_TIME = 1024
"""Rows of the packed factors written at a time when positions become columns."""


class RunningGaussian:
    """Mean and covariance at each of P positions, updated batch by batch.

    Memory is ``P·(T + D)`` float64 whatever the number of samples. Chan, Golub, LeVeque: "Updating formulae and
    a pairwise algorithm for computing sample variances" (Stanford STAN-CS-79-773): sums about the running
    mean, so large means cost no digits.
    """

    def __init__(self, positions: int, dimensions: int) -> None:
        self.count = 0
        self.mean: Float64 = np.zeros((positions, dimensions))
        self._lower = np.tril_indices(dimensions)
        self._packed = np.ravel_multi_index(self._lower, (dimensions, dimensions))
        self._scatter: Float64 = np.zeros(positions * len(self._packed))

    @staticmethod
    def memory(positions: int, dimensions: int) -> int:
        """Bytes that the sums, and later the factors, take at most."""
        return 8 * positions * (dimensions * (dimensions + 1) // 2 + dimensions)

    def update(self, samples: Float32) -> None:
        """Add ``samples`` ``(n, P, D)``."""
        n = len(samples)
        total = self.count + n
        scatter = self._scatter.reshape(len(self.mean), -1)
        for here in self._blocks():
            batch: Float64 = samples[:, here].transpose(1, 0, 2).astype(np.float64)
            batch_mean = batch.mean(axis=1)
            shift = batch_mean - self.mean[here]
            between = np.sqrt(self.count * n / total) * shift  # one more row to the products: that between the means
            rows = np.concatenate([batch - batch_mean[:, None, :], between[:, None, :]], axis=1)
            products = np.matmul(rows.transpose(0, 2, 1), rows).reshape(len(rows), -1)
            scatter[here] += products.take(self._packed, axis=1)
            self.mean[here] += shift * (n / total)
        self.count = total

    def covariance(self, positions: slice = slice(None)) -> Float64:
        """The unbiased covariances ``(p, D, D)`` of some positions, only the **lower triangle** filled.

        Raises ``ValueError`` below two samples, or once `factors` has taken the sums.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs 2 samples, got {self.count}")
        if not self._scatter.size:
            raise ValueError("the sums were given up for the factors")
        packed = self._scatter.reshape(len(self.mean), -1)[positions]
        size = self.mean.shape[1]
        covariance: Float64 = np.zeros((len(packed), size, size))
        covariance[:, self._lower[0], self._lower[1]] = packed / (self.count - 1)
        return covariance

    def factors(self, regularisation: float, advance: Advance = ignore) -> Float32:
        """The lower Cholesky factors of ``covariance + regularisation·I``, packed for `mahalanobis`; takes the sums.

        ``(T, P)`` float32: row j of the triangle fills rows j(j+1)/2 … of the result, so that a step of the forward
        substitution reads one contiguous stretch for all positions. They are written over the sums, block by
        block: at no time is there a second set of matrices. ``advance`` is called with positions done. Raises
        ``numpy.linalg.LinAlgError`` when a covariance is not positive definite, ``ValueError`` as `covariance` does.
        """
        diagonal = np.arange(self.mean.shape[1])
        written = self._scatter.view(np.float32)
        size = len(self._packed)
        for here in self._blocks():
            block = self.covariance(here)
            block[:, diagonal, diagonal] += regularisation
            lower = np.linalg.cholesky(block)[:, self._lower[0], self._lower[1]]
            written[here.start * size : here.stop * size] = lower.ravel()  # half as wide: never ahead of what is read
            advance(len(block))
        del written
        positions, sums = len(self.mean), self._scatter
        self._scatter = np.empty(0)
        sums.resize((positions * size + 1) // 2, refcheck=False)
        return _transposed(sums.view(np.float32)[: positions * size].reshape(positions, size))

    def _blocks(self) -> list[slice]:
        """Positions a few at a time."""
        positions, dimensions = self.mean.shape
        step = max(1, SCRATCH // dimensions**2)
        return [slice(first, min(first + step, positions)) for first in range(0, positions, step)]


def _transposed(packed: Float32) -> Float32:
    """``(P, T)`` → ``(T, P)``, contiguous, a strip at a time."""
    turned = np.empty(packed.shape[::-1], dtype=np.float32)
    for first in range(0, len(turned), TRANSPOSED_AT_A_TIME):
        part = slice(first, first + TRANSPOSED_AT_A_TIME)
        turned[part] = packed[:, part].T
    return turned


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
