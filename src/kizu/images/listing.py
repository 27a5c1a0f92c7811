"""Which files of a folder are images, in an order that is the same on every system."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

from kizu.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""Suffixes of image files, in lower case."""

_CLUTTER = frozenset({"__macosx", "@eadir"})  # folders that archives and network drives leave


def is_image(path: Path | str) -> bool:
    """Whether a name is that of an image file: a known suffix in any case, and not hidden.

    Nothing is read. ``Thumbs.db``, ``.DS_Store`` and the ``._NAME`` files of macOS are none.

    >>> is_image("部品.PNG"), is_image("._部品.PNG"), is_image("Thumbs.db")
    (True, False, False)
    """
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not is_hidden(path.name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no part of a data set."""
    return name.startswith(".") or name.lower() in _CLUTTER


def sort_key(path: Path | str) -> tuple[str, str]:
    """Order by name, the same on every system: composed Unicode first (macOS stores names decomposed)."""
    text = Path(path).as_posix()
    return unicodedata.normalize("NFC", text), text


def find_images(folder: Path | str, recursive: bool = False) -> tuple[Path, ...]:
    """The image files of a folder, sorted by `sort_key`; with ``recursive``, those of folders inside it too.

    Hidden folders are left out, and links to folders are not followed; ``folder`` itself may be one.

    Raises:
        DataError: the folder, or one inside it, cannot be listed.
    """
    found: list[Path] = []
    folders = [Path(folder)]
    while folders:
        inner, files = list_folder(folders.pop(), linked=False)
        found += filter(is_image, files)
        folders += inner if recursive else ()
    return tuple(sorted(found, key=sort_key))


def list_folder(folder: Path, *, linked: bool = True) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The folders and the files in a folder, hidden ones left out, each sorted by `sort_key`.

    Links to folders are among the folders where ``linked``, and left out otherwise; a link that leads nowhere, or to
    itself, counts as a file.

    Raises:
        DataError: the folder cannot be listed.
    """
    folders: list[Path] = []
    files: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if not _is_folder(entry):
                    files.append(folder / entry.name)
                elif linked or not entry.is_symlink():
                    folders.append(folder / entry.name)
    except OSError as error:
        raise _unlisted(folder, error) from None
    return tuple(sorted(folders, key=sort_key)), tuple(sorted(files, key=sort_key))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one. What looks like an image is none where the system cannot tell:
    reading it says what is wrong.
    """
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP or is_image(entry.name):
            return False
        raise _unlisted(Path(entry.path), error) from None


def _unlisted(folder: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{folder}: no such folder; check the name, or whether the drive is connected")
    if isinstance(error, NotADirectoryError):
        return DataError(f"{folder}: is a file, not a folder; give the folder it is in")
    if isinstance(error, PermissionError):
        return DataError(f"{folder}: no permission to list it; change its permissions, or run as a user who may")
    reason = error.strerror or str(error)
    return DataError(f"{folder}: cannot be listed ({reason}); check the drive or network it is on")
