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

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kizu.detectors._bank import Bank, Learnt, Recipe
from kizu.detectors._base import Array, Detector, Float32, Scores, to_score
from kizu.detectors._leave_one_out import LeftOut, left_out_scores, prepared_to_leave_out, require_two
from kizu.detectors._patchcore_checks import WALKTHROUGH, check_parameters
from kizu.detectors._patches import gathered
from kizu.detectors._robust import NOTHING_ASIDE, described, put_aside, set_aside
from kizu.detectors._scoring import Weight, confirmed, finished, paper_weight, walkthrough_weight
from kizu.detectors._selection import Selection
from kizu.detectors._streaming import Plan, peeked, planned, require_no_leaving_out, streamed, tell
from kizu.neighbors import Accuracy
from kizu.progress import Progress, Silent

if TYPE_CHECKING:
    from typing_extensions import Self

    from kizu.graphs import Graph as OnnxGraph


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
    - ``search``: ``exact``, ``approximate``, or ``auto``: approximate from 2,048 bank rows, up to half of
      all patches.
    - ``search_error``: by which share, on average, approximate search may find distances too large.
    - ``robust``: set patches aside that look like defects among the good images (`kizu.detectors._robust`).

    Fitted: ``bank_`` ``(M, D)`` float32, ``owners_`` ``(M,)`` int32, ascending: the image of the fit each row is
    from; ``cover_radius_`` plain distance (in the projection where there is one), ``accuracy_`` of the search,
    ``patches_`` it was all chosen from, ``projection_`` ``(D, d)`` or None; ``left_out_`` where it was asked for; and
    where it is robust ``set_aside_`` ``(s, 2)``: images of the fit that stand out, and how many of their patches are
    not learnt; ``left_out_`` is without these images.
    """

    name = "patchcore"
    min_images = 1
    leaves_one_out = True
    leaves_one_out_later = True
    position_bound = False
    takes_memory = True
    side_by_side = True

    left_out_: Scores
    _bank: Bank

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
        robust: bool = False,
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
        self.robust = robust

    def check(self) -> None:
        check_parameters(self)

    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
        leave_one_out: bool = False,
        later: bool = False,
        memory: int | None = None,
    ) -> Self:
        """As `Detector.fit`. Holds every embedding once, and thins them in place; grids may differ.

        ``leave_one_out`` also gives ``left_out_``, or with ``later`` what `without` takes, at the price of a second
        copy of the bank until it is done. Raises `DataError` when there is but one image to leave out.

        With ``memory``, in bytes, and ``images``, at most so much is taken: where that means to stream (`streams`),
        patches are thinned block by block, ``cover_radius_`` is an upper bound, grids may not differ, and neither
        ``leave_one_out`` nor ``robust`` is possible.
        """
        self.check()
        vars(self).pop("left_out_", None)
        rng, progress = rng or np.random.default_rng(0), progress or Silent()
        if memory is not None and images is not None:
            first, embeddings = peeked(embeddings)
            chosen = self._plan(memory, images, first.shape[1:3], first.shape[3])
            if chosen is not None:
                require_no_leaving_out(leave_one_out)
                tell(chosen, memory)
                (found,) = streamed(embeddings, chosen, self.recipe.selection, images, rng, progress)
                self._bank, self.set_aside_ = Bank.of_stream(found, self.recipe), NOTHING_ASIDE
                return self
        rows, grids = gathered(embeddings, images)
        self.set_aside_ = put_aside(rows, grids.one, progress) if self.robust else NOTHING_ASIDE
        self._bank = Bank.of_patches(rows, grids, self.recipe, rng, progress, in_place=not leave_one_out)
        if leave_one_out:
            require_two(len(grids.each))
            self._leave_out(Learnt(self._bank, rows, grids, 0, self.cover_radius_), progress, later=later)
            if not later:
                self.left_out_ = self.left_out_.without(self.set_aside_[:, 0])
        return self

    @property
    def recipe(self) -> Recipe:
        """How the bank is made."""
        selection = Selection(
            ratio=self.coreset_ratio,
            count=self.coreset_count,
            start=self.coreset_start,
            projection=self.projection,
            dimensions=self.projection_dim,
            eps=self.projection_eps,
        )
        return Recipe(selection, self.search, self.search_error)

    def streams(self, memory: int, images: int, grid: tuple[int, int], channels: int) -> bool:
        """As `Detector.streams`."""
        return self._plan(memory, images, grid, channels) is not None

    def _plan(self, memory: int, images: int, grid: tuple[int, ...], channels: int) -> Plan | None:
        return planned(memory, images, grid, channels, self.recipe.selection, robust=self.robust)

    def score(self, embeddings: Float32) -> Scores:
        self._require_fitted("_bank")
        images = to_score(embeddings, self._bank.rows.shape[1])
        found = Scores(np.empty(images.shape[:3], np.float32), np.empty(len(images), np.float32))
        for place, near in enumerate(self._bank.near(images, self.neighbors)):
            queries = images[place].reshape(-1, images.shape[3])
            patches, found.images[place] = finished(queries, *near, self._bank.exact, self._weight)
            found.patches[place] = patches.reshape(images.shape[1:3])
        return found

    @property
    def _weight(self) -> Weight | None:
        if not self.reweight:
            return None
        return (walkthrough_weight if self.reweight == WALKTHROUGH else paper_weight)(self.reweight_neighbors)

    @property
    def never_higher(self) -> bool:
        """No row goes; but weights may rise, and so may means of fewer distances than are wanted."""
        return not self.reweight and len(self._bank.rows) >= self.neighbors

    def updated(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
        leave_one_out: bool = False,
        later: bool = False,
        at_most: float | None = None,
    ) -> Self:
        """As `Detector.updated`: greedy selection goes on among the new patches, after the bank as it is.

        It ends when each lies within ``cover_radius_`` and ``at_most`` of the bank, and ``coreset_ratio`` of them are
        picked; with ``coreset_count`` as soon as they are covered. No row goes, so no patch score rises, and
        ``cover_radius_`` holds for old and new patches alike. Raises `ModelFileError` where the projection of the fit
        is not known.
        """
        self._require_fitted("_bank")
        rng, progress = rng or np.random.default_rng(0), progress or Silent()
        rows, grids = gathered(embeddings, images)
        learnt = self._bank.grown(rows, grids, self.recipe, rng, progress, at_most)
        other = self.holding(learnt.bank)
        vars(other).pop("left_out_", None)
        if leave_one_out:
            other._leave_out(learnt, progress, later=later)
        return other

    def holding(self, bank: Bank) -> Self:
        """A copy of this detector, with another bank."""
        other = copy.copy(self)
        other._bank = bank
        return other

    def _leave_out(self, learnt: Learnt, progress: Progress, *, later: bool) -> None:
        """Score each image learnt last as had it not been, or prepare for that: `kizu.detectors._leave_one_out`."""
        if later:
            (self._bank,) = prepared_to_leave_out([learnt], self.neighbors, progress)
        else:
            self.left_out_ = left_out_scores([learnt], self._scored, self.neighbors, progress)

    def _scored(self, found: Sequence[LeftOut]) -> tuple[Float32, np.float32]:
        """Patch scores and the score of an image that was left out."""
        (one,) = found
        near = confirmed(one.queries, one.distances, one.nearest, [one.bank.search])
        return finished(one.queries, *near, one.bank, self._weight)

    def without(self, image: int) -> Self:
        """As `Detector.without`; see `kizu.detectors._leave_one_out`."""
        self._require_fitted("_bank")
        return self.holding(self._bank.without(image))

    def write(
        self, graph: OnnxGraph, embedding: str, grid: tuple[int, int], progress: Progress | None = None
    ) -> tuple[str, str]:
        """As `Detector.write`; the bank is searched exactly."""
        self._require_fitted("_bank")
        from kizu.detectors import _patchcore_graph as graphs

        weight = graphs.walkthrough_weight if self.reweight == WALKTHROUGH else graphs.paper_weight
        chosen = weight(self.reweight_neighbors) if self.reweight else None
        return graphs.write_scores(graph, embedding, grid, self.bank_, self.neighbors, chosen)

    def state(self) -> dict[str, Array]:
        self._require_fitted("_bank")
        aside = {"set_aside": self.set_aside_} if self.robust else {}
        return self._bank.state() | aside | self._bank.graph()

    def _restore(self, state: Mapping[str, Array]) -> None:
        self._bank, self.set_aside_ = Bank.of_state(state, self.recipe), set_aside(state)

    def search_exactly(self) -> None:
        self._require_fitted("_bank")
        self._bank = self._bank.searched_exactly()

    def summary(self) -> dict[str, float | int | str]:
        self._require_fitted("_bank")
        return self._bank.summary() | (described(self.set_aside_) if self.robust else {})

    @property
    def bank_(self) -> Float32:
        return self._bank.rows

    @property
    def owners_(self) -> npt.NDArray[np.int32]:
        return self._bank.owners

    @property
    def cover_radius_(self) -> float:
        return self._bank.cover_radius

    @property
    def accuracy_(self) -> Accuracy:
        return self._bank.accuracy

    @property
    def patches_(self) -> int:
        return self._bank.patches

    @property
    def projection_(self) -> Float32 | None:
        return self._bank.projection
