"""Files that appear under their names together, when all of them are done, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kizu.errors import OutputError
from kizu.files import move_into_place, output_error, prepare_folder


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A hidden folder beside ``target``; at the end of the block its files move beside it, that one last.

    Files there carry the names they will have, since they may name each other. After an error they are gone, and
    what existed before is as it was. Raises `OutputError`.
    """
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; give the name of a file in it.")
    folder = prepare_folder(target.parent) / f".kizu-{secrets.token_hex(8)}.tmp"
    try:
        folder.mkdir()
        yield folder
        _publish(folder, target)
    except OSError as error:
        raise output_error(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda file: file.name == target.name)
    for file in files:
        _check_free(target.with_name(file.name))
        _sync(file)
    for file in files:
        move_into_place(file, target.with_name(file.name))


def _check_free(place: Path) -> None:
    if place.exists() and not place.is_file():
        raise OutputError(f"{place}: is in the way and not an ordinary file; move it, or choose another name.")


def _sync(file: Path) -> None:
    """Bring what the file holds to the disk before its name says that it is whole."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())
