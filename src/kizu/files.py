"""Writing files so that they are whole or not there at all, and saying plainly why one could not be written."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from kizu.errors import OutputError

Data = bytes | Callable[[BinaryIO], None]
"""What a file is to hold: its bytes, or what writes them to the open file it is given."""

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_ADVICE = {
    errno.EEXIST: "a file of that name is in the way; move it, or choose another folder",
    errno.ENOENT: "the folder is not there; check the name, or whether the drive is connected",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another folder",
    errno.EISDIR: "is a folder; give the name of a file in it",
    errno.EROFS: "the drive is read-only; choose a folder on another one",
    errno.ENAMETOOLONG: "the name is too long for this drive; choose a shorter one",
}


_HIDDEN = re.compile(r"\.kizu-[0-9a-f]{16}\.tmp")
_LEFT_BEHIND = 24 * 60 * 60
"""Seconds after which nothing still works on a hidden file: a power cut has left it there."""


def _hidden() -> str:
    """The name of a file or folder that is not whole yet."""
    return f".kizu-{secrets.token_hex(8)}.tmp"


def atomic_write(path: Path | str, data: Data, *, durable: bool = True) -> None:
    """Write a file whole or not at all: ``data`` is its bytes, or writes them to the open file it is given.

    The bytes go to a hidden file in the same folder, which then takes the target's place in one step; until
    then an existing target stays as it was. Its permissions are kept, a new file gets the usual ones (umask);
    a link is followed. With ``durable`` the file and its folder entry are on the disk on return: a power cut
    does not undo them. Whatever goes wrong, an interrupt included, no partial file stays.

    Raises:
        OutputError: the file cannot be written: no folder, no permission, no space left.
        BaseException: what ``data`` raises, other than ``OSError``, as it is.
    """
    write_together({path: data}, durable=durable)


def write_together(files: Mapping[Path | str, Data], *, durable: bool = True) -> None:
    """Write files as `atomic_write` does one, and give none its name before all of them are whole: where one cannot
    be written, as on a full drive, what is there stays as it was, all of it.
    """
    with ExitStack() as stack:
        filled = {path: stack.enter_context(_filled(path, data, durable)) for path, data in files.items()}
        for path, (partial, target) in filled.items():
            try:
                move_into_place(partial, target, durable=durable)
            except OSError as error:
                raise output_error(path, error) from error


@contextmanager
def _filled(path: Path | str, data: Data, durable: bool) -> Iterator[tuple[Path, Path]]:
    """A hidden file that holds ``data``, gone after the block unless it was moved, and the file it is to become."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        what = _ADVICE[errno.EISDIR] if target.is_dir() else "is not an ordinary file; give another name"
        raise OutputError(f"{path}: {what}.")
    partial = target.with_name(_hidden())
    try:
        try:
            _fill(partial, data, durable)
        except OSError as error:
            raise output_error(path, error) from error
        yield partial, target
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def prepare_folder(path: Path | str) -> Path:
    """Make sure ``path`` is a folder in which files can be written, creating it and those above it. What a power cut
    has left unfinished in it a day ago is removed.

    Raises:
        OutputError: it is a file, cannot be created, or nothing can be written in it.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, not a folder; choose another name, or move the file away.")
    probe = folder / _hidden()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with probe.open("xb"):  # the only test that holds for every user, system and network drive
            pass
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    _sweep(folder)
    return folder


def _sweep(folder: Path) -> None:
    with suppress(OSError):
        for left in [child for child in folder.glob(".kizu-*.tmp") if _HIDDEN.fullmatch(child.name)]:
            if time.time() - left.lstat().st_mtime > _LEFT_BEHIND:
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()


def move_into_place(partial: Path, target: Path, *, durable: bool = True) -> None:
    """Give a finished file its name in one step, and an existing target's permissions. Raises ``OSError``."""
    if target.exists():
        partial.chmod(target.stat().st_mode & 0o7777)
    partial.replace(target)
    if durable:
        sync_folder(target.parent)


def output_error(path: Path | str, error: OSError) -> OutputError:
    """The one form of words for a file or folder that cannot be written.

    >>> str(output_error("out/a.png", OSError(errno.ENOSPC, "")))
    'out/a.png: cannot be written: no space left on the drive; free some and run again.'
    """
    return OutputError(f"{path}: cannot be written: {_reason(error)}.")


