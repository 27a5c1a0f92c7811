from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from cli.running import files
from kizu.errors import OutputError
from kizu.files import (
    atomic_write,
    check_free,
    check_writable,
    new_folder,
    output_error,
    prepare_folder,
    write_together,
)


def writes(data: bytes) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        file.write(data)

    return write


def breaks_off(problem: BaseException) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> NoReturn:
        file.write(b"half")
        file.flush()
        raise problem

    return write


@pytest.mark.parametrize("data", [b"new", writes(b"new")])
@pytest.mark.parametrize("durable", [True, False])
def test_writes_and_replaces(tmp_path: Path, data: bytes | Callable[[BinaryIO], None], durable: bool) -> None:
    target = tmp_path / "部品.kizu"
    atomic_write(target, data, durable=durable)
    assert target.read_bytes() == b"new"
    target.write_bytes(b"something older and longer")
    atomic_write(str(target), data, durable=durable)
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), SystemExit(1), ValueError("no"), MemoryError()])
def test_whatever_breaks_off_leaves_the_target_and_nothing_else(tmp_path: Path, problem: BaseException) -> None:
    target = tmp_path / "a.kizu"
    target.write_bytes(b"old")
    with pytest.raises(type(problem)) as caught:
        atomic_write(target, breaks_off(problem))
    assert caught.value is problem
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_failing_in_the_last_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(self: Path, target: Path) -> NoReturn:
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OutputError, match=r"a\.kizu: cannot be written: no permission, or another program has"):
        atomic_write(tmp_path / "a.kizu", b"new")
    assert list(tmp_path.iterdir()) == []


