"""Archives into a folder: all of it or nothing, and nothing outside it.

Names that lead out of the folder, links and devices are refused, with everything else in the archive: one that holds
them was not made to be a data set. Formats: zip, and tar in any compression that Python knows.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO

from kizu.errors import DownloadError
from kizu.files import new_folder
from kizu.progress import Progress, Silent

Rename = tuple[str, str]
"""A regular expression that a whole name in the archive must match, and what it is called in the folder."""

_CHUNK = 2**20
_BAD_NAME = re.compile(r'[<>:"|?*\x00-\x1f]')  # what Windows cannot write, and ``C:``
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError),
)


def unpack(
    archive: Path,
    target: Path,
    *,
    rename: Sequence[Rename] = (),
    add: Mapping[str, str] = MappingProxyType({}),
    check: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Unpack ``archive`` into the folder ``target``, which must be empty or not be there, and return it.

    ``rename``: the first entry whose expression matches a file's name gives its name in the folder, and files that
    none matches are left out; without any, names are as they are. ``add``: texts to put beside them, by name. Until
    all is written the folder does not appear. ``check`` is shown it before, and may raise to have it gone.

    Raises:
        DownloadError: it is no archive, is damaged or encrypted, holds nothing that is wanted, or is not safe.
        OutputError: the folder is not empty, or cannot be written.
    """
    with new_folder(target) as folder:
        try:
            count = _written(archive, folder, rename, progress or Silent())
        except _DAMAGED as error:
            raise DownloadError(f"{archive}: is damaged ({_words(error)}). Delete it and fetch it anew.") from error
        for name, text in add.items():
            (folder / name).write_text(text, encoding="utf-8")
        if not count:
            raise DownloadError(
                f"{archive}: holds none of the files expected. It may be another archive; fetch it anew."
            )
        if check is not None:
            check(folder)
    return target


def _written(archive: Path, folder: Path, rename: Sequence[Rename], progress: Progress) -> int:
    size = _size(archive)
    with archive.open("rb") as file, progress.stage(f"Unpacking {archive.name}", size, unit="bytes") as advance:
        done = count = 0
        for name, copy in _members(archive, file):
            wanted = _wanted(archive, name, rename)
            if wanted is not None:
                _write(archive, folder, wanted, copy)
                count += 1
            place = min(file.tell(), size) if not file.closed else size
            advance(max(0, place - done))
            done = max(done, place)
        advance(size - done)
    return count


def _size(archive: Path) -> int:
    try:
        return archive.stat().st_size
    except OSError as error:
        raise DownloadError(f"{archive}: cannot be read: {error.strerror}. Check the path.") from error


Copy = Callable[[Path], None]


def _members(archive: Path, file: IO[bytes]) -> Iterator[tuple[str, Copy]]:
    """Names of the files in it, and what writes each."""
    if zipfile.is_zipfile(file):
        yield from _of_zip(archive, file)
        return
    file.seek(0)
    try:
        opened = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115 - closed below
    except tarfile.ReadError as error:
        raise DownloadError(
            f"{archive}: is neither a zip nor a tar archive, or is cut short. Fetch it anew."
        ) from error
    with opened:
        yield from _of_tar(archive, opened)


def _of_zip(archive: Path, file: IO[bytes]) -> Iterator[tuple[str, Copy]]:
    with zipfile.ZipFile(file) as opened:
        for member in opened.infolist():
            if member.flag_bits & 0x1:
                raise DownloadError(f"{archive}: is encrypted; unpack it by hand.")
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(archive, member.filename, "is a link or a device")
            if not member.is_dir():
                yield member.filename, lambda path, member=member: _copy(opened.open(member), path)  # type: ignore[misc]


def _of_tar(archive: Path, opened: tarfile.TarFile) -> Iterator[tuple[str, Copy]]:
    for member in opened:
        if member.isfile():
            content = opened.extractfile(member)
            if content is not None:
                yield member.name, lambda path, content=content: _copy(content, path)  # type: ignore[misc]
        elif not member.isdir():
            raise _unsafe(archive, member.name, "is a link or a device")
    while opened.fileobj is not None and opened.fileobj.read(_CHUNK):  # on to the checksum at the end, if it has one
        pass


def _copy(content: IO[bytes], path: Path) -> None:
    with content, path.open("xb") as file:
        shutil.copyfileobj(content, file, _CHUNK)


def _wanted(archive: Path, name: str, rename: Sequence[Rename]) -> str | None:
    """A file's name in the folder; None when it is left out."""
    name = name.replace("\\", "/")
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise _unsafe(archive, name, "leads out of the folder")
    if not rename:
        found: str | None = PurePosixPath(name).as_posix()
    else:
        matches = ((re.fullmatch(pattern, name), to) for pattern, to in rename)
        found = next((match.expand(to) for match, to in matches if match), None)
    if found is not None and (_BAD_NAME.search(found) or found.startswith("/") or ".." in PurePosixPath(found).parts):
        raise _unsafe(archive, name, "is not a name for a file on every system")
    return found


def _write(archive: Path, folder: Path, name: str, copy: Copy) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        copy(path)
    except FileExistsError:
        raise DownloadError(f"{archive}: holds {name} twice; unpack it by hand.") from None
    except RuntimeError as error:  # what zipfile raises for a wrong password
        raise DownloadError(f"{archive}: {name} cannot be unpacked ({_words(error)}); unpack it by hand.") from error


def _unsafe(archive: Path, name: str, why: str) -> DownloadError:
    return DownloadError(f"{archive}: is not safe to unpack: {name!r} {why}. Nothing was written; do not use it.")


def _words(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split()).rstrip(".")
