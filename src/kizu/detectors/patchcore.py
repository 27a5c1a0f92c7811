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

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kizu.coreset import Coreset, k_center_greedy
from kizu.detectors import _checks
from kizu.detectors._base import Array, Detector, Float32, Scores
from kizu.detectors._patches import gathered, probes_of, thinned
from kizu.detectors._reweighting import of_paper, of_walkthrough
from kizu.errors import ModelFileError, bad_parameter
from kizu.neighbors import Accuracy, ApproximateNeighbors, ExactNeighbors, Graph, Neighbors, tuned
from kizu.progress import Progress, Silent
from kizu.projection import KINDS, projection_matrix, safe_dimensions

if TYPE_CHECKING:
    from typing_extensions import Self

    from kizu.graphs import Graph as OnnxGraph

APPROXIMATE_FROM = 4096
"""Bank rows from which ``search="auto"`` searches approximately: below, the exact search is as fast."""

APPROXIMATE_UP_TO = 0.5
"""Share of all good patches up to which ``search="auto"`` searches approximately: the graph needs a second copy of
the bank, and that must fit into what thinning gave back."""

WALKTHROUGH = "walkthrough"

CONFIRMED_AT_A_TIME = 8
"""Highest patch scores of an image that are searched exactly at a time, until none other can be higher."""


class PatchCore(Detector):
    """A memory bank of good patches, thinned to a coreset.

    - ``coreset_ratio``: share of all good patches to keep, in (0, 1].
    - ``coreset_count``: number of patches to keep instead of a share.
    - ``neighbors``: bank rows a patch score averages over.
    - ``reweight``: weight the image score by how ordinary the nearest bank row is (eq. 7); or ``walkthrough``: by how
      evenly far the nearest rows are (see `kizu.detectors._reweighting`).
    - ``reweight_neighbors``: the rows b that the weight looks at.
    - ``coreset_start``: the first row picked, ``random`` or ``first``.
    - ``projection``: the random projection the coreset is selected in, ``gaussian`` or ``sparse``.
    - ``projection_dim``: its dimensions; None: as ``projection_eps`` says.
    - ``projection_eps``: share by which it may change squared distances, which decides its dimensions
      (`kizu.projection.safe_dimensions`); None too, or no fewer dimensions than there are: select on all.
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
        reweight: bool | str = False,
        reweight_neighbors: int = 9,
        coreset_start: str = "random",
        projection: str = "gaussian",
        projection_dim: int | None = None,
        projection_eps: float | None = None,
        search: str = "auto",
        search_error: float = 0.01,
    ) -> None:
        self.coreset_ratio = coreset_ratio
        self.coreset_count = coreset_count
        self.neighbors = neighbors
        self.reweight = reweight
        self.reweight_neighbors = reweight_neighbors
        self.coreset_start = coreset_start
        self.projection = projection
        self.projection_dim = projection_dim
        self.projection_eps = projection_eps
        self.search = search
        self.search_error = search_error

    def check(self) -> None:
        _checks.real("coreset_ratio", self.coreset_ratio, "in (0, 1]", 0, 1, "For ten percent write 0.1.")
        _checks.whole("coreset_count", self.coreset_count, at_least=1, optional=True)
        _checks.whole("neighbors", self.neighbors, at_least=1)
        if self.reweight != WALKTHROUGH and not isinstance(self.reweight, bool):
            raise bad_parameter("reweight", f"true, false or {WALKTHROUGH}", self.reweight)
        _checks.whole("reweight_neighbors", self.reweight_neighbors, at_least=2)
        _checks.choice("coreset_start", self.coreset_start, ("random", "first"))
        self._check_projection()
        _checks.choice("search", self.search, ("auto", "exact", "approximate"))
        _checks.real("search_error", self.search_error, "in (0, 1]", 0, 1, "For one percent write 0.01.")

    def _check_projection(self) -> None:
        _checks.choice("projection", self.projection, KINDS)
        _checks.whole("projection_dim", self.projection_dim, at_least=1, optional=True)
        if self.projection_eps is None:
            return
        _checks.real("projection_eps", self.projection_eps, "in (0, 1), or null", 0, math.nextafter(1, 0))
        if self.projection_dim is not None:
            hint = "It is there to decide that."
            raise bad_parameter("projection_eps", "null where projection_dim is given", self.projection_eps, hint)

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
        rows = gathered(embeddings, images)
        coreset = self._select(rows, rng, progress or Silent())
        probes, patches = probes_of(rows, rng), len(rows)
        self.bank_ = thinned(rows, np.sort(coreset.indices))
        self.cover_radius_ = coreset.cover_radius
        self._index(probes, patches)
        return self

    def _select(self, rows: Float32, rng: np.random.Generator, progress: Progress) -> Coreset:
        count = self.coreset_count or max(1, round(self.coreset_ratio * len(rows)))
        count = min(count, len(rows))
        start = int(rng.integers(len(rows))) if self.coreset_start == "random" else 0
        if count == len(rows):
            return Coreset(np.arange(count), np.full(count, np.inf), 0.0)
        points = self._projected(rows, rng)
        with progress.stage("Selecting the coreset", count) as advance:
            return k_center_greedy(points, count, start=start, advance=advance)

    def _projected(self, rows: Float32, rng: np.random.Generator) -> Float32:
        """``rows`` in the dimensions the coreset is selected in."""
        channels, dimensions = rows.shape[1], self.projection_dim
        if self.projection_eps is not None:
            dimensions = safe_dimensions(len(rows), self.projection_eps)
            dimensions = None if dimensions >= channels else dimensions
        return rows if dimensions is None else rows @ projection_matrix(self.projection, channels, dimensions, rng)

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
        if self.reweight and batch:
            top = patches.argmax(axis=1) + np.arange(batch) * height * width
            images = images * self._weights(queries[top], nearest.reshape(-1)[top])
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

    def _weights(self, top: Float32, nearest: npt.NDArray[np.int64]) -> Float32:
        """Weights ``(B,)`` of images whose patches of largest score are ``top`` ``(B, D)``; always exact.

        ``nearest`` ``(B,)`` are the bank rows m* nearest to these.
        """
        exact = self._search.exact if isinstance(self._search, ApproximateNeighbors) else self._search
        if self.reweight == WALKTHROUGH:
            return of_walkthrough(exact.search(top, self.reweight_neighbors)[0])
        _, around = exact.search(self.bank_[nearest], self.reweight_neighbors)
        distances = np.linalg.norm(self.bank_[around] - top[:, None, :], axis=2)
        return of_paper(np.linalg.norm(self.bank_[nearest] - top, axis=1), distances)

    def write(
        self, graph: OnnxGraph, embedding: str, grid: tuple[int, int], progress: Progress | None = None
    ) -> tuple[str, str]:
        """As `Detector.write`; the bank is searched exactly."""
        self._require_fitted("bank_")
        from kizu.detectors._patchcore_graph import paper_weight, walkthrough_weight, write_scores

        weight = walkthrough_weight if self.reweight == WALKTHROUGH else paper_weight
        chosen = weight(self.reweight_neighbors) if self.reweight else None
        return write_scores(graph, embedding, grid, self.bank_, self.neighbors, chosen)

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
