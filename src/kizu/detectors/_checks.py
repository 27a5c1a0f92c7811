"""Parameter checks in one form of words, for every detector."""

from __future__ import annotations

import sys
from typing import Any

from kizu.errors import bad_parameter


def whole(name: str, value: Any, *, at_least: int, optional: bool = False) -> None:
    """``value`` must be a whole number ≥ ``at_least`` (or None where ``optional``)."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        none = " or null" if optional else ""
        raise bad_parameter(name, f"a whole number of {at_least} or more{none}", value)


def real(name: str, value: Any, expected: str, low: float, high: float, hint: str = "") -> None:
    """``value`` must be a number in (``low``, ``high``], worded as ``expected``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low < value <= min(high, sys.float_info.max):
        raise bad_parameter(name, expected, value, hint)


def choice(name: str, value: Any, options: tuple[str, ...]) -> None:
    """``value`` must be one of ``options``."""
    if value not in options:
        raise bad_parameter(name, f"one of {', '.join(options)}", value)


def flag(name: str, value: Any) -> None:
    """``value`` must be true or false."""
    if not isinstance(value, bool):
        raise bad_parameter(name, "true or false", value)
