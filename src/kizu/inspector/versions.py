"""Versions of a model file that were replaced, kept beside it: ``NAME.kizu.versions/ID.kizu``.

Each is a copy to the last bit, under its id (`kizu.inspector.identity`). A model is replaced in two steps, each whole
or not at all: it is copied to its versions, and the new file takes its place. Whenever the power goes, the model is
the old one or the new one, and no version is lost. Programs that replace it do so one after the other (`unchanged`).
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from kizu.errors import ModelFileError, OutputError, quoted, unknown_name
from kizu.files import atomic_write, output_error, prepare_folder, sync_folder
from kizu.inspector import _model_file
from kizu.locks import alone

SUFFIX = ".versions"
BLOCK = 2**20


def folder_of(model: Path) -> Path:
    """Where the versions of ``model`` are kept; that of a link's target, where it is a link."""
    real = Path(os.path.realpath(model)) if model.is_symlink() else model
    return real.with_name(real.name + SUFFIX)


def kept(model: Path) -> dict[str, Path]:
    """The versions that are there, by id."""
    return {path.stem: path for path in sorted(folder_of(model).glob("*.kizu"))}


def keep(model: Path, folder: Path) -> Path:
    """Copy ``model`` to its place among the versions in ``folder``, and return that.

    Raises `ModelFileError` when it cannot be read, `OutputError` when the copy cannot be written.
    """
    target = folder / f"{_model_file.identity(model)}.kizu"
    if not (target.exists() and filecmp.cmp(model, target, shallow=False)):
        prepare_folder(folder)
        _copy(model, target)
        sync_folder(folder.parent)
    return target


@contextmanager
def keeping(target: Path) -> Iterator[Path]:
    """The folder for the versions of ``target``, made if need be; no other kizu keeps any there meanwhile, nor writes
    a ``target`` that is not there yet.

    Raises `OutputError`.
    """
    folder = prepare_folder(folder_of(target))
    with alone(folder, wait=True):
        yield folder


def version(model: Path, named: str) -> Path:
    """The version of ``model`` whose id ``named`` is, or begins with; verified.

    Raises `ModelFileError` when there is none, several, or it is not what it was.
    """
    versions = kept(model)
    found = [path for identity, path in versions.items() if named and identity.startswith(named)]
    if len(found) != 1:
        problem = unknown_name("version", named, versions) if not found else f"several versions begin with {named!r}."
        raise ModelFileError(f"{model}: {problem} See `kizu update {quoted(model)} --history`.")
    _model_file.read(found[0])
    if _model_file.identity(found[0]) != found[0].stem:
        raise ModelFileError(f"{found[0]}: was altered since it was kept. Restore it from a copy, or leave it.")
    return found[0]


def check_folder(model: Path) -> None:
    """Make sure, before long work, that the system takes the name of `folder_of`. Raises `OutputError`."""
    folder = folder_of(model)
    try:
        os.lstat(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise output_error(folder, error) from error


@contextmanager
def unchanged(model: Path, previous: str, target: Path) -> Iterator[None]:
    """While ``target`` is written, ``model`` itself or another file, no other kizu replaces either of them; before
    that the model is still of the id ``previous``.

    Raises `OutputError` when another program changed it, `ModelFileError` when it cannot be read.
    """
    with ExitStack() as stack:
        for file in sorted({os.path.realpath(model), os.path.realpath(target)}):  # all take them in the same order
            stack.enter_context(alone(Path(file), wait=True))
        if _model_file.identity(model) != previous:
            raise OutputError(f"{model}: was changed by another program meanwhile; nothing was written. Run again.")
        yield


def restore(model: Path, named: str) -> Path:
    """Put a version in the place of ``model``, which is kept in turn; returns the version's file.

    Raises `ModelFileError` and `OutputError` as `version`, `keep` and `unchanged`.
    """
    found = version(model, named)
    if not model.exists():
        _copy(found, model)
        return found
    with unchanged(model, _model_file.identity(model), model):
        keep(model, folder_of(model))
        _copy(found, model)
    return found


def _copy(source: Path, target: Path) -> None:
    def fill(file: BinaryIO) -> None:
        for block in _blocks(source):
            file.write(block)

    atomic_write(target, fill)


def _blocks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise ModelFileError(
            f"{source}: cannot be read: {error.strerror or error}. Check disk and network."
        ) from None
