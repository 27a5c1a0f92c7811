"""Distances of several parts to one score a patch, the highest of it made exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Float32
from kizu.neighbors import Neighbors

Float64 = npt.NDArray[np.float64]

SAMPLE = 65_536
"""Patches from which the spread of a part is found, about."""

AT_A_TIME = 8
"""Highest patches searched exactly at a time, at most: one at first, then twice as many each time."""


@dataclass(frozen=True)
class Found:
    """One part of an image: ``queries`` ``(P, D)``, its patches; ``distances`` ``(P,)`` to the rows found, never too
    small; ``exact`` searches the bank exactly, None where that was done.
    """

    queries: Float32
    distances: Float32
    exact: Neighbors | None


def spread(rows: Float32) -> float:
    """The root of the variance of ``rows`` ``(N, D)``, summed over channels: a plain distance, above 0."""
    sample = rows[:: max(1, len(rows) // SAMPLE)].astype(np.float64)
    return float(np.sqrt(max(sample.var(axis=0).sum(), np.finfo(np.float32).tiny)))


def joined(parts: Sequence[Found], scales: Float64) -> Float32:
    """Patch scores ``(P,)``: the root mean square over the parts of distance / scale, plain; the highest exact.

    Distances are never too small, so neither are scores: patches are searched again from the highest on, until none
    other can be higher.
    """
    distances = [part.distances.copy() for part in parts]
    scores = _scores(distances, scales)
    if all(part.exact is None for part in parts):
        return scores
    order = np.argsort(-scores, kind="stable")
    highest, first, count = np.float32(-1), 0, 1
    while first < len(order) and scores[order[first]] > highest:
        places = order[first : first + count]
        for part, near in zip(parts, distances, strict=True):
            if part.exact is not None:
                near[places] = part.exact.search(part.queries[places], 1)[0][:, 0]
        scores[places] = _scores([near[places] for near in distances], scales)
        highest = max(highest, scores[places].max())
        first, count = first + count, min(2 * count, AT_A_TIME)
    return scores


def _scores(distances: Sequence[Float32], scales: Float64) -> Float32:
    total = np.zeros(len(distances[0]), np.float64)
    for near, scale in zip(distances, scales, strict=True):
        total += np.square(near / scale)
    scores: Float32 = np.sqrt(total / len(distances)).astype(np.float32)
    return scores
