"""A fixed number of values a patch, as amazon-science/patchcore-inspection makes them, as convolutions.

There each layer's 3×3 patches are unfolded to ``C·9`` values, zeros outside the map among them; adaptive average
pooling brings those to ``dims`` values, the layers are put one after the other, and a second pooling brings
the row to ``dims`` again (``MeanMapper`` and ``Aggregator`` in its ``common.py``). Adaptive pooling averages value i
of m over ``floor(i·n/m)`` to ``ceil((i+1)·n/m)`` of n (PyTorch's ``AdaptiveAvgPool1d``).

All of that is linear, so that it is *one* 3×3 convolution a layer, of which each output sees a few neighbouring
channels. Interpolation between grids is linear too and the same for every value, so it may come after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAPS = 9
"""Values of a 3×3 neighbourhood."""


@dataclass(frozen=True)
class Share:
    """What one layer adds to a patch: values ``first`` to ``first + len(kernel)``, by a grouped convolution.

    ``kernel`` ``(values, channels / groups, 3, 3)`` float32, as ONNX's ``Conv`` takes it.
    """

    first: int
    kernel: NDArray[np.float32]
    groups: int


def shares(channels: Sequence[int], dims: int) -> list[Share]:
    """Each layer's share of ``dims`` values, for layers of so many ``channels``.

    The shares follow each other; two neighbours overlap in one value where its average reaches into both layers.
    ``dims`` is at least the number of layers.
    """
    pooled = [_matrix(count * TAPS, dims) for count in channels]
    joined = _bins(len(channels) * dims, dims)
    return [_share(layer, rows, joined) for layer, rows in enumerate(pooled)]


def _bins(values: int, wanted: int) -> list[range]:
    """The values that adaptive average pooling from ``values`` to ``wanted`` averages over, one range an output."""
    return [range(i * values // wanted, -(-(i + 1) * values // wanted)) for i in range(wanted)]


def _matrix(values: int, wanted: int) -> NDArray[np.float64]:
    """Adaptive average pooling as a matrix ``(wanted, values)``."""
    matrix = np.zeros((wanted, values))
    for row, averaged in zip(matrix, _bins(values, wanted), strict=True):
        row[averaged.start : averaged.stop] = 1 / len(averaged)
    return matrix


def _share(layer: int, pooled: NDArray[np.float64], joined: Sequence[range]) -> Share:
    """The second pooling over the ``pooled`` values ``(dims, C·9)`` of one layer."""
    dims, begin = len(pooled), layer * len(pooled)
    touched = [k for k, averaged in enumerate(joined) if averaged.stop > begin and averaged.start < begin + dims]
    rows = np.zeros((len(touched), pooled.shape[1]))
    for place, k in enumerate(touched):
        own = pooled[max(joined[k].start - begin, 0) : max(joined[k].stop - begin, 0)]
        rows[place] = own.sum(axis=0) / len(joined[k])
    return _grouped(touched[0], rows.reshape(len(touched), -1, 3, 3))


def _grouped(first: int, kernel: NDArray[np.float64]) -> Share:
    """A dense kernel ``(values, channels, 3, 3)`` in as many groups as leave nothing but zeros out."""
    values, channels = kernel.shape[:2]
    used = np.abs(kernel).sum(axis=(2, 3)) > 0
    ends = np.stack([used.argmax(axis=1), channels - 1 - used[:, ::-1].argmax(axis=1)])
    common = math.gcd(values, channels)
    groups = max(g for g in range(1, common + 1) if common % g == 0 and _fits(ends, channels, g))
    width = channels // groups
    kept = _own_group(values, groups)[:, None] * width + np.arange(width)
    return Share(first, np.take_along_axis(kernel, kept[:, :, None, None], 1).astype(np.float32), groups)


def _fits(ends: NDArray[np.int64], channels: int, groups: int) -> bool:
    """Whether every value's first and last channel, ``(2, values)``, lie in the value's own group."""
    return bool((ends // (channels // groups) == _own_group(ends.shape[1], groups)).all())


def _own_group(values: int, groups: int) -> NDArray[np.int64]:
    return np.arange(values) // (values // groups)
