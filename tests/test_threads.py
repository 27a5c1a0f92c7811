"""Work side by side: in order, each on one thread, and what goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
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


def test_parts_are_worked_on_together_each_on_one_thread() -> None:
    import faiss

    met = threading.Barrier(2, timeout=30)
    before = faiss.omp_get_max_threads()

    def work(number: int) -> tuple[int, int, int]:
        met.wait()
        return number, faiss.omp_get_max_threads(), threads.available()

    assert threads.together(work, [5, 6]) == [(5, 1, 1), (6, 1, 1)]
    assert faiss.omp_get_max_threads() == before


def test_a_part_alone_stays_in_its_thread() -> None:
    import faiss

    before = faiss.omp_get_max_threads()
    found = threads.together(lambda _: (threading.get_ident(), faiss.omp_get_max_threads()), [None])
    assert found == [(threading.get_ident(), 1)]
    assert faiss.omp_get_max_threads() == before


def test_one_of_several_shares_nothing_out() -> None:
    assert set(threads.side_by_side(lambda _: threads.available(), range(5))) == {1}


def test_what_goes_wrong_with_a_part_is_raised() -> None:
    def fails(number: int) -> int:
        return 1 // number

    with pytest.raises(ZeroDivisionError):
        threads.together(fails, [1, 0])
    assert threads.together(fails, [1, 1]) == [1, 1]


@pytest.fixture
def fresh_threads() -> Iterator[None]:
    threads._kept.cache_clear()
    yield
    threads._kept.cache_clear()


def allowed(parts: int) -> list[set[int]]:
    """The cores that each of so many threads may compute on."""
    met = threading.Barrier(parts, timeout=30)

    def work(_: int) -> set[int]:
        met.wait()
        return os.sched_getaffinity(0)

    return threads.together(work, range(parts))


binds = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system binds no thread to a core")


@binds
@pytest.mark.usefixtures("fresh_threads")
def test_threads_that_fill_the_machine_have_a_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("one core")
    monkeypatch.setattr(threads, "THREADS", len(cores))
    monkeypatch.setattr(threads, "available", lambda: len(cores))
    found = allowed(len(cores))
    assert all(len(own) == 1 for own in found)
    assert set().union(*found) == cores
    assert os.sched_getaffinity(0) == cores  # the caller's own thread is not bound


@binds
@pytest.mark.usefixtures("fresh_threads")
def test_threads_fewer_than_the_cores_are_bound_to_none(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = os.sched_getaffinity(0)
    monkeypatch.setattr(threads, "available", lambda: len(cores) - 1)
    assert allowed(2) == [cores, cores]


@binds
@pytest.mark.usefixtures("fresh_threads")
def test_a_core_that_is_gone_binds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_cores", lambda: [100_000, 100_001])
    cores = os.sched_getaffinity(0)
    assert allowed(2) == [cores, cores]


@pytest.mark.parametrize("cores", [2, 3, 4])
@pytest.mark.parametrize("trouble", [False, True])
def test_a_thread_is_brought_to_the_first_core_and_left_free(
    monkeypatch: pytest.MonkeyPatch, cores: int, trouble: bool
) -> None:
    chosen = []

    def choose(_: int, wanted: set[int]) -> None:
        chosen.append(set(wanted))
        if trouble:
            raise PermissionError

    monkeypatch.setattr(threads, "THREADS", 4)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", choose, raising=False)
    threads.to_first_core()
    assert chosen == [{0}, set(range(cores))]


@pytest.mark.parametrize(
    ("allowed", "cores"),
    [
        ({0}, 1),  # nowhere else to be
        ({1, 2}, 4),  # somebody has chosen for it
        ({1}, 2),
        (set(range(8)), 8),  # several programs would all go there
    ],
)
def test_a_thread_stays_where_another_core_is_no_better(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int], cores: int
) -> None:
    monkeypatch.setattr(threads, "THREADS", 4)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", pytest.fail, raising=False)
    threads.to_first_core()


def test_systems_that_bind_no_threads_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", pytest.fail, raising=False)
    threads.to_first_core()


@binds
def test_the_calling_thread_may_compute_where_it_might_before() -> None:
    before = os.sched_getaffinity(0)
    threads.to_first_core()
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process is a copy of another here")
def test_a_copy_of_the_process_has_threads_of_its_own() -> None:
    program = """
import os
from kizu import threads
threads.together(abs, [1, -2])
child = os.fork()
if not child:
    os._exit(threads.together(abs, [-3, -4]) != [3, 4])
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


def test_a_thread_knows_whether_it_is_one_of_several() -> None:
    assert list(threads.side_by_side(lambda _: threads.one_of_several(), range(2))) == [True, True]
    assert not threads.one_of_several()
    with threads.workers(1) as pool:
        assert pool.submit(threads.one_of_several).result()
    assert threads.together(lambda _: threads.one_of_several(), range(2)) == [False, False]  # a part of one image


def test_libraries_get_their_threads_back_from_whoever_is_last() -> None:
    from threadpoolctl import threadpool_info

    def counts() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, first, second = counts(), threads.workers(2), threads.workers(2)
    with first:
        second.__enter__()
    assert set(counts()) == {1}
    second.__exit__(None, None, None)
    assert counts() == before
