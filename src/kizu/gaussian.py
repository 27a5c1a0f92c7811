"""A Gaussian a position: mean and covariance from running sums, Mahalanobis distance by Cholesky factors.

Symmetric and triangular ``D × D`` matrices are kept **packed**: of the lower triangle row after row, ``T = D(D+1)/2``
numbers. For the 550 dimensions at 56 × 56 positions that PaDiM has on Wide ResNet-50 this is 3.8 GB in float64
and not 7.6, and it is held once: factors are written over the sums they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.progress import Advance, ignore

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]

SCRATCH = 2**20
"""Elements of the full D × D matrices worked on at a time: few enough to stay in the cache."""

TRANSPOSED_AT_A_TIME = 1024
"""Rows of the packed factors written at a time when positions become columns."""

SOLVED_AT_A_TIME = 32
"""Rows of a triangle solved at a time: few, for they are factored once more, and enough to multiply matrices."""


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

    @classmethod
    def continued(
        cls, mean: Float32, packed: Float32, count: int, regularisation: float, advance: Advance = ignore
    ) -> RunningGaussian:
        """The sums that ``mean`` ``(P, D)`` and ``packed`` ``(T, P)``, what `factors` gave, came from: to be updated.

        ``scatter = (n − 1)·(L·Lᵀ − ε·I)``, to the roundings of float32: an entry is off by about ``D·u`` of the
        variances it belongs to, u = 6e-8. Memory: the new sums beside ``packed``. ``advance`` is called with
        positions done. Raises ``ValueError`` below two samples.
        """
        if count < 2:
            raise ValueError(f"a covariance needs 2 samples, got {count}")
        positions, size = mean.shape
        sums = cls(positions, size)
        sums.count, sums.mean = count, mean.astype(np.float64)
        scatter, diagonal = sums._scatter.reshape(positions, -1), np.arange(size)
        for here in sums._blocks():
            lower: Float64 = np.zeros((here.stop - here.start, size, size))
            lower[:, sums._lower[0], sums._lower[1]] = packed[:, here].T
            covariance = lower @ lower.transpose(0, 2, 1)
            covariance[:, diagonal, diagonal] -= regularisation
            scatter[here] = (count - 1) * covariance.reshape(len(covariance), -1).take(sums._packed, axis=1)
            advance(len(covariance))
        return sums

    def update(self, samples: Sequence[Float32] | Float32) -> None:
        """Add ``samples``, each ``(P, D)``."""
        n = len(samples)
        total = self.count + n
        scatter = self._scatter.reshape(len(self.mean), -1)
        for here in self._blocks():
            together = np.stack([sample[here] for sample in samples])
            batch: Float64 = together.transpose(1, 0, 2).astype(np.float64)
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

    def left_out(
        self, samples: Sequence[Float32] | Float32, regularisation: float, advance: Advance = ignore
    ) -> Float32:
        """Plain Mahalanobis distances ``(n, P)`` of ``samples``, each ``(P, D)`` and among those summed, to the
        Gaussian of all others.

        Leaving a sample out whose difference from the mean of all N is d moves the mean by ``d / (N − 1)`` and takes
        ``N / (N − 1) · d dᵀ`` from the scatter. With ``A = scatter / (N − 2) + εI``, ``m = dᵀA⁻¹d`` and
        ``c = N / ((N − 1)(N − 2))``, the squared distance is, by Sherman and Morrison,
        ``(N / (N − 1))² · m / (1 − c·m)``; c·m < 1 since ε > 0. In float64, for 1 and c·m may be nearly equal.

        The sums stay as they are. Each position is factored for all samples at once and the factor dropped: at no
        time is there a second set of matrices. ``advance`` is called with positions done. Raises
        ``numpy.linalg.LinAlgError`` as `factors`, ``ValueError`` below three samples summed.
        """
        if self.count < 3:
            raise ValueError(f"leaving one of {self.count} samples out leaves no covariance")
        diagonal, widened = np.arange(self.mean.shape[1]), (self.count - 1) / (self.count - 2)
        found: Float32 = np.empty((len(samples), len(self.mean)), np.float32)
        for here in self._blocks(len(samples)):
            block = self.covariance(here) * widened
            block[:, diagonal, diagonal] += regularisation
            differences: Float64 = np.stack([sample[here] for sample in samples], axis=2) - self.mean[here, :, None]
            solved = _solved(np.linalg.cholesky(block), differences)
            found[:, here] = _without_its_own(np.einsum("pdn,pdn->np", solved, solved), self.count)
            advance(len(block))
        return found

    def _blocks(self, samples: int = 1) -> list[slice]:
        """Positions a few at a time, with so many samples beside their matrices."""
        positions, dimensions = self.mean.shape
        step = max(1, SCRATCH // (dimensions * max(dimensions, samples)))
        return [slice(first, min(first + step, positions)) for first in range(0, positions, step)]


def _transposed(packed: Float32) -> Float32:
    """``(P, T)`` → ``(T, P)``, contiguous, a strip at a time."""
    turned: Float32 = np.empty(packed.shape[::-1], packed.dtype)
    for first in range(0, len(turned), TRANSPOSED_AT_A_TIME):
        part = slice(first, first + TRANSPOSED_AT_A_TIME)
        turned[part] = packed[:, part].T
    return turned


def _solved(lower: Floats, right: Float64) -> Float64:
    """Y ``(p, D, n)`` of ``lower · Y = right``, lower triangles ``(p, D, D)``: forward substitution, some rows at a
    time. Written over ``right``.
    """
    for first in range(0, lower.shape[1], SOLVED_AT_A_TIME):
        here = slice(first, first + SOLVED_AT_A_TIME)
        right[:, here] -= lower[:, here, :first] @ right[:, :first]
        right[:, here] = np.linalg.solve(lower[:, here, here], right[:, here])
    return right


def _without_its_own(squared: Float64, count: int) -> Float64:
    """Distances from the m of `RunningGaussian.left_out`, of ``count`` samples."""
    share = count / ((count - 1) * (count - 2)) * squared
    rest = np.maximum(1 - share, np.finfo(np.float64).eps)  # rounded factors may bring it to 0 or below
    distances: Float64 = count / (count - 1) * np.sqrt(squared / rest)
    return distances


def mahalanobis(difference: Float32, packed: Float32) -> Float32:
    """Plain (not squared) Mahalanobis distances from ``difference`` ``(B, P, D)`` to the mean: ``(B, P)``.

    Solves L·y = difference by forward substitution, all positions at once; the distance is ``|y|``.
    """
    batch, positions, size = difference.shape
    solved: Float32 = np.empty((batch, size, positions), np.float32)
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
