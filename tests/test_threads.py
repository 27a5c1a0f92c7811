"""Work side by side: in order, each on one thread, and what goes wrong."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from kizu import threads


def test_results_come_in_order_though_work_does_not() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 * (number % 3 == 0))
        return number

    assert list(threads.side_by_side(slow_first, range(50))) == list(range(50))
    assert list(threads.side_by_side(slow_first, [])) == []


def test_several_are_under_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "THREADS", 2)
    together = threading.Barrier(2, timeout=30)
    assert list(threads.side_by_side(lambda _: together.wait() >= 0, range(4))) == [True] * 4


def test_no_more_are_begun_than_are_soon_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "THREADS", 2)
    begun: list[int] = []
    with closing(threads.side_by_side(begun.append, range(1000))) as work:
        for _ in range(3):
            next(work)
    assert len(begun) <= 3 + threads.AHEAD * 2


def test_the_first_error_is_raised_and_the_rest_is_dropped() -> None:
    done: list[int] = []

    def fails(number: int) -> int:
        if number == 2:
            raise MemoryError("no room")
        done.append(number)
        return number

    with closing(threads.side_by_side(fails, range(1000))) as work:
        assert [next(work), next(work)] == [0, 1]
        with pytest.raises(MemoryError, match="no room"):
            next(work)
    assert len(done) < 100


def test_libraries_have_one_thread_meanwhile() -> None:
    import faiss
    from threadpoolctl import threadpool_info

    def counts(_: int) -> tuple[int, int]:
        blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        return faiss.omp_get_max_threads(), max(blas)

    before = faiss.omp_get_max_threads()
    assert set(threads.side_by_side(counts, range(5))) == {(1, 1)}
    assert faiss.omp_get_max_threads() == before
