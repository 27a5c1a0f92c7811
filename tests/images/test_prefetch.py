from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from kizu.errors import ParameterError
from kizu.images import read_ahead


def test_order_is_kept_though_reading_takes_different_times() -> None:
    def read(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * 10

    fetched = [(one.item, one.get()) for one in read_ahead(range(30), read, workers=4)]
    assert fetched == [(number, number * 10) for number in range(30)]


def test_a_failure_surfaces_at_its_place_and_does_not_end_the_rest() -> None:
    def read(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    seen: list[int | str] = []
    for fetched in read_ahead(range(5), read):
        try:
            seen.append(fetched.get())
        except ValueError as error:
            seen.append(f"{fetched.item}: {error}")
    assert seen == [0, 1, "2: two", 3, 4]


@pytest.mark.parametrize("ahead", [1, 3, 8])
def test_no_more_is_read_than_asked(ahead: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    for count, fetched in enumerate(read_ahead(items(), lambda number: number, ahead=ahead), start=1):
        assert fetched.item == count - 1
        assert len(taken) <= count + ahead


def test_closing_early_cancels_the_rest_and_leaves_no_thread() -> None:
    started: list[int] = []

    def read(number: int) -> int:
        started.append(number)
        time.sleep(0.01)
        return number

    stream = read_ahead(range(1000), read, workers=2, ahead=50)
    assert next(stream).get() == 0
    stream.close()
    count = len(started)
    assert count < 10
    time.sleep(0.03)
    assert len(started) == count
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kizu-read")]


def test_an_error_in_the_caller_ends_the_threads() -> None:
    stream = read_ahead(range(100), lambda number: number)
    with pytest.raises(KeyError):
        stream.throw(KeyError("caller"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kizu-read")]


def test_nothing_to_read() -> None:
    assert list(read_ahead([], int)) == []


@pytest.mark.parametrize("name", ["workers", "ahead"])
def test_parameters_are_checked_at_once(name: str) -> None:
    with pytest.raises(ParameterError, match=f"`{name}` must be at least 1; got 0"):
        read_ahead([1], int, **{name: 0})


@pytest.mark.parametrize("package", ["kizu.images", "kizu.datasets"])
def test_importing_loads_nothing_heavy(package: str) -> None:
    heavy = ("cv2", "faiss", "onnxruntime", "PIL", "pydantic")
    code = f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
