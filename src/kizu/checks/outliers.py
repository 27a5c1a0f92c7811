"""Good images that look least like the other good ones: where defects hide.

An image is scored as if it had not been fitted on (`kizu.detectors`, ``leave_one_out``), for a detector has no
quarrel with what it has learnt. How far a score stands out is judged on its logarithm, in deviations taken from the
upper half of the images (1.4826 × the median distance from the median), since scores have their tail on that side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu.checks._finding import Finding, Suspect
from kizu.checks._robust import NORMAL, Float64
from kizu.wording import Wording

FEWEST = 10
"""Good images below which none can be said to stand out."""

SHOWN = 20
"""The least ordinary images that are always listed, for people to look at."""

BEYOND = 4.0
"""Deviations from which an image is called suspect. Of good solar cells about one in 600 lies beyond."""


def suspects(paths: Sequence[Path], scores: npt.ArrayLike) -> tuple[Suspect, ...]:
    """The least ordinary of images with these left-out ``scores`` ``(n,)``, worst first.

    20 of them, and all that stand out. From fewer than 10 images none is said to stand out.
    """
    values = np.asarray(scores, np.float64)
    order = np.argsort(-values, kind="stable")
    distances = distances_above(values)
    count = max(min(SHOWN, len(values)), int((distances > BEYOND).sum()))
    middle = float(np.median(values)) if len(values) else 0.0
    return tuple(
        Suspect(
            path=paths[index],
            score=float(values[index]),
            rank=rank,
            p_value=float((values >= values[index]).mean()),
            times=float(values[index]) / middle if middle > 0 else 1.0,
            distance=float(distances[index]),
            beyond=bool(distances[index] > BEYOND),
        )
        for rank, index in enumerate(order[:count].tolist(), start=1)
    )


def distances_above(scores: Float64) -> Float64:
    """How many deviations the logarithm of each score ``(n,)`` lies above the median; 0 where that cannot be said."""
    if len(scores) < FEWEST or scores.min() <= 0:
        return np.zeros(len(scores))
    middle, deviation = _middle_and_deviation(scores)
    return (np.log(scores) - middle) / deviation if deviation > 0 else np.zeros(len(scores))


def limit_of(scores: npt.ArrayLike) -> float:
    """The score from which an image is suspect; the highest there is, where that cannot be said."""
    values = np.asarray(scores, np.float64)
    if len(values) < FEWEST or values.min() <= 0:
        return float(values.max())
    middle, deviation = _middle_and_deviation(values)
    return float(np.exp(middle + BEYOND * deviation))


def _middle_and_deviation(scores: Float64) -> tuple[float, float]:
    logarithms = np.log(scores)
    middle = float(np.median(logarithms))
    return middle, NORMAL * float(np.median(logarithms[logarithms >= middle] - middle))


def hiding(found: Sequence[Suspect]) -> list[Finding]:
    """One finding for the images that stand out; none where none does."""
    beyond = [suspect for suspect in found if suspect.beyond]
    if not beyond:
        return []
    least, most = round(beyond[-1].times, 2), round(beyond[0].times, 2)
    if least == most:
        wording = Wording("suspect", {"n": len(beyond), "times": most})
    else:
        wording = Wording("suspects", {"n": len(beyond), "least": least, "most": most})
    advice = "Look at them, worst first; --out DIR makes pictures. Take defects out; keep what is good and rare."
    return [Finding("suspect", "warning", tuple(suspect.path for suspect in beyond), wording, advice)]
