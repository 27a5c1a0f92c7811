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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kizu.detectors import _bank
from kizu.detectors._base import Array, Detector, Float32, Scores
from kizu.detectors._leave_one_out import LeftOut, News, SearchWithout, require_two, stand_ins
from kizu.detectors._leave_one_out import leave_one_out as leaving_one_out
from kizu.detectors._patchcore_checks import WALKTHROUGH, check_parameters
from kizu.detectors._patches import Grids, gathered, probes_of, thinned
from kizu.detectors._robust import NOTHING_ASIDE, described, put_aside, set_aside
from kizu.detectors._scoring import SearchedBank, Weight, confirmed, finished, paper_weight, walkthrough_weight
from kizu.detectors._selection import Selection, require_projection
from kizu.detectors._streaming import Plan, Streamed, plan, streamed, tell
from kizu.errors import ModelFileError, bad_parameter
from kizu.memory import size_text
from kizu.neighbors import Accuracy, ApproximateNeighbors, ExactNeighbors
from kizu.progress import Advance, Progress, Silent, ignore

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
    - ``search``: ``exact``, ``approximate``, or ``auto``: approximate from 4,096 bank rows, up to half of
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
    _stand_ins: tuple[int, Sequence[Float32]]

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
        rng, progress = rng or np.random.default_rng(0), progress or Silent()
        if memory is not None and images is not None:
            batches = iter(embeddings)
            first = next(batches, np.empty((0, 1, 1, 1), np.float32))
            embeddings = chain([first] if len(first) else [], batches)
            chosen = self._plan(memory, images, first.shape[1:3], first.shape[3])
            if chosen is not None:
                tell(chosen, self._selection.wanted(images * first.shape[1] * first.shape[2]), memory)
                return self._fit_streamed(streamed(embeddings, chosen, self._selection, images, rng, progress))
        rows, grids = gathered(embeddings, images)
        self.set_aside_ = put_aside(rows, grids.one, progress) if self.robust else NOTHING_ASIDE
        self.learn(rows, grids, rng, progress, in_place=not leave_one_out)
        if leave_one_out:
            require_two(len(grids.each))
            self._leave_out(rows, grids, News(0, self.cover_radius_), progress, later=later)
            if not later:
                self.left_out_ = self.left_out_.without(self.set_aside_[:, 0])
        return self

    def learn(
        self,
        rows: Float32,
        grids: Grids,
        rng: np.random.Generator,
        progress: Progress,
        *,
        in_place: bool = False,
    ) -> None:
        """Select the bank from ``rows`` ``(N, D)``, the patches of images of ``grids`` one after another, and prepare
        its search; ``in_place`` thins ``rows`` themselves.
        """
        coreset, self.projection_ = self._selection.select(rows, rng, progress)
        probes, self.patches_ = probes_of(rows, grids, rng), len(rows)
        keep = np.sort(coreset.indices)
        self.owners_ = grids.owners(keep)
        self.cover_radius_ = coreset.cover_radius
        if in_place:
            self.bank_ = thinned(rows, keep)
        else:
            self.bank_ = np.ascontiguousarray(rows if len(keep) == len(rows) else rows[keep])
        self._index(lambda: probes)

    def streams(self, memory: int, images: int, grid: tuple[int, int], channels: int) -> bool:
        """As `Detector.streams`."""
        return self._plan(memory, images, grid, channels) is not None

    def _plan(self, memory: int, images: int, grid: tuple[int, ...], channels: int) -> Plan | None:
        patches = grid[0] * grid[1]
        chosen = plan(memory, images, patches, channels, self._selection.wanted(images * patches))
        if chosen is not None and self.robust:
            hint = f"It looks at all patches at once, which {size_text(memory)} of memory do not hold."
            raise bad_parameter("robust", "false", self.robust, hint)
        return chosen

    def _fit_streamed(self, found: Streamed) -> Self:
        self.bank_, self.owners_, self.projection_ = found.bank, found.owners, found.projection
        self.cover_radius_, self.patches_ = found.cover_radius, found.patches
        self.set_aside_ = NOTHING_ASIDE
        self._index(lambda: found.probes)
        return self

    @property
    def never_higher(self) -> bool:
        """No row goes; but weights may rise."""
        return not self.reweight

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
        self._require_fitted("bank_")
        progress = progress or Silent()
        rows, grids = gathered(embeddings, images)
        other, news = self.grown(rows, grids, rng or np.random.default_rng(0), progress, at_most)
        if leave_one_out:
            other._leave_out(rows, grids, news, progress, later=later)
        return other

    def grown(
        self,
        rows: Float32,
        grids: Grids,
        rng: np.random.Generator,
        progress: Progress,
        at_most: float | None = None,
    ) -> tuple[Self, News]:
        """`updated` from ``rows`` ``(N, D)`` as `learn` takes them, and what is needed to leave these images out."""
        _bank.whole(self._search)
        selection = self._selection
        require_projection(self.projection_, selection.projected(self.patches_, rows.shape[1]), self.cover_radius_)
        radius = self.cover_radius_ if at_most is None else min(at_most, self.cover_radius_)
        coreset = selection.go_on(rows, self.bank_, self.projection_, radius, progress)
        keep = np.sort(coreset.indices)
        known = self.owners_ if len(self.owners_) else np.zeros(len(self.bank_), np.int32)
        first = max(int(known[-1]) + 1, self.patches_ // int(grids.starts[1]))
        other = copy.copy(self)
        other.bank_ = np.concatenate([self.bank_, rows[keep]])
        other.owners_ = np.concatenate([known, first + grids.owners(keep)]).astype(np.int32)
        other.cover_radius_, other.patches_ = max(self.cover_radius_, coreset.cover_radius), self.patches_ + len(rows)
        other._index(lambda: probes_of(rows, grids, rng))
        for before in ("left_out_", "_stand_ins"):
            vars(other).pop(before, None)
        return other, News(first, coreset.cover_radius)

    def _leave_out(self, rows: Float32, grids: Grids, news: News, progress: Progress, *, later: bool) -> None:
        """Score each image of ``news``, with patches ``rows``, as had it not been learnt, or prepare for that; see
        `kizu.detectors._leave_one_out`.
        """
        if later:
            with progress.stage("Preparing to leave each image out", 2 * len(grids.each)) as advance:
                self.prepare_without(rows, grids, news, advance)
        else:
            self.left_out_ = self._leave_one_out(rows, grids, news, progress)

    def _leave_one_out(self, rows: Float32, grids: Grids, news: News, progress: Progress) -> Scores:
        grid, images = grids.one, len(grids.each)
        found = Scores(np.empty((images, *grid), np.float32), np.empty(images, np.float32))
        with progress.stage("Leaving each image out", 2 * images) as advance:
            for image, one in enumerate(self.leaving_out(rows, grids, news, advance)):
                near = confirmed(one.queries, one.distances, one.nearest, one.bank)
                scores, score = finished(one.queries, *near, one.bank, self._weight)
                found.patches[image], found.images[image] = scores.reshape(grid), score
        return found

    def leaving_out(self, rows: Float32, grids: Grids, news: News, advance: Advance = ignore) -> Iterator[LeftOut]:
        """The images with patches ``rows``, those learnt last, against the bank without each, one after another;
        ``advance`` is called twice an image.
        """
        return leaving_one_out(
            rows,
            grids.starts,
            *self._searched_for(news),
            radius=self._radius(news),
            neighbors=self.neighbors,
            advance=advance,
        )

    def prepare_without(self, rows: Float32, grids: Grids, news: News, advance: Advance = ignore) -> None:
        """Keep what `without` takes; arguments as of `leaving_out`."""
        prepared = stand_ins(
            rows,
            grids.starts,
            *self._searched_for(news),
            radius=self._radius(news),
            neighbors=self.neighbors,
            advance=advance,
        )
        self._stand_ins = news.first, list(prepared)

    def _searched_for(self, news: News) -> tuple[npt.NDArray[np.int32], ExactNeighbors, _bank.Search]:
        """Owners, exact and usual search as `kizu.detectors._leave_one_out` takes them."""
        owners = self.owners_ - np.int32(news.first)  # of earlier images negative: those are not left out
        return owners, _bank.whole(self._search), self._search

    def _radius(self, news: News) -> float | None:
        """Within which the bank covers the images of ``news``, a plain distance; None where it is another one."""
        return news.cover_radius if self.projection_ is None else None

    def without(self, image: int) -> Self:
        """As `Detector.without`; see `kizu.detectors._leave_one_out`."""
        if not hasattr(self, "_stand_ins"):
            super().without(image)
        first, prepared = self._stand_ins
        other = copy.copy(self)
        other._search = SearchWithout(
            _bank.whole(self._search), self._search, self.owners_, first + image, prepared[image]
        )
        return other

    def _index(self, probes: Callable[[], Iterable[Float32]]) -> None:
        """Prepare the search of the bank."""
        self._search: _bank.Search
        self._search, self.accuracy_ = _bank.prepared(
            self.bank_, self.search, self.patches_, probes, self.search_error
        )

    def score(self, embeddings: Float32) -> Scores:
        self._require_fitted("bank_")
        images = np.ascontiguousarray(embeddings)
        found = Scores(np.empty(images.shape[:3], np.float32), np.empty(len(images), np.float32))
        for place, near in enumerate(_bank.near(self._search, images, self.neighbors)):
            queries = images[place].reshape(-1, images.shape[3])
            patches, found.images[place] = finished(queries, *near, self.exact, self._weight)
            found.patches[place] = patches.reshape(images.shape[1:3])
        return found

    def look_up(self, patches: Float32) -> Float32:
        """``patches`` ``(h, w, D)`` of one image → distances ``(h · w,)`` to the nearest rows, never too small."""
        return _bank.look_up(self._search, patches, 1)[0][:, 0]

    @property
    def _selection(self) -> Selection:
        return Selection(
            ratio=self.coreset_ratio,
            count=self.coreset_count,
            start=self.coreset_start,
            projection=self.projection,
            dimensions=self.projection_dim,
            eps=self.projection_eps,
        )

    @property
    def _weight(self) -> Weight | None:
        if not self.reweight:
            return None
        return (walkthrough_weight if self.reweight == WALKTHROUGH else paper_weight)(self.reweight_neighbors)

    @property
    def searches_exactly(self) -> bool:
        """Whether nothing about the search is approximate."""
        return isinstance(self._search, ExactNeighbors)

    @property
    def exact(self) -> SearchedBank:
        """The bank, searched exactly; without an image where one is left out."""
        return _bank.exact(self._search)

    def write(
        self, graph: OnnxGraph, embedding: str, grid: tuple[int, int], progress: Progress | None = None
    ) -> tuple[str, str]:
        """As `Detector.write`; the bank is searched exactly."""
        self._require_fitted("bank_")
        from kizu.detectors import _patchcore_graph as graphs

        weight = graphs.walkthrough_weight if self.reweight == WALKTHROUGH else graphs.paper_weight
        chosen = weight(self.reweight_neighbors) if self.reweight else None
        return graphs.write_scores(graph, embedding, grid, self.bank_, self.neighbors, chosen)

    def state(self) -> dict[str, Array]:
        self._require_fitted("bank_")
        state: dict[str, Array] = {
            "bank": self.bank_,
            "owners": self.owners_,
            "cover_radius": np.array(self.cover_radius_),
            "accuracy": np.array([self.accuracy_.recall, self.accuracy_.error]),
            "patches": np.array(self.patches_),
        }
        if self.projection_ is not None:
            state["projection"] = self.projection_
        if self.robust:
            state["set_aside"] = self.set_aside_
        return state | _bank.state_of(self._search)

    def _restore(self, state: Mapping[str, Array]) -> None:
        owners = state.get("owners", np.zeros(0, np.int32))  # none in schemas 1 and 2
        self.bank_, self.owners_ = _bank.checked(state["bank"], owners)
        self.cover_radius_ = float(state["cover_radius"].item())
        patches = state["patches"].item() if "patches" in state else len(self.bank_) / self.coreset_ratio
        self.patches_, self.projection_ = int(patches), state.get("projection")  # neither in schemas 1 and 2
        if self.projection_ is not None and self.projection_.shape[:-1] != self.bank_.shape[1:]:
            raise ModelFileError("the projection does not fit the memory bank; restore the model file.")
        self.set_aside_ = set_aside(state)
        self._search, self.accuracy_ = _bank.restored(self.bank_, state, self.search)

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
        } | (described(self.set_aside_) if self.robust else {})
