"""The scales of maps: from scores to greys and colours, tied to the pixel threshold.

A colour stands for a multiple of the pixel threshold, never for the extremes of one map: in all pictures of a
model it means the same. (For a threshold of 0 or less, "r times the limit" reads "the limit plus (r - 1) times
its absolute value", or plus r - 1 where it is 0.)

The colours: up to three quarters of the limit nothing; then blue, more of it towards the limit; above the
limit yellow, orange, dark red at one and a half times the limit and more. Blue against yellow is what all
common kinds of colour blindness tell apart, and from yellow on it only gets darker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kizu import maps

Grey = NDArray[np.uint8]

_HUGE = 1e30  # limits beyond are infinite to float32, those below its inverse are 0


@dataclass(frozen=True)
class Scale:
    """256 levels from ``low`` to ``high``, in multiples of the limit.

    >>> GREY.limit_level, HEAT.limit_level
    (128, 86)
    """

    low: float
    high: float

    @property
    def limit_level(self) -> int:
        """The first level of the scores above the limit."""
        return math.ceil(256 * (1 - self.low) / (self.high - self.low))

    def levels(self, scores: NDArray[np.float32], limit: float) -> Grey:
        """Scores ``(H, W)`` as levels: `limit_level` and more exactly where they are above ``limit``."""
        levels = np.clip(self._positions(scores, limit), 0, 255).astype(np.uint8)
        above = maps.predicted_mask(scores, limit)
        nearest = np.where(above, self.limit_level, self.limit_level - 1).astype(np.uint8)
        result: Grey = np.where(above, np.maximum(levels, nearest), np.minimum(levels, nearest))
        return result

    def _positions(self, scores: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
        if abs(limit) > _HUGE:
            return np.full(scores.shape, 0 if limit > 0 else 255, np.float32)
        low = np.float32(multiple(self.low, limit))
        high = np.float32(multiple(self.high, limit))
        positions: NDArray[np.float32] = (np.clip(scores, low, high) - low) / (high - low) * np.float32(256)
        return positions


GREY = Scale(0.0, 2.0)
"""Of grey maps: 0 is black, the limit 128, twice the limit and more 255."""

HEAT = Scale(0.75, 1.5)
"""Of heat maps."""


def multiple(times: float, limit: float) -> float:
    """The score that is ``times`` the limit, in the sense of this module.

    >>> multiple(1.5, 20.0), multiple(1.5, -20.0)
    (30.0, -10.0)
    """
    return limit + (times - 1) * _unit(limit)


def paint(grey: Grey, levels: Grey) -> NDArray[np.uint8]:
    """Heat colours of ``levels`` (H, W) over a grey image (H, W): (H, W, 3) uint8."""
    keep, colours = _tables()
    painted = colours[levels]
    painted += (grey.astype(np.uint16) * keep[levels])[..., None]
    painted >>= 8
    return painted.astype(np.uint8)


def _unit(limit: float) -> float:
    return abs(limit) if abs(limit) > 1 / _HUGE else 1.0


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """For each level: how much of the grey stays (of 256), and the colour added, times 256."""
    edge = HEAT.limit_level
    at = [0, edge - 1, edge, (edge + 255) // 2, 255]
    every = np.arange(256)
    cover = np.interp(every, at, [0.0, 0.55, 0.6, 0.7, 0.8])
    red = np.interp(every, at, [70, 40, 255, 255, 150])
    green = np.interp(every, at, [130, 90, 235, 120, 0])
    blue = np.interp(every, at, [255, 255, 40, 0, 30])
    hidden = np.floor(cover * 256)
    colours = (np.stack([red, green, blue], axis=1) * hidden[:, None]).astype(np.uint16)
    return (256 - hidden).astype(np.uint16), colours
