"""Public names loaded when they are first used (PEP 562): to import their package alone loads nothing heavy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def loader(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """``__getattr__`` for ``package``: the names in ``homes`` come from the modules that it tells, and stay there.

    >>> loader("kizu", {"Config": "kizu.config"})("fits")
    Traceback (most recent call last):
    AttributeError: module 'kizu' has no attribute 'fits'
    """

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