def test_the_target_stays_whole_until_the_last_moment(tmp_path: Path) -> None:
    target = tmp_path / "a.kizu"
    target.write_bytes(b"old")

    def write(file: BinaryIO) -> None:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"

    atomic_write(target, write)
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_gets_the_usual_permissions(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        atomic_write(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_an_existing_file_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    target.chmod(0o640)
    atomic_write(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a").read_bytes() == b"new"


@pytest.mark.parametrize("durable", [True, False])
def test_the_file_and_its_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write(tmp_path / "a", b"new", durable=durable)
    assert synced == (["file", "folder"] if durable else [])


def test_what_is_no_ordinary_file_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder; give the name of a file in it"):
        atomic_write(tmp_path, b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="pipe: is not an ordinary file; give another name"):
        atomic_write(tmp_path / "pipe", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.kizu: cannot be written: the folder is not there; check the name"):
        atomic_write(tmp_path / "gone" / "a.kizu", b"")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a part of this path is a file, not a folder"):
        atomic_write(tmp_path / "file" / "a.kizu", b"")
    with pytest.raises(OutputError, match=r"the folder is not there|no permission"):
        atomic_write("/proc/a.kizu", b"")


def test_the_folder_vanishes_while_writing(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()

    def write(file: BinaryIO) -> None:
        file.write(b"new")
        next(folder.iterdir()).unlink()
        folder.rmdir()

    with pytest.raises(OutputError, match="the folder is not there; check the name, or whether the drive is conn"):
        atomic_write(folder / "a.kizu", write)
    assert not folder.exists()


LIMITED = """
import resource, sys, zipfile
from pathlib import Path
from kizu.errors import OutputError
from kizu.files import atomic_write

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
data = bytes(100_000)
if sys.argv[2] == "callable":
    data = lambda file: [file.write(bytes(700)) for _ in range(99)]
if sys.argv[2] == "zip":
    def data(file):
        with zipfile.ZipFile(file, "w") as archive:
            for number in range(99):
                archive.writestr(str(number), bytes(700))
try:
    atomic_write(sys.argv[1], data)
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("form", ["bytes", "callable", "zip"])
def test_a_full_disk(tmp_path: Path, form: str) -> None:
    target = tmp_path / "a.kizu"
    target.write_bytes(b"old")
    command = [sys.executable, "-c", LIMITED, str(target), form]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout == f"{target}: cannot be written: no space left on the drive; free some and run again.\n"
    assert said.stderr == ""
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space left on the drive; free some and run again"),
        (errno.EDQUOT, "no space left on the drive; free some and run again"),
        (errno.EACCES, "no permission, or another program has it open; close it, or choose another folder"),
        (errno.EROFS, "the drive is read-only; choose a folder on another one"),
        (errno.EIO, "broken; check that the drive is connected and has space left, and run again"),
    ],
)
def test_words_for_what_went_wrong(code: int, words: str) -> None:
    assert str(output_error("a/b", OSError(code, "broken"))) == f"a/b: cannot be written: {words}."


def test_words_where_the_system_gave_no_number() -> None:
    said = str(output_error("a", OSError("5000 requested and\n 3000 written")))
    assert said.startswith("a: cannot be written: 5000 requested and 3000 written; check that the drive is")


def test_together_or_not_at_all(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    write_together({one: b"old", two: writes(b"old")})
    before = files(tmp_path)
    assert before == {"1": b"old", "2": b"old"}
    with pytest.raises(OutputError, match="2: cannot be written: no space left on the drive"):
        write_together({one: b"new", two: breaks_off(OSError(errno.ENOSPC, "full"))})
    with pytest.raises(OutputError, match="no: cannot be written: the folder is not there"):
        write_together({one: b"new", tmp_path / "gone" / "no": b"new"})
    assert files(tmp_path) == before


def test_prepare_folder_makes_it_and_leaves_no_trace(tmp_path: Path) -> None:
    folder = tmp_path / "結果" / "run 1"
    assert prepare_folder(folder) == folder
    assert prepare_folder(str(folder)) == folder
    assert list(folder.iterdir()) == []


def test_prepare_folder_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(OutputError, match=r"file: is a file, not a folder; choose another name, or move the file"):
        prepare_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="a part of this path is a file"):
        prepare_folder(tmp_path / "file" / "out")
    with pytest.raises(OutputError, match="/proc/kizu: cannot be written: "):
        prepare_folder("/proc/kizu")
    with pytest.raises(OutputError, match="/proc: cannot be written: "):
        prepare_folder("/proc")
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_check_writable_makes_the_folder_and_touches_no_file(tmp_path: Path) -> None:
    target = tmp_path / "models" / "a.kizu"
    check_writable(target)
    assert list(target.parent.iterdir()) == []
    target.write_bytes(b"old")
    check_writable(str(target))
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def test_check_writable_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a folder; give the name of a file in it"):
        check_writable(tmp_path)
    with pytest.raises(OutputError, match="is a file, not a folder"):
        check_writable(tmp_path / "file" / "a.kizu")
    with pytest.raises(OutputError, match="/proc: cannot be written: "):
        check_writable("/proc/a.kizu")


def test_a_new_folder_appears_when_it_is_done(tmp_path: Path) -> None:
    target = tmp_path / "新しい" / "folder"
    with new_folder(target) as folder:
        (folder / "a").write_bytes(b"a")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["folder"]
    assert (target / "a").read_bytes() == b"a"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_new_folder_is_gone_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), new_folder(tmp_path / "folder") as folder:  # noqa: PT012
        (folder / "a").touch()
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_takes_the_place_of_an_empty_one_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with new_folder(tmp_path / "folder") as folder:
        (folder / "a").touch()
    for target in (tmp_path / "folder", tmp_path / "folder" / "a"):
        with pytest.raises(OutputError, match="give a folder that is empty or not there"), new_folder(target):
            raise AssertionError("not reached")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "a"]


@pytest.mark.parametrize("name", [".", "linked"])
def test_a_new_folder_in_one_that_must_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where one is, where a drive is mounted, and behind a link nothing can take a folder's place."""
    drive = tmp_path / "drive"
    drive.mkdir()
    (tmp_path / "linked").symlink_to(drive)
    monkeypatch.chdir(drive if name == "." else tmp_path)
    with new_folder(Path(name), last=["mark"]) as folder:
        assert folder.resolve().parent == drive  # on the same drive
        (folder / "mark").touch()
        (folder / "part").mkdir()
    assert sorted(path.name for path in drive.iterdir()) == ["mark", "part"]


def test_a_new_folder_in_one_with_files_that_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"mine")
    with new_folder(tmp_path, besides=["a.zip"]) as folder:
        (folder / "part").mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "part"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
def test_a_new_folder_that_is_not_all_moved_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    replace, seen = Path.replace, []

    def breaks(self: Path, target: Path) -> Path:
        if self.name == "mark" and not seen:
            seen.extend(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
            raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", breaks)
    with pytest.raises((OutputError, KeyboardInterrupt)), new_folder(tmp_path, last=["mark"]) as folder:  # noqa: PT012
        for name in ("a", "mark", "z"):
            (folder / name).touch()
    assert sorted(seen) == ["a", "z"]
    assert list(tmp_path.iterdir()) == []


def test_what_came_while_a_new_folder_was_made_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a file of that name is in the way"), new_folder(tmp_path) as folder:  # noqa: PT012
        (folder / "a").write_bytes(b"new")
        (tmp_path / "a").write_bytes(b"mine")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_a_broken_link_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(OutputError, match="is a broken link; give a folder"):
        check_free(tmp_path / "link")


def test_what_a_power_cut_left_is_no_file_and_goes_in_time(tmp_path: Path) -> None:
    old, new = (tmp_path / f".kizu-{digit * 16}.tmp" for digit in "ab")
    (old / "inner").mkdir(parents=True)
    (old / "inner" / "1.png").write_bytes(b"half")
    new.write_bytes(b"another program's")
    others = [tmp_path / ".kizu-mine.tmp", tmp_path / "folder"]
    others[0].write_bytes(b"mine")
    others[1].mkdir()
    for path in (old, *others):
        os.utime(path, (0, 0))
    check_free(tmp_path, besides={path.name for path in others})
    prepare_folder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([new, *others])
    with pytest.raises(OutputError, match="holds files already"):
        check_free(tmp_path)
