"""PatchCore's memory bank: how it is searched, and what of that a model file holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Array, Float32
from kizu.detectors._leave_one_out import SearchWithout
from kizu.detectors._scoring import Indices, SearchedBank, confirmed
from kizu.errors import ModelFileError, NotFittedError
from kizu.neighbors import Accuracy, ApproximateNeighbors, ExactNeighbors, Graph, tuned

APPROXIMATE_FROM = 4096
"""Bank rows from which ``search="auto"`` searches approximately: below, the exact search is as fast."""

APPROXIMATE_UP_TO = 0.5
"""Share of all good patches up to which ``search="auto"`` searches approximately: the graph needs a second copy of
the bank, and that must fit into what thinning gave back."""

Search = ExactNeighbors | ApproximateNeighbors | SearchWithout
"""Of a bank as it was learnt; or, to score alone, of one without an image."""


def prepared(
    bank: Float32, search: str, patches: int, probes: Callable[[], Iterable[Float32]], error: float
) -> tuple[Search, Accuracy]:
    """The search of a ``bank`` ``(M, D)`` picked from so many ``patches``, and how accurate it is.

    ``search`` and ``error``: as `kizu.detectors.patchcore.PatchCore` has them. ``probes`` gives images
    ``(h, w, D)`` to measure it on; called where that is needed.
    """
    worth_it = APPROXIMATE_FROM <= len(bank) <= APPROXIMATE_UP_TO * patches
    if search == "approximate" or (search == "auto" and worth_it):
        return tuned(bank, probes(), error)
    return ExactNeighbors(bank), Accuracy()


def look_up(search: Search, patches: Float32, k: int) -> tuple[Float32, Indices]:
    """``patches`` ``(h, w, D)`` of one image → distances ``(h · w, k)`` to the nearest rows, never too small, and the
    rows, of which the first column is meant.
    """
    if isinstance(search, ApproximateNeighbors):
        return search.search_image(patches, k)
    return search.search(np.ascontiguousarray(patches).reshape(-1, patches.shape[2]), k)


def near(search: Search, images: Float32, k: int) -> Iterator[tuple[Float32, Indices]]:
    """Of each of ``images`` ``(B, h, w, D)`` the distances ``(P, k)`` to the rows found, those of the highest patch
    exact, and the nearest of these ``(P,)``.
    """
    if not len(images):
        return
    batch, patches = len(images), images.shape[1] * images.shape[2]
    if isinstance(search, ExactNeighbors):
        distances, rows = search.search(images.reshape(batch * patches, images.shape[3]), k)
        yield from zip(
            distances.reshape(batch, patches, distances.shape[1]), rows[:, 0].reshape(batch, patches), strict=True
        )
        return
    again = search.search_again if isinstance(search, ApproximateNeighbors) else None
    for image in images:
        distances, rows = look_up(search, image, k)
        yield confirmed(image.reshape(patches, images.shape[3]), distances, rows[:, 0], search.exact, again)


def exact(search: Search) -> SearchedBank:
    """The same rows, compared one by one."""
    return search if isinstance(search, ExactNeighbors) else search.exact


def whole(search: Search) -> ExactNeighbors:
    """All rows there are, compared one by one. Raises `NotFittedError` where an image is left out."""
    if isinstance(search, SearchWithout):
        raise NotFittedError("an image is left out of this detector, which can only score.")
    return search.exact if isinstance(search, ApproximateNeighbors) else search


def state_of(search: Search) -> dict[str, Array]:
    """The graph of a search as plain arrays; none where it is exact. Raises `NotFittedError` as `whole` does."""
    whole(search)
    if not isinstance(search, ApproximateNeighbors):
        return {}
    graph = search.graph
    return {
        "levels": graph.levels,
        "offsets": graph.offsets,
        "links": graph.links,
        "entry": np.array(graph.entry),
        "breadth": np.array(graph.breadth),
        "following": np.array(graph.following),
    }


def restored(bank: Float32, state: Mapping[str, Array], search: str) -> tuple[Search, Accuracy]:
    """What `state_of` gave, and the accuracy that was measured. Raises `ModelFileError`."""
    if "links" not in state or search == "exact":
        return ExactNeighbors(bank), Accuracy()
    entry, breadth = int(state["entry"].item()), int(state["breadth"].item())
    following = int(state["following"].item()) if "following" in state else 0  # none in kizu 0.1
    graph = Graph(state["levels"], state["offsets"], state["links"], entry, breadth, following)
    return ApproximateNeighbors(bank, graph), Accuracy(*state["accuracy"].tolist())


def checked(bank: Float32, owners: npt.NDArray[np.int32]) -> tuple[Float32, npt.NDArray[np.int32]]:
    """A bank and the images its rows are from, as they were read. Raises `ModelFileError`."""
    if bank.ndim != 2 or bank.dtype != np.float32 or not len(bank):
        raise ModelFileError("the memory bank is not a float32 matrix; restore the model file.")
    if len(owners) not in (0, len(bank)) or owners.dtype != np.int32:
        raise ModelFileError("the memory bank's images are not one a row; restore the model file.")
    return bank, owners
