"""kizu (傷, "flaw"): visual inspection from pictures of good parts alone.

>>> import kizu
>>> kizu.__version__
'0.1.0'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kizu._late import loader
from kizu._version import __version__

if TYPE_CHECKING:
    from kizu.calibration import Calibration, Decision
    from kizu.config import Config
    from kizu.errors import KizuError, KizuWarning
    from kizu.inspector import Inspector, Prediction
    from kizu.workflows import (
        Comparison,
        DataCheck,
        Decided,
        DriftFound,
        Evaluation,
        Export,
        Report,
        ReportTarget,
        Update,
        check,
        compare,
        decide,
        evaluate,
        export,
        find_drift,
        fit,
        load,
        make_report,
        update,
    )

__all__ = [
    "Calibration",
    "Comparison",
    "Config",
    "DataCheck",
    "Decided",
    "Decision",
    "DriftFound",
    "Evaluation",
    "Export",
    "Inspector",
    "KizuError",
    "KizuWarning",
    "Prediction",
    "Report",
    "ReportTarget",
    "Update",
    "__version__",
    "check",
    "compare",
    "decide",
    "evaluate",
    "export",
    "find_drift",
    "fit",
    "load",
    "make_report",
    "update",
]

_HOMES = dict.fromkeys(__all__, "kizu.workflows") | {
    "Calibration": "kizu.calibration",
    "Config": "kizu.config",
    "Decision": "kizu.calibration",
    "Inspector": "kizu.inspector",
    "KizuError": "kizu.errors",
    "KizuWarning": "kizu.errors",
    "Prediction": "kizu.inspector",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__getattr__ = loader(__name__, _HOMES)
