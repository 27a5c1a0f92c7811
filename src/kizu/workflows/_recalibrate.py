"""Calibration scores after an update: those of the new images, and what the old ones are still worth."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kizu.calibration import Calibration, conformal
from kizu.errors import KizuWarning

STALE = 0.05
"""Share by which scores may have changed, in the middle, while old ones still count as scores of this model."""


def recalibrated(old: Calibration, new: Calibration, before: Sequence[float], *, never_higher: bool) -> Calibration:
    """``old`` scores, joined by those of the ``new`` images left out; ``before``: what these scored not yet learnt.

    Where scores never get higher by an update, old ones are upper bounds of what their images would score now, and
    the promise holds on the safe side. Otherwise they may be those of another model: how far, the new images tell,
    which were scored by both. If that is more than `STALE`, the new alone calibrate where they are enough for the
    share of false alarms asked for; where not, all do, with a warning.
    """
    joined = replace(
        old, scores=np.concatenate([old.scores, new.scores]), peaks=np.concatenate([old.peaks, new.peaks])
    )
    ratios = new.scores / np.maximum(before, np.finfo(np.float64).tiny)
    changed = float(np.median(np.where(new.scores == before, 1.0, ratios)))
    if never_higher or abs(changed - 1) <= STALE:
        return joined
    share = old.decision.false_alarms
    if conformal.rank(share, len(new.scores)):
        return new.deciding(old.decision)
    words = "higher" if changed < 1 else "lower"
    more = f"or add {conformal.enough(share)} or more at once" if share else "with all images"
    warnings.warn(
        f"scores have changed by {100 * (changed - 1):+.0f} % with what was learnt, so old calibration scores are "
        f"{words} than those of the model now, and thresholds with them. Fit again, {more}.",
        KizuWarning,
        stacklevel=4,
    )
    return joined
