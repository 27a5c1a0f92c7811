"""HNSW graphs (arXiv 1603.09320) as plain arrays: built, checked, handed to FAISS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.errors import ModelFileError
from kizu.threads import one_thread

Float32 = npt.NDArray[np.float32]

GRAPH_LINKS = 16
"""Links of a row in the HNSW graph (M): 16 serves up to some 100,000 rows."""

BUILD_BREADTH = 80
"""Candidates kept while the graph is built (efConstruction)."""

GRAPH_LEVELS = 8
"""Levels that FAISS lays out for `GRAPH_LINKS` links; it finds no place for the links of a higher one."""

BROADEST = 512
"""Candidates kept while searching (efSearch), at most."""

FIRST_BREADTH = 16
"""Those a new graph starts with."""


@dataclass(frozen=True)
class Graph:
    """An HNSW graph as plain arrays: all an index holds besides the rows.

    ``levels`` ``(N,)`` int32, ``offsets`` ``(N + 1,)`` uint64, ``links`` ``(L,)`` int32 (−1: none),
    ``entry`` the row where a search starts, ``breadth`` the candidates kept while searching, ``following`` those of
    a search that starts beside its goal; 0: none does, as in models of earlier versions.
    Raises `ModelFileError` when they do not fit together.
    """

    levels: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.uint64]
    links: npt.NDArray[np.int32]
    entry: int
    breadth: int
    following: int = 0

    def __post_init__(self) -> None:
        """FAISS follows these numbers without looking: one out of range would read foreign memory."""
        count = self.levels.size
        sound = (
            self.levels.dtype == np.int32
            and self.offsets.dtype == np.uint64
            and self.links.dtype == np.int32
            and self.levels.ndim == self.links.ndim == 1
            and count > 0
            and self.offsets.shape == (count + 1,)
            and int(self.offsets[0]) == 0
            and int(self.offsets[-1]) == len(self.links)
            and int(self.levels.min()) >= 1
            and int(self.levels.max()) <= GRAPH_LEVELS
            and 0 <= self.entry < count
            and self.levels[self.entry] == self.levels.max()
            and self._links_sound(count)
            and 1 <= self.breadth <= BROADEST
            and 0 <= self.following <= BROADEST
        )
        if not sound:
            raise ModelFileError("the search graph is damaged; fit the model again or restore the file.")

    def _links_sound(self, count: int) -> bool:
        sizes = self.offsets[1:].astype(np.int64) - self.offsets[:-1].astype(np.int64)
        expected = 2 * GRAPH_LINKS + (self.levels.astype(np.int64) - 1) * GRAPH_LINKS
        in_range = not len(self.links) or (self.links.min() >= -1 and self.links.max() < count)
        return bool((sizes == expected).all()) and in_range and self._upper_links_reach_their_level()

    def _upper_links_reach_their_level(self) -> bool:
        """A link on level n must lead to a row that has a level n."""
        upper = np.flatnonzero(self.levels > 1)
        for level in range(2, int(self.levels.max()) + 1):
            upper = upper[self.levels[upper] >= level]
            first = self.offsets[upper].astype(np.int64) + level * GRAPH_LINKS
            reached = self.links[first[:, None] + np.arange(GRAPH_LINKS)]
            if (self.levels[reached[reached >= 0]] < level).any():
                return False
        return True


def link(rows: Float32) -> Graph:
    """Build the HNSW graph of ``rows`` ``(N, D)``. One thread: with more, the graph would depend on timing."""
    import faiss

    index = faiss.IndexHNSWFlat(rows.shape[1], GRAPH_LINKS)
    hnsw: Any = index.hnsw
    hnsw.efConstruction = BUILD_BREADTH
    with one_thread():
        index.add(rows)
    return Graph(
        levels=faiss.vector_to_array(hnsw.levels),
        offsets=faiss.vector_to_array(hnsw.offsets),
        links=faiss.vector_to_array(hnsw.neighbors),
        entry=int(hnsw.entry_point),
        breadth=FIRST_BREADTH,
    )


def index_from(rows: Float32, graph: Graph) -> Any:
    """FAISS's index of ``rows`` ``(N, D)``. It looks at them and the graph where they are: both must outlive it."""
    import faiss

    index = faiss.IndexHNSWFlat(rows.shape[1], GRAPH_LINKS)
    hnsw: Any = index.hnsw
    storage: Any = faiss.downcast_index(index.storage)
    if not _lend(rows, storage, "codes"):
        storage.add(rows)
    storage.ntotal = len(rows)
    if not _lend(graph.links, hnsw, "neighbors"):
        faiss.copy_array_to_vector(graph.links, hnsw.neighbors)
    faiss.copy_array_to_vector(graph.levels, hnsw.levels)
    faiss.copy_array_to_vector(graph.offsets, hnsw.offsets)
    hnsw.entry_point = graph.entry
    hnsw.max_level = int(graph.levels.max()) - 1
    index.ntotal = len(rows)
    return index


def _lend(array: npt.NDArray[Any], owner: Any, name: str) -> bool:
    """Let FAISS read ``array`` as ``owner.name``; FAISS before 1.11 can only copy it, and an array with gaps too."""
    import faiss

    element = np.dtype(np.uint8 if name == "codes" else array.dtype)
    vector: Any = getattr(
        faiss, {"uint8": "MaybeOwnedVectorUInt8", "int32": "MaybeOwnedVectorInt32"}[element.name], None
    )
    view = getattr(vector, "create_view", None)
    if view is None or not array.flags.c_contiguous or not array.size:
        return False
    pointer: Any = faiss.swig_ptr
    flat = array.reshape(-1).view(element)
    setattr(owner, name, view(pointer(flat), flat.size, getattr(owner, name).owner))
    return True
