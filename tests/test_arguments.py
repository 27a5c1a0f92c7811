"""What callers give: one thing or several, paths, numbers."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kizu.arguments import finite_number, number, path_of, paths_of, several
from kizu.errors import ParameterError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ab", ["ab"]),
        (b"ab", [b"ab"]),
        (Path("ab"), [Path("ab")]),
        (3, [3]),
        (None, [None]),
        (["ab", "c"], ["ab", "c"]),
        ((Path("ab"),), [Path("ab")]),
        ((name for name in ("ab", "c")), ["ab", "c"]),
        ([], []),
        ("", [""]),
    ],
)
def test_one_thing_or_several(given: Any, expected: list[Any]) -> None:
    assert several(given) == expected


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    with os.scandir(tmp_path) as entries:
        (entry,) = entries
    assert paths_of("ab") == paths_of(Path("ab")) == paths_of(["ab"]) == [Path("ab")]
    assert path_of(entry) == tmp_path / "ab"


@pytest.mark.parametrize(("given", "shown"), [(None, "None"), (3, "3"), (b"ab", "bytes"), ([["ab"]], "list")])
def test_what_is_no_path(given: Any, shown: str) -> None:
    with pytest.raises(ParameterError, match=rf"a path must be a text or a pathlib\.Path; got {shown}\."):
        paths_of(given)


@pytest.mark.parametrize("given", [1, 1.0, np.float32(1), np.float64(1), np.int16(1)])
def test_numbers_become_plain_ones(given: Any) -> None:
    assert type(number("share", given)) is float
    assert number("share", given) == finite_number("share", given) == 1.0


@pytest.mark.parametrize("given", ["1", True, np.True_, None, 1j, [1.0], np.ones(1)])
def test_what_is_no_number(given: Any) -> None:
    with pytest.raises(ParameterError, match=r"`share` must be in \(0, 1\]; got .*\. For one percent write"):
        number("share", given, "in (0, 1]", "For one percent write 0.01.")


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite(given: float) -> None:
    assert str(number("share", given)) == str(given)
    with pytest.raises(ParameterError, match="`share` must be a finite number; got"):
        finite_number("share", given)
