"""The parts of an ensemble: which channels each has, and where it lies among the arrays of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu.detectors._base import Array
from kizu.errors import ModelFileError, bad_parameter

Parts = Sequence[Sequence[int]]
"""The first channel of each and the one behind its last."""


def check_parts(parts: Any) -> None:
    """Raises `ParameterError` unless they are `Parts`, or None."""
    if parts is None:
        return
    if not isinstance(parts, list | tuple) or not parts or not all(map(_is_part, parts)):
        expected = "a list of one or more parts, each [first channel, channel behind its last], or null"
        raise bad_parameter("parts", expected, parts)


def _is_part(part: Any) -> bool:
    pair = isinstance(part, list | tuple) and len(part) == 2 and all(type(place) is int for place in part)
    return pair and 0 <= part[0] < part[1]


def spans_of(parts: Parts | None, channels: int) -> list[slice]:
    """The parts of so many channels; None: one of all. Raises `ParameterError` where one reaches beyond them."""
    found = [slice(*part) for part in parts or [(0, channels)]]
    if max(span.stop for span in found) > channels:
        raise bad_parameter("parts", f"within the {channels} channels there are", parts)
    return found


def state_of_parts(states: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """The arrays of every part under names of its own."""
    return {f"{_prefix(number)}{key}": array for number, state in enumerate(states) for key, array in state.items()}


def part_of_state(state: Mapping[str, Array], number: int) -> dict[str, Array]:
    """What `state_of_parts` had of a part."""
    prefix = _prefix(number)
    return {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}


def scales_of_state(state: Mapping[str, Array], count: int) -> npt.NDArray[np.float64]:
    """What each of ``count`` parts is divided by. Raises `ModelFileError`, `LookupError` where it is missing."""
    scales = state["scales"]
    sound = scales.shape == (count,) and scales.dtype == np.float64
    if not sound or not (np.isfinite(scales) & (scales > 0)).all():
        raise ModelFileError("the scales of the parts are not one a part; restore the model file.")
    return scales


def _prefix(number: int) -> str:
    return f"part{number}_"
