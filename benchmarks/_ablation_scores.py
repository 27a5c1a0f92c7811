"""Ways to score patches that the ablations compare: from patches ``(P, D)`` of images to scores ``(P,)``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from kizu.coreset import k_center_greedy
from kizu.detectors._joining import Found, spread
from kizu.detectors._joining import joined as joined_exactly
from kizu.detectors._reweighting import of_paper
from kizu.neighbors import ExactNeighbors

AROUND = 9
"""Bank rows near a bank row: how far they are says how dense the bank is there."""

KEPT = 0.99
"""Share of the variance of good patches that whitening keeps."""

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Scored:
    """``patches`` ``(P,)``, on ``grids``, and ``images`` ``(n,)`` of the images tested; ``dims`` numbers a patch;
    ``seconds`` of a fit and ``ms`` of an image, both without the backbone, whose own are ``backbone_ms``.
    """

    patches: Sequence[Float32]
    grids: Sequence[tuple[int, int]]
    images: Float32
    dims: int
    bank_rows: int | None
    seconds: float
    ms: float
    backbone_ms: float


@dataclass(frozen=True)
class Searched:
    """A bank ``(M, D)``, and of every image tested its ``distances`` ``(P, k)`` and the ``nearest`` rows ``(P,)``."""

    bank: Float32
    spread: float
    distances: Sequence[Float32]
    nearest: Sequence[Indices]
    seconds: float
    ms: float


def search(learnt: Float32, tested: Iterable[Float32], count: int, seed: int, k: int = 1) -> Searched:
    """A bank of ``count`` of the rows ``learnt``, from a first row drawn by ``seed``, searched exactly."""
    began = time.perf_counter()
    start = int(np.random.default_rng(seed).integers(len(learnt)))
    chosen = np.sort(k_center_greedy(learnt, min(count, len(learnt)), start=start).indices)
    bank = np.ascontiguousarray(learnt[chosen])
    scale, seconds = spread(learnt), time.perf_counter() - began
    return searched(bank, scale, tested, k, seconds)


def searched(bank: Float32, scale: float, tested: Iterable[Float32], k: int = 1, seconds: float = 0.0) -> Searched:
    neighbors = ExactNeighbors(bank)
    found, ms = timed(lambda patches: neighbors.search(patches, k), tested)
    return Searched(bank, scale, [d for d, _ in found], [rows[:, 0] for _, rows in found], seconds, ms)


def timed(work: Callable[[Item], Result], items: Iterable[Item]) -> tuple[list[Result], float]:
    """What ``work`` makes of each item, and the milliseconds it takes for one; making the items is not counted."""
    found, spent = [], 0.0
    for item in items:
        began = time.perf_counter()
        found.append(work(item))
        spent += time.perf_counter() - began
    return found, 1e3 * spent / max(1, len(found))


def highest(patches: Sequence[Float32]) -> Float32:
    return np.array([image.max() for image in patches], np.float32)


def top_mean(patches: Float32, share: float) -> float:
    """The mean of the highest ``share`` of the patches, one at least.

    >>> top_mean(np.array([1, 5, 3, 2], np.float32), 0.5)
    4.0
    """
    count = max(1, round(share * len(patches)))
    return float(np.sort(patches)[-count:].mean())


def joined(parts: Sequence[Float32], scales: Sequence[float]) -> Float32:
    """``√(Σ (d/σ)² / P)`` over parts, as kizu's ensemble has it."""
    nothing = np.empty((0, 0), np.float32)
    return joined_exactly([Found(nothing, part, ()) for part in parts], np.asarray(scales, np.float64))


def radii(bank: Float32) -> Float32:
    """Mean distance ``(M,)`` of each bank row to the `AROUND` others nearest to it."""
    distances, _ = ExactNeighbors(bank).search(bank, min(AROUND + 1, len(bank)))
    return np.asarray(distances[:, 1:].mean(axis=1), np.float32)


def by_density(distances: Float32, nearest: Indices, around: Float32, power: float) -> Float32:
    """``d · (mean r / r)^power``, r being that of the nearest row: where good patches lie close, less is odd."""
    floor = np.maximum(around, 1e-6 * around.mean())
    return np.asarray(distances * (around.mean() / floor[nearest]) ** power, np.float32)


def paper_weight(top: Float32, nearest: int, bank: ExactNeighbors) -> float:
    """Eq. 7 of arXiv 2106.08265, with the `AROUND` rows nearest to the nearest one."""
    _, rows = bank.search(bank.rows[nearest][None], min(AROUND, len(bank.rows)))
    to = np.linalg.norm(bank.rows[np.concatenate([[nearest], rows[0]])] - top, axis=1)[None]
    return float(of_paper(to[:, 0], to[:, 1:])[0])


@dataclass(frozen=True)
class Principal:
    """Mean ``(D,)`` of rows, the axes ``(D, D)`` of their covariance as columns, and variances ``(D,)``, falling."""

    mean: Float64
    axes: Float64
    variances: Float64

    @classmethod
    def of(cls, rows: Float32) -> Principal:
        mean = rows.mean(axis=0, dtype=np.float64)
        scatter = sum((_scatter(rows[first : first + 65_536], mean) for first in range(0, len(rows), 65_536)), 0.0)
        variances, axes = np.linalg.eigh(scatter / max(1, len(rows) - 1))
        return cls(mean, axes[:, ::-1], np.maximum(variances[::-1], 0.0))

    def kept(self, share: float) -> int:
        """Axes that hold this ``share`` of the variance."""
        return int(np.searchsorted(np.cumsum(self.variances) / self.variances.sum(), share) + 1)

    def whitened(self, rows: Float32) -> Float32:
        """On the axes that hold `KEPT` of the variance, each divided by its deviation."""
        count = min(self.kept(KEPT), len(self.mean))
        turned = (self.axes[:, :count] / np.sqrt(self.variances[:count])).astype(np.float32)
        return np.asarray((rows - self.mean.astype(np.float32)) @ turned, np.float32)

    def left_over(self, rows: Float32, share: float) -> Float32:
        """Distance ``(P,)`` to the subspace of the axes that hold this ``share`` of the variance."""
        rest = self.axes[:, self.kept(share) :].astype(np.float32)
        return np.asarray(np.linalg.norm((rows - self.mean.astype(np.float32)) @ rest, axis=1), np.float32)

    def mahalanobis(self, rows: Float32, regularisation: float = 0.01) -> Float32:
        """Distances ``(P,)`` to one Gaussian of all rows."""
        turned = (self.axes / np.sqrt(self.variances + regularisation)).astype(np.float32)
        return np.asarray(np.linalg.norm((rows - self.mean.astype(np.float32)) @ turned, axis=1), np.float32)


def _scatter(rows: Float32, mean: Float64) -> Float64:
    centred = rows - mean.astype(np.float32)
    return (centred.T @ centred).astype(np.float64)


def scaled_layers(rows: Float32, widths: Sequence[int]) -> Float32:
    """One factor ``(D,)`` a channel: each layer, of so many channels, divided by its spread in ``rows``."""
    parts = np.split(np.arange(rows.shape[1]), np.cumsum(widths)[:-1])
    return np.concatenate([np.full(len(part), 1 / spread(rows[:, part]), np.float32) for part in parts])


def coordinates(grid: tuple[int, int]) -> Float32:
    """``(P, 2)``: row and column of each position of a grid, from 0 to 1."""
    rows, columns = np.mgrid[0 : grid[0], 0 : grid[1]]
    return np.stack([rows.ravel() / grid[0], columns.ravel() / grid[1]], axis=1).astype(np.float32)
