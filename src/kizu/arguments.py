"""What callers of Python functions give, brought to one form: one thing or several, paths, numbers."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

from kizu.errors import ParameterError, bad_parameter

OnePath: TypeAlias = "str | os.PathLike[str]"
Paths: TypeAlias = "OnePath | Iterable[OnePath]"
"""A path alone is one."""


def several(given: object) -> list[Any]:
    """One thing or several, as a list: a text or a path is one, and so is what cannot be gone through.

    >>> several("screws"), several(["screws", "nuts"])
    (['screws'], ['screws', 'nuts'])
    """
    if isinstance(given, str | bytes | os.PathLike) or not isinstance(given, Iterable):
        return [given]
    return list(given)


def path_of(given: object) -> Path:
    """A path. Raises `ParameterError` for what is none."""
    found = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(found, str):
        raise ParameterError(f"a path must be a text or a pathlib.Path; got {_named(given)}.")
    return Path(found)


def paths_of(given: Paths) -> list[Path]:
    """One path or several. Raises `ParameterError` for what is none."""
    return [path_of(one) for one in several(given)]


def number(name: str, given: object, expected: str = "a number", hint: str = "") -> float:
    """A number of Python or NumPy as a plain one. Raises `ParameterError` for anything else, a text or truth value
    too.

    >>> number("false_alarms", 0)
    0.0
    """
    if isinstance(given, bool) or not isinstance(given, Real):
        raise bad_parameter(name, expected, given, hint)
    return float(given)


def finite_number(name: str, given: object, expected: str = "a finite number") -> float:
    """As `number`, neither infinite nor NaN."""
    found = number(name, given, expected)
    if not math.isfinite(found):
        raise bad_parameter(name, expected, given)
    return found


def _named(given: object) -> str:
    return repr(given) if given is None or isinstance(given, int | float) else type(given).__name__
