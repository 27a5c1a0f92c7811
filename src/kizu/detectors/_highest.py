"""The highest of many scores made exact, where a search found them approximately, at the least cost.

Distances to rows that a search has found are never too small, so neither are scores: the highest is exact as soon as
one that is exact is as high as all others. So the highest is looked at more closely, again and again, first by what
costs little, which mostly brings it down below others, and at last by an exact search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

AT_A_TIME = 8
"""Scores looked at more closely at a time, at most: one at first, then twice as many each time."""

Closer = Callable[[Indices], Float32]
"""Scores ``(n,)`` of some patches, by number, never higher than they were."""


def highest_exact(scores: Float32, closer: Sequence[Closer]) -> Float32:
    """``scores`` ``(P,)``, none too low, with the highest made exact: each of ``closer`` is nearer to the truth than
    the one before, and the last is the truth.
    """
    scores, looks = scores.copy(), np.zeros(len(scores), dtype=np.int64)
    counts = [1] * len(closer)
    while True:
        top, exact = int(scores.argmax()), scores[looks == len(closer)].max(initial=-np.inf)
        if not scores[top] > exact:  # as high as what is exact, or not a number
            return scores
        level = int(looks[top])
        part = _highest(scores, looks == level, exact, counts[level])
        scores[part] = closer[level](part)
        looks[part] += 1
        counts[level] = min(2 * counts[level], AT_A_TIME)


def _highest(scores: Float32, wanted: npt.NDArray[np.bool_], above: np.floating, count: int) -> Indices:
    """The numbers of the ``count`` highest of the ``wanted`` scores that exceed ``above``: fewer where fewer do."""
    places = np.flatnonzero(wanted & (scores > above))
    if len(places) > count:  # mostly one of a thousand: no need to sort them all
        places = places[scores[places] >= np.partition(scores[places], -count)[-count]]
    return places[np.argsort(-scores[places], kind="stable")[:count]]
