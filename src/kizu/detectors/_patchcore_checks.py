"""What PatchCore's parameters may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kizu.detectors import _checks
from kizu.errors import bad_parameter
from kizu.projection import KINDS

if TYPE_CHECKING:
    from kizu.detectors.patchcore import PatchCore

WALKTHROUGH = "walkthrough"


def check_parameters(detector: PatchCore) -> None:
    """Raise `ParameterError` when one is out of range."""
    _checks.real("coreset_ratio", detector.coreset_ratio, "in (0, 1]", 0, 1, "For ten percent write 0.1.")
    _checks.whole("coreset_count", detector.coreset_count, at_least=1, optional=True)
    _checks.whole("neighbors", detector.neighbors, at_least=1)
    if detector.reweight != WALKTHROUGH and not isinstance(detector.reweight, bool):
        raise bad_parameter("reweight", f"true, false or {WALKTHROUGH}", detector.reweight)
    _checks.whole("reweight_neighbors", detector.reweight_neighbors, at_least=2)
    _checks.choice("coreset_start", detector.coreset_start, ("random", "first"))
    _check_projection(detector)
    _checks.choice("search", detector.search, ("auto", "exact", "approximate"))
    _checks.real("search_error", detector.search_error, "in (0, 1]", 0, 1, "For one percent write 0.01.")
    _checks.flag("robust", detector.robust)


def _check_projection(detector: PatchCore) -> None:
    _checks.choice("projection", detector.projection, KINDS)
    _checks.whole("projection_dim", detector.projection_dim, at_least=1, optional=True)
    if detector.projection_eps is None:
        return
    _checks.real("projection_eps", detector.projection_eps, "in (0, 1), or null", 0, math.nextafter(1, 0))
    if detector.projection_dim is not None:
        hint = "It is there to decide that."
        raise bad_parameter("projection_eps", "null where projection_dim is given", detector.projection_eps, hint)
