"""Ruling out most pairs of a row and a new centre by the few directions in which the rows vary most.

A row x has a nearest centre at the squared distance k already; a new centre p matters to it only where |x − p|² < k.
For an orthonormal B ``(D, K)``, here the leading principal components, |Bᵀ(x − p)|² is never above |x − p|². So a
product of K instead of D columns rules out nearly all pairs: on patches of images a fifth of the components hold 95 %
of the variance, and all but some 0.05 % of the pairs go.

**Rounding.** u is the unit roundoff of float32, n squared length. B is rounded, and stretches by √β at most; y = Bᵀx
from a centred row errs by e·|x|, e = (D + 64)·u·√K (Higham, Accuracy and Stability of Numerical Algorithms, section
3.1, row by row); and |y_x|² + |y_p|² − 2y_x·y_p − k as one product of K + 2 columns by 2(K + 66)·u·(n_x + n_p) and a
share of k below η. With (a + b)² ≤ (1 + η)a² + (1 + 1/η)b², |x − p|² < k implies

    |y_x|² + |y_p|² − 2y_x·y_p  <  (1 + 2η)·β·k + s·(n_x + n_p) + d,    s = 2(K + 66)·u + 2(1 + 1/η)·e²,

where d stands for what underflows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

UNIT_ROUNDOFF = float(np.finfo(np.float32).eps) / 2

FEWEST_ROWS = 32_768
"""Rows below which components are not looked for: selecting is quick there."""

FEWEST_CENTRES = 64
"""Centres below which one product with all channels is as fast."""

SAMPLE = 4096
"""Rows that components are found from."""

VARIANCE = 0.95
"""Share of the variance that the components hold."""

AT_MOST = 0.5
"""Share of the channels above which components save nothing."""

TOO_MANY = 0.03
"""Share of a tile's pairs above which a product with all channels is faster than looking at each."""

TOLERANCE = 1e-3
"""η: larger, distances in rounding's reach cost less and all others more."""

WORD = 8
"""Pairs looked at together."""


@dataclass(frozen=True)
class Components:
    """``basis`` ``(D, K)``: leading principal components; ``stretch``: β, the largest eigenvalue of BᵀB."""

    basis: Float32
    stretch: float

    @classmethod
    def of(cls, rows: Float32, mean: Float32) -> Components | None:
        """Those of ``rows`` ``(N, D)`` with this ``mean``; None where they would save nothing."""
        if len(rows) < FEWEST_ROWS:
            return None
        sample = rows[:: max(1, len(rows) // SAMPLE)] - mean
        values, vectors = np.linalg.eigh((sample.T @ sample).astype(np.float64))
        shares = np.cumsum(values[::-1])
        count = int(np.searchsorted(shares, VARIANCE * shares[-1])) + 1
        if count > AT_MOST * rows.shape[1]:
            return None
        basis = np.ascontiguousarray(vectors[:, ::-1][:, :count].astype(np.float32))
        wide = basis.astype(np.float64)
        return cls(basis, float(np.linalg.eigvalsh(wide.T @ wide)[-1]))

    def near(self, centres: Float32) -> Near | None:
        """Ready to rule out pairs with ``centres`` ``(p, D)``, centred; None where they are too few for it."""
        return Near(self, centres) if len(centres) >= FEWEST_CENTRES else None

    def projected(self, points: Float32) -> tuple[Float32, Float32]:
        """``(n, K)``, and its squared lengths less what the bound may err by, ``(n,)``; of centred ``points``."""
        channels, count = self.basis.shape
        error = (channels + 64) * UNIT_ROUNDOFF * count**0.5
        slack = np.float32(2 * (count + 66) * UNIT_ROUNDOFF + 2 * (1 + 1 / TOLERANCE) * error**2)
        found = points @ self.basis
        lengths = np.einsum("nd,nd->n", found, found) - slack * np.einsum("nd,nd->n", points, points)
        return found, lengths - np.float32((channels + 66) * np.finfo(np.float32).tiny)


class Near:
    """Which pairs of rows and new centres components do not rule out."""

    def __init__(self, components: Components, centres: Float32) -> None:
        self._components, self._centres = components, len(centres)
        found, lengths = components.projected(centres)
        spare = -len(centres) % WORD  # columns that no row is near to
        self._right = np.zeros((found.shape[1] + 2, len(centres) + spare), np.float32)
        self._right[:-2, : len(centres)] = -2 * found.T
        self._right[-2, : len(centres)] = lengths
        self._right[-1] = 1

    def pairs(self, points: Float32, kept: Float64, columns: Indices | None = None) -> tuple[Indices, Indices] | None:
        """Numbers of the rows, ascending, and of the centres that may be nearer than ``kept`` ``(n,)``, squared.

        ``points`` ``(n, D)``: the rows, centred. ``columns``: the numbers of the centres to look at; None: all. None
        where the pairs are `TOO_MANY`.
        """
        right, centres = (self._right, self._centres) if columns is None else self._some(columns)
        found, lengths = self._components.projected(points)
        left = np.ones((len(points), found.shape[1] + 2), np.float32)
        left[:, :-2] = found
        left[:, -1] = lengths - ((1 + 2 * TOLERANCE) * self._components.stretch * kept).astype(np.float32)
        near = (left @ right) < 0
        near[:, centres:] = False
        words = near.reshape(-1, WORD)
        hit = np.flatnonzero(words.view(np.uint64))
        if len(hit) > TOO_MANY * near.size:
            return None
        inside, place = np.nonzero(words[hit])
        row, centre = np.divmod(hit[inside] * WORD + place, near.shape[1])
        return row, centre if columns is None else columns[centre]

    def _some(self, columns: Indices) -> tuple[Float32, int]:
        """The right side of the product for some centres, as many columns as words hold, and how many count."""
        right = np.zeros((len(self._right), len(columns) + -len(columns) % WORD), np.float32)
        right[:, : len(columns)] = self._right[:, columns]
        return right, len(columns)
