"""How a memory bank is searched, and what of that a model file holds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from kizu.detectors._base import Array, Float32
from kizu.detectors._without import SearchWithout
from kizu.errors import KizuWarning, NotFittedError
from kizu.neighbors import Accuracy, ApproximateNeighbors, ExactNeighbors, Graph, tuned
from kizu.wording import percent

APPROXIMATE_FROM = 2048
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

    ``search`` and ``error``: as `kizu.detectors.patchcore.PatchCore` has them; ``auto`` keeps to ``error``, and
    ``approximate`` warns where it is missed. ``probes`` gives images ``(h, w, D)`` to measure it on; called where
    that is needed.
    """
    worth_it = APPROXIMATE_FROM <= len(bank) <= APPROXIMATE_UP_TO * patches
    if search == "approximate" or (search == "auto" and worth_it):
        found, accuracy = tuned(bank, probes(), error)
        if accuracy.error <= error:
            return found, accuracy
        if search == "approximate":
            warnings.warn(
                f"approximate search finds distances {percent(accuracy.error)} too large on this bank, where "
                f"{percent(error)} was wanted: maps are rougher, image scores stay exact. Search "
                "with `auto` or `exact` instead.",
                KizuWarning,
                stacklevel=6,
            )
            return found, accuracy
    return ExactNeighbors(bank), Accuracy()


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
    following = int(state["following"].item()) if "following" in state else 0  # older models have none
    graph = Graph(state["levels"], state["offsets"], state["links"], entry, breadth, following)
    return ApproximateNeighbors(bank, graph), Accuracy(*state["accuracy"].tolist())
