"""PatchCore's memory bank: good patches, thinned to a coreset, with the images they are from, how far they reach and
how they are searched.

A bank is learnt once, from patches (`Bank.of_patches`), a stream of them (`Bank.of_stream`) or plain
arrays (`Bank.of_state`). It never changes: what grows, or does without an image, is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kizu.coreset import Coreset
from kizu.detectors._base import Array, Float32
from kizu.detectors._highest import Indices
from kizu.detectors._patches import Grids, probes_of, thinned
from kizu.detectors._scoring import Lookup, SearchedBank, confirmed
from kizu.detectors._search import Search, prepared, restored, state_of, whole
from kizu.detectors._selection import Selection, require_projection
from kizu.detectors._streaming import Streamed
from kizu.detectors._without import SearchWithout
from kizu.errors import ModelFileError, NotFittedError
from kizu.neighbors import Accuracy, ApproximateNeighbors, ExactNeighbors
from kizu.progress import Progress

Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Recipe:
    """How a bank is made: which patches are picked, and how they are searched, ``search`` and ``search_error`` as
    `kizu.detectors.patchcore.PatchCore` has them.
    """

    selection: Selection
    search: str
    search_error: float

    def searched(
        self, rows: Float32, patches: int, probes: Callable[[], Iterable[Float32]]
    ) -> tuple[Search, Accuracy]:
        """As `kizu.detectors._search.prepared`."""
        return prepared(rows, self.search, patches, probes, self.search_error)


@dataclass(frozen=True)
class StandIns:
    """What takes the place of each image's rows where it is left out: ``(S, D)`` an image, of those from number
    ``first`` on.
    """

    first: int
    rows: Sequence[Float32]


@dataclass(frozen=True)
class Bank:
    """``rows`` ``(M, D)``; ``owners`` ``(M,)``, ascending: the image each is from, none where that is not known.

    Each of the ``patches`` it was chosen from lies within ``cover_radius`` of a row, a plain distance; in the
    ``projection`` ``(D, d)`` where there is one. ``search`` finds rows, as exactly as ``accuracy`` says.
    ``stand_ins``: for the images learnt last, where they can be left out.
    """

    rows: Float32
    owners: Int32
    cover_radius: float
    patches: int
    projection: Float32 | None
    search: Search
    accuracy: Accuracy
    stand_ins: StandIns | None = None

    @classmethod
    def of_patches(
        cls,
        patches: Float32,
        grids: Grids,
        recipe: Recipe,
        rng: np.random.Generator,
        progress: Progress,
        *,
        in_place: bool = False,
    ) -> Bank:
        """A bank of ``patches`` ``(N, D)``, of images of ``grids`` one after another; ``in_place`` thins them
        themselves.
        """
        coreset, projection = recipe.selection.select(patches, rng, progress)
        probes, count = probes_of(patches, grids, rng), len(patches)
        keep = np.sort(coreset.indices)
        owners = grids.owners(keep)
        if in_place:
            rows = thinned(patches, keep)
        else:
            rows = np.ascontiguousarray(patches if len(keep) == count else patches[keep])
        search = recipe.searched(rows, count, lambda: probes)
        return cls(rows, owners, coreset.cover_radius, count, projection, *search)

    @classmethod
    def of_stream(cls, found: Streamed, recipe: Recipe) -> Bank:
        """A bank that was thinned block by block."""
        search = recipe.searched(found.bank, found.patches, lambda: found.probes)
        return cls(found.bank, found.owners, found.cover_radius, found.patches, found.projection, *search)

    def grown(
        self,
        patches: Float32,
        grids: Grids,
        recipe: Recipe,
        rng: np.random.Generator,
        progress: Progress,
        at_most: float | None = None,
    ) -> Learnt:
        """This bank and what greedy selection picks of new ``patches``, as `of_patches` takes them, until each lies
        within ``cover_radius`` and ``at_most``.
        """
        coreset = self._picked(patches, recipe.selection, progress, at_most)
        keep, first = np.sort(coreset.indices), self._next_image(grids)
        rows = np.concatenate([self.rows, patches[keep]])
        owners = np.concatenate([self._known_owners, first + grids.owners(keep)]).astype(np.int32)
        radius, count = max(self.cover_radius, coreset.cover_radius), self.patches + len(patches)
        search = recipe.searched(rows, count, lambda: probes_of(patches, grids, rng))
        bank = Bank(rows, owners, radius, count, self.projection, *search)
        return Learnt(bank, patches, grids, first, coreset.cover_radius)

    def _picked(self, patches: Float32, selection: Selection, progress: Progress, at_most: float | None) -> Coreset:
        whole(self.search)
        require_projection(self.projection, selection.projected(self.patches, patches.shape[1]), self.cover_radius)
        radius = self.cover_radius if at_most is None else min(at_most, self.cover_radius)
        return selection.go_on(patches, self.rows, self.projection, radius, progress)

    @property
    def _known_owners(self) -> Int32:
        return self.owners if len(self.owners) else np.zeros(len(self.rows), np.int32)

    def _next_image(self, grids: Grids) -> int:
        """The number of the first new image: images that no row is from are counted by their patches."""
        return max(int(self._known_owners[-1]) + 1, self.patches // int(grids.starts[1]))

    def without(self, image: int) -> Bank:
        """This bank as if an image had not been among those learnt last, by its number there: for search alone.

        Raises `NotFittedError` where there are no stand-ins, or an image is left out already.
        """
        if self.stand_ins is None:
            raise NotFittedError("this detector was not fitted to leave images out later.")
        first, rows = self.stand_ins.first, self.stand_ins.rows
        search = SearchWithout(whole(self.search), self.search, self.owners, first + image, rows[image])
        return replace(self, search=search)

    def look_up(self, patches: Float32, k: int) -> tuple[Float32, Indices]:
        """``patches`` ``(h, w, D)`` of one image → distances ``(h · w, k)`` to the nearest rows, never too small, and
        the rows, of which the first column is meant.
        """
        if isinstance(self.search, ApproximateNeighbors):
            return self.search.search_image(patches, k)
        return self.search.search(np.ascontiguousarray(patches).reshape(-1, patches.shape[2]), k)

    def near(self, images: Float32, k: int) -> Iterator[tuple[Float32, Indices]]:
        """Of each of ``images`` ``(B, h, w, D)`` the distances ``(P, k)`` to the rows found, those of the highest
        patch exact, and the nearest of these ``(P,)``.
        """
        if not len(images):
            return
        batch, patches = len(images), images.shape[1] * images.shape[2]
        looked_up: Iterable[tuple[Float32, Indices]]
        if isinstance(self.search, ExactNeighbors):
            found, near = self.search.search(images.reshape(batch * patches, images.shape[3]), k)
            looked_up = zip(np.split(found, batch), np.split(near, batch), strict=True)
        else:
            looked_up = (self.look_up(image, k) for image in images)
        for image, (distances, rows) in zip(images, looked_up, strict=True):
            yield confirmed(image.reshape(patches, images.shape[3]), distances, rows[:, 0], self.closer)

    @property
    def closer(self) -> tuple[Lookup, ...]:
        """What to search a few patches with that `look_up` found the highest, as `confirmed` takes it. An exact
        search of a few tells rows apart that products of float32, which it takes for many, cannot.
        """
        again = (self.search.search_again,) if isinstance(self.search, ApproximateNeighbors) else ()
        return (*again, self.exact.search)

    @property
    def exact(self) -> SearchedBank:
        """The same rows, compared one by one; without an image where one is left out."""
        return self.search if isinstance(self.search, ExactNeighbors) else self.search.exact

    def searched_exactly(self) -> Bank:
        """This bank, all its rows compared one by one. Raises `NotFittedError` where an image is left out."""
        return replace(self, search=whole(self.search), accuracy=Accuracy())

    def state(self) -> dict[str, Array]:
        """The bank as plain arrays, but for its `graph`. Raises `NotFittedError` where an image is left out."""
        whole(self.search)
        projection = {} if self.projection is None else {"projection": self.projection}
        return {
            "bank": self.rows,
            "owners": self.owners,
            "cover_radius": np.array(self.cover_radius),
            "accuracy": np.array([self.accuracy.recall, self.accuracy.error]),
            "patches": np.array(self.patches),
        } | projection

    def graph(self) -> dict[str, Array]:
        """What an approximate search walks along, as plain arrays; none where search is exact."""
        return state_of(self.search)

    @classmethod
    def of_state(cls, state: Mapping[str, Array], recipe: Recipe) -> Bank:
        """What `state` and `graph` gave. Raises `ModelFileError`, and `LookupError` where arrays are missing."""
        rows, owners = _checked(state["bank"], state.get("owners", np.zeros(0, np.int32)))  # none in schemas 1 and 2
        radius, projection = float(state["cover_radius"].item()), state.get("projection")
        patches = state["patches"].item() if "patches" in state else len(rows) / recipe.selection.ratio
        if projection is not None and projection.shape[:-1] != rows.shape[1:]:  # neither in schemas 1 and 2
            raise ModelFileError("the projection does not fit the memory bank; restore the model file.")
        return cls(rows, owners, radius, int(patches), projection, *restored(rows, state, recipe.search))

    def summary(self) -> dict[str, float | int | str]:
        """A few figures, for people."""
        return {
            "bank rows": len(self.rows),
            "dimensions": self.rows.shape[1],
            "cover radius": round(self.cover_radius, 4),
            "search": "approximate" if isinstance(self.search, ApproximateNeighbors) else "exact",
            "search recall": round(self.accuracy.recall, 4),
            "search error": round(self.accuracy.error, 4),
        }


@dataclass(frozen=True)
class Learnt:
    """A ``bank`` and the images it learnt last, from number ``first`` on: all their ``patches`` ``(N, D)``, image by
    image, of ``grids``, covered within ``cover_radius``, a plain distance.
    """

    bank: Bank
    patches: Float32
    grids: Grids
    first: int
    cover_radius: float


def _checked(rows: Float32, owners: Int32) -> tuple[Float32, Int32]:
    """A bank and the images its rows are from, as they were read. Raises `ModelFileError`."""
    if rows.ndim != 2 or rows.dtype != np.float32 or not len(rows):
        raise ModelFileError("the memory bank is not a float32 matrix; restore the model file.")
    if len(owners) not in (0, len(rows)) or owners.dtype != np.int32:
        raise ModelFileError("the memory bank's images are not one a row; restore the model file.")
    return rows, owners
