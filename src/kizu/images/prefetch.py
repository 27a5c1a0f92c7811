"""Reading ahead: files are read and decoded in threads while the caller works on the one before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from kizu.errors import bad_parameter

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Fetched(Generic[Item, Value]):
    """One item and what reading it gave."""

    item: Item
    _future: Future[Value]

    def wait(self) -> None:
        """Return once the item has been read, or reading it has failed."""
        self._future.exception()

    def get(self) -> Value:
        """The value read; raises what reading raised."""
        return self._future.result()


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Value], *, workers: int = 2, ahead: int = 8
) -> Generator[Fetched[Item, Value], None, None]:
    """Read items in a thread pool; yield a `Fetched` for each, in order, as soon as it has been read.

    At most ``ahead`` items are read or being read beyond the one yielded, so memory is bounded. An item that
    cannot be read does not end the iteration: its `Fetched.get` raises, and the caller may skip it. Closing
    the generator drops what has not started and waits for what has.

    >>> [fetched.get() for fetched in read_ahead([1, 2, 3], lambda number: number * 10)]
    [10, 20, 30]

    Raises:
        ParameterError: ``workers`` or ``ahead`` is below 1.
    """
    for name, number in (("workers", workers), ("ahead", ahead)):
        if number < 1:
            raise bad_parameter(name, "at least 1", number)
    return _fetch(items, read, workers, ahead)


def _fetch(
    items: Iterable[Item], read: Callable[[Item], Value], workers: int, ahead: int
) -> Generator[Fetched[Item, Value], None, None]:
    source = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="kizu-read")
    try:
        waiting = deque(Fetched(item, pool.submit(read, item)) for item in islice(source, ahead))
        while waiting:
            first = waiting.popleft()
            first.wait()
            waiting.extend(Fetched(item, pool.submit(read, item)) for item in islice(source, 1))
            yield first
            del first
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
