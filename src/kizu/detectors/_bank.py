"""PatchCore's memory bank: how it is searched, and what of that a model file holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Array, Float32
from kizu.errors import ModelFileError
from kizu.neighbors import Accuracy, ApproximateNeighbors, ExactNeighbors, Graph, tuned

APPROXIMATE_FROM = 4096
"""Bank rows from which ``search="auto"`` searches approximately: below, the exact search is as fast."""

APPROXIMATE_UP_TO = 0.5
"""Share of all good patches up to which ``search="auto"`` searches approximately: the graph needs a second copy of
the bank, and that must fit into what thinning gave back."""

Search = ExactNeighbors | ApproximateNeighbors


def prepared(
    bank: Float32, search: str, patches: int, probes: Callable[[], Float32], error: float
) -> tuple[Search, Accuracy]:
    """The search of a ``bank`` ``(M, D)`` picked from so many ``patches``, and how accurate it is.

    ``search`` and ``error``: as `kizu.detectors.patchcore.PatchCore` has them. ``probes`` gives images
    ``(n, h, w, D)`` to measure it on; called where that is needed.
    """
    worth_it = APPROXIMATE_FROM <= len(bank) <= APPROXIMATE_UP_TO * patches
    if search == "approximate" or (search == "auto" and worth_it):
        return tuned(bank, probes(), error)
    return ExactNeighbors(bank), Accuracy()


def exact(search: Search) -> ExactNeighbors:
    """The same rows, compared one by one."""
    return search.exact if isinstance(search, ApproximateNeighbors) else search


def state_of(search: Search) -> dict[str, Array]:
    """The graph of a search as plain arrays; none where it is exact."""
    if isinstance(search, ExactNeighbors):
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
