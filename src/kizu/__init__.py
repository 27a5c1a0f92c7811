"""kizu (傷, "flaw"): visual inspection from pictures of good parts alone.

>>> import kizu
>>> kizu.__version__
'0.1.0'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kizu._version import __version__

if TYPE_CHECKING:
    from kizu.config import Config
    from kizu.errors import KizuError, KizuWarning
    from kizu.inspector import Inspector, Prediction
    from kizu.workflows import Evaluation, Export, evaluate, export, fit, load

__all__ = [
    "Config",
    "Evaluation",
    "Export",
    "Inspector",
    "KizuError",
    "KizuWarning",
    "Prediction",
    "__version__",
    "evaluate",
    "export",
    "fit",
    "load",
]

_HOMES = {
    "Config": "kizu.config",
    "KizuError": "kizu.errors",
    "KizuWarning": "kizu.errors",
    "Inspector": "kizu.inspector",
    "Prediction": "kizu.inspector",
    "Evaluation": "kizu.workflows",
    "Export": "kizu.workflows",
    "evaluate": "kizu.workflows",
    "export": "kizu.workflows",
    "fit": "kizu.workflows",
    "load": "kizu.workflows",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: ``import kizu`` alone loads nothing heavy."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'kizu' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
