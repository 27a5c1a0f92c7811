"""Of several programs, one at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kizu.locks import alone

HOLDING = """
import sys
from pathlib import Path
from kizu.locks import alone
with alone(Path(sys.argv[1]), wait=False) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["file", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    target = tmp_path / "場所"
    if request.param == "folder":
        target.mkdir()
    else:
        target.write_bytes(b"content")
    return target


def test_another_program_is_told(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with alone(place, wait=False) as mine:
            assert not mine
        other.kill()  # whatever ends it
        other.wait()
        with alone(place, wait=False) as mine:
            assert mine
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_who_waits_comes_next(place: Path) -> None:
    order = []

    def second() -> None:
        with alone(place, wait=True) as mine:
            order.append(("second", mine))

    with alone(place, wait=True):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.2)
        order.append(("first", True))
    waiting.join(10)
    assert order == [("first", True), ("second", True)]


def test_who_waits_gets_what_is_there_then(tmp_path: Path) -> None:
    """A file is replaced while it is held: who waited holds the new one."""
    place = tmp_path / "file"
    place.write_bytes(b"old")
    held, done = threading.Event(), threading.Event()

    def second() -> None:
        with alone(place, wait=True):
            held.set()
            done.wait(10)

    with alone(place, wait=True):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.2)
        new = tmp_path / "new"
        new.write_bytes(b"new")
        new.replace(place)
    assert held.wait(10)
    with alone(place, wait=False) as mine:
        assert not mine
    done.set()
    waiting.join(10)


def test_what_cannot_be_opened_is_not_in_the_way(tmp_path: Path) -> None:
    """Who works on it next says what is wrong with it."""
    with alone(tmp_path / "gone", wait=True) as mine:
        assert mine