def _reason(error: OSError) -> str:
    if error.errno in _FULL:
        return "no space left on the drive; free some and run again"
    if error.errno in _FORBIDDEN:
        return "no permission, or another program has it open; close it, or choose another folder"
    if error.errno in _ADVICE:
        return _ADVICE[error.errno]
    said = " ".join((error.strerror or str(error)).split())
    return f"{said}; check that the drive is connected and has space left, and run again"


def _fill(partial: Path, data: Data, durable: bool) -> None:
    with partial.open("xb") as file:
        if callable(data):
            data(file)
        else:
            file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the folder's entries to the disk, where the system can (Windows and some network drives cannot)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def check_writable(path: Path | str) -> None:
    """Make sure, before long work, that a file can be written at ``path``; creates its folder, not the file.

    Raises:
        OutputError: it is a folder, or its folder cannot be written in.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"{path}: {_ADVICE[errno.EISDIR]}.")
    prepare_folder(target.parent)


def keep_others(path: Path | str, ours: Callable[[Path], bool], what: str) -> None:
    """Make sure that a file of others is not lost at ``path``, where a ``what`` is to be written: ``ours`` tells
    whether the one that is there is of kizu. Raises `OutputError`.
    """
    target = Path(path)
    if target.is_file() and not ours(target):
        raise OutputError(
            f"{path}: is there already, and is no {what} that kizu wrote: it would be lost. Give the {what} another "
            "name, or move that file."
        )


def says_early(path: Path, mark: bytes, within: int = 4096) -> bool:
    """Whether ``mark`` is in the first bytes of a file; in one that cannot be read it is not."""
    try:
        with path.open("rb") as file:
            return mark in file.read(within)
    except OSError:
        return False


def says_late(path: Path, mark: bytes, within: int = 1 << 16) -> bool:
    """As `says_early`, of the last bytes."""
    try:
        with path.open("rb") as file:
            file.seek(-min(within, path.stat().st_size), os.SEEK_END)
            return mark in file.read(within)
    except OSError:
        return False


def workplace(target: Path) -> Path:
    """Where the folder ``target`` is made: in it if it is there, since it may be a whole drive, else beside it."""
    return target if target.is_dir() else target.absolute().parent


@contextmanager
def new_folder(target: Path, *, besides: Collection[str] = (), last: Collection[str] = ()) -> Iterator[Path]:
    """A hidden folder that becomes ``target`` when the block is done, and is gone after an error.

    A ``target`` that is there must be empty, ``besides`` files of these names. It stays, and what was made is moved
    up into it, the names in ``last`` after all others: where they are, all is.

    Raises `OutputError` when ``target`` is a file or a folder that is not empty, or cannot be written.
    """
    check_free(target, besides=besides)
    place = workplace(target)
    folder = prepare_folder(place) / _hidden()
    try:
        folder.mkdir()
        yield folder
        if place == target:
            _move_up(folder, last)
        else:
            folder.replace(target)
    except OSError as error:
        raise output_error(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_up(folder: Path, last: Collection[str]) -> None:
    """Bring all that is in a folder into the one around it, or nothing. Raises ``OSError``."""
    moved: list[Path] = []
    try:
        for child in sorted(folder.iterdir(), key=lambda child: child.name in last):
            place = folder.parent / child.name
            if os.path.lexists(place):
                raise FileExistsError(errno.EEXIST, "came in the meantime")
            moved.append(child.replace(place))
    except BaseException:
        for place in reversed(moved):
            with suppress(OSError):
                place.replace(folder / place.name)
        raise


def check_free(target: Path, *, besides: Collection[str] = ()) -> None:
    """Make sure that `new_folder` can make ``target``. Raises `OutputError`."""
    try:
        if not os.path.lexists(target):
            return
        others = [child.name for child in target.iterdir()] if target.is_dir() else [""]
        if all(name in besides or _HIDDEN.fullmatch(name) for name in others):
            return
    except OSError as error:
        raise output_error(target, error) from error
    what = "holds files already" if target.is_dir() else "is a file" if target.exists() else "is a broken link"
    raise OutputError(f"{target}: {what}; give a folder that is empty or not there.")
