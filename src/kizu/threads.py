"""Work on several things at a time, each on one core from its beginning to its end.

Threads that share one piece of work wait for each other after every step, and on a busy machine they mostly wait;
threads that each have work of their own do not. So the libraries are held to one thread each meanwhile.

OpenMP, which FAISS computes with, waits by running in circles. Where the one it waits for got the same core, both
stand still until the system takes that core away, some milliseconds, at every step. So one image's search is shared
out here as well: `together`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import islice
from threading import Lock, local
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = min(4, os.cpu_count() or 1)
"""Pieces of work under way at a time: each takes scratch memory."""

AHEAD = 4
"""Pieces begun or done, for each thread, before the first of them is asked for."""

_here = local()


class _Held:
    """BLAS held to one thread, which it is in the whole program, as long as any of several ask for it."""

    def __init__(self) -> None:
        self._lock, self._times, self._limits = Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._times:
                self._limits.enter_context(threadpool_limits(1, user_api="blas"))
            self._times += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._times -= 1
            if not self._times:
                self._limits.close()


_blas = _Held()


@contextmanager
def workers(threads: int = THREADS) -> Iterator[ThreadPoolExecutor]:
    """So many threads, with the libraries held to one thread each meanwhile."""
    with _blas, ThreadPoolExecutor(threads, initializer=_one_of_several) as pool:
        yield pool


def one_of_several() -> bool:
    """Whether the calling thread is one of `workers`, for libraries that are not held to one thread from outside."""
    return getattr(_here, "one_of_several", False)


def side_by_side(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int = THREADS, ahead: int | None = None
) -> Generator[Result, None, None]:
    """What ``work`` makes of each item, in order; raises what it raises. Close it, or use it up. ``ahead``: items
    begun or done before the first of them is asked for (None: `AHEAD` a thread).

    >>> list(side_by_side(lambda number: number * 10, [1, 2, 3]))
    [10, 20, 30]
    """
    source = iter(items)
    waiting: deque[Future[Result]] = deque()
    with workers(threads) as pool:
        try:
            waiting.extend(pool.submit(work, item) for item in islice(source, ahead or AHEAD * threads))
            while waiting:
                first = waiting.popleft()
                yield first.result()
                waiting.extend(pool.submit(work, item) for item in islice(source, 1))
        finally:
            for future in waiting:
                future.cancel()


def available() -> int:
    """Threads that the calling one may share its work out to: one where it is one of several itself."""
    import faiss

    return max(1, min(THREADS, faiss.omp_get_max_threads()))


def together(work: Callable[[Item], Result], parts: Sequence[Item]) -> list[Result]:
    """What ``work`` makes of each part of one piece of work, in order, each on one thread; raises what it raises.

    ``parts``: `available` many at most, or some wait for others. A part that is alone stays in this thread. BLAS
    keeps its own threads: what multiplies large matrices does not belong here.

    >>> together(sum, [(1, 2), (3, 4)])
    [3, 7]
    """
    if len(parts) == 1:
        with one_thread():
            return [work(parts[0])]
    return list(_kept().map(work, parts))


@contextmanager
def one_thread() -> Iterator[None]:
    """FAISS stays in the thread that calls it."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@cache
def _kept() -> ThreadPoolExecutor:
    """Threads that stay: to start them takes as long as their part of a small image."""
    cores = iter(_cores())

    def begin() -> None:
        _one_thread()
        for core in islice(cores, 1):
            with suppress(OSError):  # it was taken from this process since
                os.sched_setaffinity(0, {core})  # of the calling thread, not of the process

    return ThreadPoolExecutor(THREADS, "kizu", initializer=begin)


def _cores() -> list[int]:
    """A core for each of the threads that stay, or none where the system shall place them.

    After a rest Linux may wake the second thread on the core of the first though the other core sleeps (seen on a
    virtual machine), and the two take turns. Only where these threads fill the machine are they bound: elsewhere
    several programs would all keep to its first cores.
    """
    if not hasattr(os, "sched_getaffinity"):  # Windows, macOS
        return []
    cores = sorted(os.sched_getaffinity(0))
    return cores if len(cores) == available() else []


def to_first_core() -> None:
    """Bring the calling thread to the first core, from where it may go on wherever the system wants it.

    ONNX Runtime binds threads of its own to all cores but the first. Where the one that calls it was on one of those,
    as after a rest or a search, the two took turns there through all layers, and the first core slept.
    """
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if 1 < len(cores) == (os.cpu_count() or 1) <= THREADS:
        with suppress(OSError):  # they are not to be chosen here
            try:
                os.sched_setaffinity(0, {min(cores)})
            finally:
                os.sched_setaffinity(0, cores)


if hasattr(os, "register_at_fork"):  # not on Windows, where no process is a copy of another
    os.register_at_fork(after_in_child=_kept.cache_clear)  # threads are not copied


def _one_of_several() -> None:
    _here.one_of_several = True
    _one_thread()


def _one_thread() -> None:
    """OpenMP, which FAISS computes with, knows a number of threads for each thread that calls it."""
    import faiss

    faiss.omp_set_num_threads(1)
