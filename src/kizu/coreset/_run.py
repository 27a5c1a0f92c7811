"""Running pieces of work that do not depend on each other: one by one, or in threads where there is enough of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from kizu.threads import workers

Item = TypeVar("Item")

THREADED_ROWS = 32_768
"""Rows from which threads are worth starting."""


class Run(Protocol):
    """Does all the work, in any order; raises what it raises."""

    def __call__(self, work: Callable[[Item], None], items: Iterable[Item], /) -> None: ...


def one_by_one(work: Callable[[Item], None], items: Iterable[Item], /) -> None:
    """The plain form of `Run`."""
    for item in items:
        work(item)


@contextmanager
def running(rows: int) -> Iterator[Run]:
    """What runs work on so many rows; threads end with it."""
    if rows < THREADED_ROWS:
        yield one_by_one
        return
    with workers() as pool:

        def in_threads(work: Callable[[Item], None], items: Iterable[Item], /) -> None:
            for _ in pool.map(work, items):
                pass

        yield in_threads
