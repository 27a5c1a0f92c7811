"""Work on several things at a time, each on one core from its beginning to its end.

Threads that share one piece of work wait for each other after every step, and on a busy machine they mostly wait;
threads that each have work of their own do not. So the libraries are held to one thread each meanwhile.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = min(4, os.cpu_count() or 1)
"""Pieces of work under way at a time: each takes scratch memory."""

AHEAD = 4
"""Pieces begun or done, for each thread, before the first of them is asked for."""


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """Threads, with the libraries held to one thread each meanwhile."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(THREADS, initializer=_one_thread) as pool:
        yield pool


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """What ``work`` makes of each item, in order; raises what it raises. Close it, or use it up.

    >>> list(side_by_side(lambda number: number * 10, [1, 2, 3]))
    [10, 20, 30]
    """
    source = iter(items)
    waiting: deque[Future[Result]] = deque()
    with workers() as pool:
        try:
            waiting.extend(pool.submit(work, item) for item in islice(source, AHEAD * THREADS))
            while waiting:
                first = waiting.popleft()
                yield first.result()
                waiting.extend(pool.submit(work, item) for item in islice(source, 1))
        finally:
            for future in waiting:
                future.cancel()


def _one_thread() -> None:
    """OpenMP, which FAISS computes with, knows a number of threads for each thread that calls it."""
    import faiss

    faiss.omp_set_num_threads(1)
