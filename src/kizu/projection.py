"""Random projections that keep distances: fewer dimensions to select a coreset in.

Johnson and Lindenstrauss 1984; the number of dimensions and the elementary bound are those of Dasgupta and Gupta,
"An elementary proof of a theorem of Johnson and Lindenstrauss" (Random Struct. Algorithms 22, 2003); the sparse
matrix is that of Li, Hastie, Church, "Very sparse random projections" (KDD 2006). Formulas as in scikit-learn's
``random_projection``, so that ``SparseRandomProjection("auto", eps)`` and these are drawn alike.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

KINDS = ("gaussian", "sparse")


def safe_dimensions(points: int, eps: float) -> int:
    """Dimensions in which squared distances between ``points`` points change by at most a share of ``eps``.

    ``4 ln n / (eps²/2 − eps³/3)``, rounded down, 1 at least; ``eps`` in (0, 1).

    >>> safe_dimensions(100_000, 0.9), safe_dimensions(100_000, 0.1)
    (284, 9868)
    """
    return max(1, int(4 * math.log(points) / (eps**2 / 2 - eps**3 / 3)))


def projection_matrix(kind: str, channels: int, dimensions: int, rng: np.random.Generator) -> Float32:
    """A random matrix ``(channels, dimensions)`` of one of `KINDS`.

    ``gaussian``: normal, variance 1 / dimensions. ``sparse``: a share 1/√channels of ±√(√channels / dimensions), the
    rest 0. Both keep a vector's expected squared length.
    """
    if kind == "gaussian":
        normal: Float32 = rng.standard_normal((channels, dimensions), dtype=np.float32)
        return normal / np.float32(math.sqrt(dimensions))
    density = 1 / math.sqrt(channels)
    drawn = rng.random((channels, dimensions))
    signs = np.where(drawn < density / 2, np.float32(1), np.float32(-1))
    value = np.float32(math.sqrt(1 / (density * dimensions)))
    sparse: Float32 = np.where(drawn < density, value * signs, np.float32(0))
    return sparse
