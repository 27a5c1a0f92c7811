"""Distances of several parts to one score a patch, the highest of it made exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Float32
from kizu.detectors._highest import Closer, Indices, highest_exact
from kizu.detectors._scoring import Lookup

Float64 = npt.NDArray[np.float64]

ROWS = 4096
"""Patches that are summed up at a time: they are copied to float64."""


LEAST_SPREAD = 1e-6
"""Of a part that hardly varies, beside its length: float32 tells no less, and exports compute in it."""


@dataclass(frozen=True)
class Found:
    """One part of an image: ``queries`` ``(P, D)``, its patches; ``distances`` ``(P,)`` to the rows found, never too
    small; ``closer`` as `kizu.detectors._scoring.confirmed` has it, none where ``distances`` are exact.
    """

    queries: Float32
    distances: Float32
    closer: Sequence[Lookup]


def spread(rows: Float32) -> float:
    """The root of the variance of ``rows`` ``(N, D)``, summed over channels: a plain distance, above 0."""
    running = RunningSpread()
    for first in range(0, len(rows), ROWS):
        running.add(rows[first : first + ROWS])
    return running.of(slice(None))


def _scale(variances: Float64, means: Float64) -> float:
    """The spread of channels of these ``variances``, at least `LEAST_SPREAD` of how far they lie from the origin; 1
    where they are 0 everywhere.
    """
    length = float(np.sqrt(variances.sum() + np.square(means).sum()))
    return max(float(np.sqrt(variances.sum())), LEAST_SPREAD * length) or 1.0


class RunningSpread:
    """`spread` of embeddings that pass by, all patches of them; memory does not grow with their number.

    Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm for computing sample variances" (Stanford
    STAN-CS-79-773).
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Float64 = np.zeros(0)
        self._scatter: Float64 = np.zeros(0)

    def watched(self, embeddings: Iterable[Float32]) -> Iterator[Float32]:
        """The same batches ``(b, h, w, D)``."""
        for batch in embeddings:
            self.add(batch.reshape(-1, batch.shape[-1]))
            yield batch

    def add(self, rows: Float32) -> None:
        """Count ``rows`` ``(n, D)`` too; they are copied to float64."""
        count, mean = len(rows), rows.mean(axis=0, dtype=np.float64)
        scatter = count * rows.var(axis=0, dtype=np.float64)
        if not self._count:
            self._count, self._mean, self._scatter = count, mean, scatter
            return
        total, shift = self._count + count, mean - self._mean
        self._scatter += scatter + np.square(shift) * (self._count * count / total)
        self._mean += shift * (count / total)
        self._count = total

    def of(self, part: slice) -> float:
        """Of the channels ``part``: a plain distance, above 0."""
        return _scale(self._scatter[part] / max(1, self._count), self._mean[part])


def joined(parts: Sequence[Found], scales: Float64) -> Float32:
    """Patch scores ``(P,)``: the root mean square over the parts of distance / scale, plain; the highest exact."""
    distances = [part.distances.copy() for part in parts]

    def searched(look: int) -> Closer:
        def scores(places: Indices) -> Float32:
            for part, near in zip(parts, distances, strict=True):
                if part.closer:
                    search = part.closer[min(look, len(part.closer) - 1)]
                    near[places] = np.minimum(near[places], search(part.queries[places], 1)[0][:, 0])
            return _scores([near[places] for near in distances], scales)

        return scores

    looks = max(len(part.closer) for part in parts)
    return highest_exact(_scores(distances, scales), [searched(look) for look in range(looks)])


def _scores(distances: Sequence[Float32], scales: Float64) -> Float32:
    total = np.zeros(len(distances[0]), np.float64)
    for near, scale in zip(distances, scales, strict=True):
        total += np.square(near.astype(np.float64) / scale)
    scores: Float32 = np.sqrt(total / len(distances)).astype(np.float32)
    return scores
