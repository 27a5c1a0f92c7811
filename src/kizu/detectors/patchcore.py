"""PatchCore: a thinned memory bank of good patches; a patch scores its distance to the nearest one.

Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler: "Towards Total Recall in Industrial Anomaly Detection",
CVPR 2022, arXiv 2106.08265. Equation and algorithm numbers below are the paper's.

Differences from the paper:

- The coreset (algorithm 1) is selected on the embeddings themselves; the paper's random projection before it is an
  option (``projection_dim``), off by default, since exact selection is fast enough without.
- An image scores its largest patch score (eq. 6); the re-weighting of eq. 7 is an option (``reweight``), as most
  published results, the authors' code among them, do without it.
- ``neighbors`` > 1 scores a patch by its mean distance to that many bank rows.
- Distances are plain, not squared, Euclidean distances.
- Search may be approximate, but image scores never are: a patch found too far away only scores too high, so the
  highest scores are searched again exactly until no other patch can exceed them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kizu.coreset import Coreset, k_center_greedy
from kizu.detectors import _checks
from kizu.detectors._base import Array, Detector, Float32, Scores, finite
from kizu.errors import DataError, ModelFileError
from kizu.neighbors import Accuracy, ApproximateNeighbors, ExactNeighbors, Graph, Neighbors, tuned
from kizu.progress import Progress, Silent

if TYPE_CHECKING:
    from typing_extensions import Self

APPROXIMATE_FROM = 4096
"""Bank rows from which ``search="auto"`` searches approximately: below, the exact search is as fast."""

APPROXIMATE_UP_TO = 0.5
"""Share of all good patches up to which ``search="auto"`` searches approximately: the graph needs a second copy of
the bank, and that must fit into what thinning gave back."""

PROBES = 2048
"""Queries on which the recall of the approximate search is measured."""

CONFIRMED_AT_A_TIME = 8
"""Highest patch scores of an image that are searched exactly at a time, until none other can be higher."""


class PatchCore(Detector):
    """A memory bank of good patches, thinned to a coreset.

    - ``coreset_ratio``: share of all good patches to keep, in (0, 1].
    - ``coreset_count``: number of patches to keep instead of a share.
    - ``neighbors``: bank rows a patch score averages over.
    - ``reweight``: weight the image score by how ordinary the nearest bank row is (eq. 7).
    - ``reweight_neighbors``: the rows b that eq. 7 looks at.
    - ``projection_dim``: dimensions of a random projection used to select the coreset; None: select on all.
    - ``search``: ``exact``, ``approximate``, or ``auto``: approximate from 4,096 bank rows, up to half of
      all patches.
    - ``search_error``: by which share, on average, approximate search may find distances too large.

    Fitted: ``bank_`` ``(M, D)`` float32, ``cover_radius_`` plain distance (in the projection where there is one),
    ``accuracy_`` of the search.
    """

    name = "patchcore"
    min_images = 1

    def __init__(
        self,
        *,
        coreset_ratio: float = 0.02,
        coreset_count: int | None = None,
        neighbors: int = 1,
        reweight: bool = False,
        reweight_neighbors: int = 9,
        projection_dim: int | None = None,
        search: str = "auto",
        search_error: float = 0.01,
    ) -> None:
        self.coreset_ratio = coreset_ratio
        self.coreset_count = coreset_count
        self.neighbors = neighbors
        self.reweight = reweight
        self.reweight_neighbors = reweight_neighbors
        self.projection_dim = projection_dim
        self.search = search
        self.search_error = search_error

    def check(self) -> None:
        _checks.real("coreset_ratio", self.coreset_ratio, "in (0, 1]", 0, 1, "For ten percent write 0.1.")
        _checks.whole("coreset_count", self.coreset_count, at_least=1, optional=True)
        _checks.whole("neighbors", self.neighbors, at_least=1)
        _checks.flag("reweight", self.reweight)
        _checks.whole("reweight_neighbors", self.reweight_neighbors, at_least=2)
        _checks.whole("projection_dim", self.projection_dim, at_least=1, optional=True)
        _checks.choice("search", self.search, ("auto", "exact", "approximate"))
        _checks.real("search_error", self.search_error, "in (0, 1]", 0, 1, "For one percent write 0.01.")

    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """As `Detector.fit`. Holds every embedding once, and thins them in place."""
        self.check()
        rng = rng or np.random.default_rng(0)
        rows = _gather(embeddings, images)
        coreset = self._select(rows, rng, progress or Silent())
        probes, patches = _probes(rows, rng), len(rows)
        self.bank_ = _thin(rows, np.sort(coreset.indices))
        self.cover_radius_ = coreset.cover_radius
        self._index(probes, patches)
        return self

    def _select(self, rows: Float32, rng: np.random.Generator, progress: Progress) -> Coreset:
        count = self.coreset_count or max(1, round(self.coreset_ratio * len(rows)))
        count = min(count, len(rows))
        start = int(rng.integers(len(rows)))
        if count == len(rows):
            return Coreset(np.arange(count), np.full(count, np.inf), 0.0)
        points = rows if self.projection_dim is None else _project(rows, self.projection_dim, rng)
        with progress.stage("Selecting the coreset", count) as advance:
            return k_center_greedy(points, count, start=start, advance=advance)

    def _index(self, probes: Float32, patches: int) -> None:
        """Prepare the search of the bank, thinned from ``patches`` rows."""
        self.accuracy_ = Accuracy()
        self._search: Neighbors = ExactNeighbors(self.bank_)
        worth_it = APPROXIMATE_FROM <= len(self.bank_) <= APPROXIMATE_UP_TO * patches
        if self.search == "approximate" or (self.search == "auto" and worth_it):
            self._search, self.accuracy_ = tuned(self.bank_, probes, self.search_error)

    def score(self, embeddings: Float32) -> Scores:
        self._require_fitted("bank_")
        batch, height, width, channels = embeddings.shape
        queries = np.ascontiguousarray(embeddings.reshape(-1, channels))
        distances, indices = self._search.search(queries, self.neighbors)
        patches: Float32 = distances.mean(axis=1).reshape(batch, height * width)
        nearest = indices[:, 0].reshape(batch, height * width)
        if isinstance(self._search, ApproximateNeighbors):
            for image, part in enumerate(queries.reshape(batch, height * width, channels)):
                self._confirm(self._search.exact, part, patches[image], nearest[image])
        images = patches.max(axis=1)
        if self.reweight:
            top = patches.argmax(axis=1)[:, None]
            at_top = np.take_along_axis(nearest, top, 1)[:, 0]
            images = images * self._weights(queries[top[:, 0] + np.arange(batch) * height * width], at_top)
        return Scores(patches.reshape(batch, height, width), images)

    def _confirm(
        self, exact: ExactNeighbors, queries: Float32, patches: Float32, nearest: npt.NDArray[np.int64]
    ) -> None:
        """Make the highest score of one image exact, in place: ``patches`` and ``nearest`` ``(h·w,)``."""
        order = np.argsort(-patches, kind="stable")
        highest = np.float32(-1)
        for first in range(0, len(order), CONFIRMED_AT_A_TIME):
            part = order[first : first + CONFIRMED_AT_A_TIME]
            if patches[part[0]] <= highest:
                return
            distances, indices = exact.search(queries[part], self.neighbors)
            patches[part], nearest[part] = distances.mean(axis=1), indices[:, 0]
            highest = max(highest, patches[part].max())

    def _weights(self, queries: Float32, nearest: npt.NDArray[np.int64]) -> Float32:
        """Eq. 7: 1 − softmax of the top patch's distances to the neighbours of its nearest bank row m*.

        ``queries`` ``(B, D)`` and the bank rows ``nearest`` ``(B,)`` to them → ``(B,)`` weights in [0, 1).
        """
        _, around = self._search.search(self.bank_[nearest], self.reweight_neighbors)
        distances = np.linalg.norm(self.bank_[around] - queries[:, None, :], axis=2)
        to_nearest = np.linalg.norm(self.bank_[nearest] - queries, axis=1)
        largest = distances.max(axis=1)
        total = np.exp(distances - largest[:, None]).sum(axis=1)
        weights: Float32 = np.maximum(1.0 - np.exp(to_nearest - largest) / total, 0.0).astype(np.float32)
        return weights

    def state(self) -> dict[str, Array]:
        self._require_fitted("bank_")
        state: dict[str, Array] = {
            "bank": self.bank_,
            "cover_radius": np.array(self.cover_radius_),
            "accuracy": np.array([self.accuracy_.recall, self.accuracy_.error]),
        }
        if isinstance(self._search, ApproximateNeighbors):
            graph = self._search.graph
            state |= {"levels": graph.levels, "offsets": graph.offsets, "links": graph.links}
            state["entry"], state["breadth"] = np.array(graph.entry), np.array(graph.breadth)
        return state

    def _restore(self, state: Mapping[str, Array]) -> None:
        self.bank_ = state["bank"]
        if self.bank_.ndim != 2 or self.bank_.dtype != np.float32 or not len(self.bank_):
            raise ModelFileError("the memory bank is not a float32 matrix; restore the model file.")
        self.cover_radius_ = float(state["cover_radius"].item())
        self.accuracy_ = Accuracy()
        self._search = ExactNeighbors(self.bank_)
        if "links" in state and self.search != "exact":
            self.accuracy_ = Accuracy(*state["accuracy"].tolist())
            entry, breadth = int(state["entry"].item()), int(state["breadth"].item())
            graph = Graph(state["levels"], state["offsets"], state["links"], entry, breadth)
            self._search = ApproximateNeighbors(self.bank_, graph)

    def search_exactly(self) -> None:
        self._require_fitted("bank_")
        self.accuracy_ = Accuracy()
        self._search = ExactNeighbors(self.bank_)

    def summary(self) -> dict[str, float | int | str]:
        self._require_fitted("bank_")
        approximate = isinstance(self._search, ApproximateNeighbors)
        return {
            "bank rows": len(self.bank_),
            "dimensions": self.bank_.shape[1],
            "cover radius": round(self.cover_radius_, 4),
            "search": "approximate" if approximate else "exact",
            "search recall": round(self.accuracy_.recall, 4),
            "search error": round(self.accuracy_.error, 4),
        }


def _gather(embeddings: Iterable[Float32], images: int | None) -> Float32:
    """All patches as rows ``(N, D)``; memory for ``images`` images is taken once, grown when more come."""
    rows = np.empty((0, 0), dtype=np.float32)
    filled = 0
    for batch in map(finite, embeddings):
        patches = batch.reshape(-1, batch.shape[-1])
        if not filled:
            expected = (images or len(batch)) * batch.shape[1] * batch.shape[2]
            rows = np.empty((expected, batch.shape[-1]), dtype=np.float32)
        if filled + len(patches) > len(rows):
            rows.resize((max(filled + len(patches), len(rows) * 5 // 4), rows.shape[1]), refcheck=False)
        rows[filled : filled + len(patches)] = patches
        filled += len(patches)
    if not filled:
        raise DataError("no embeddings to fit on; give at least one good image.")
    rows.resize((filled, rows.shape[1]), refcheck=False)
    return rows


def _thin(rows: Float32, keep: npt.NDArray[np.int64]) -> Float32:
    """Only the rows ``keep`` (ascending), moved to the front of the same memory; the rest is given back."""
    for first in range(0, len(keep), 4096):
        part = keep[first : first + 4096]
        rows[first : first + len(part)] = rows[part]
    rows.resize((len(keep), rows.shape[1]), refcheck=False)
    return rows


def _probes(rows: Float32, rng: np.random.Generator) -> Float32:
    """Queries ``(≤ PROBES, D)`` to measure recall on: half good patches, half like no good patch.

    Near its rows a graph finds nearly everything; defects lie far from them. The second half takes about half its
    channels from one good patch and the rest from another, which lies about as far out as real defects do.
    """
    count = min(PROBES // 2, len(rows))
    good, other = (rows[rng.choice(len(rows), count, replace=False)] for _ in range(2))
    strange = np.where(rng.random(rows.shape[1]) < 0.5, good, other)
    return np.concatenate([good, strange])


def _project(rows: Float32, dimensions: int, rng: np.random.Generator) -> Float32:
    """A Gaussian random projection ``(N, dimensions)`` (Johnson and Lindenstrauss 1984)."""
    matrix = rng.standard_normal((rows.shape[1], dimensions), dtype=np.float32) / np.sqrt(dimensions)
    projected: Float32 = rows @ matrix.astype(np.float32)
    return projected
