"""Archives into a folder: all of it or nothing, and nothing outside it.

Names that lead out of the folder, links and devices are refused, with everything else in the archive: one that holds
them was not made to be a data set. Formats: zip, and tar in any compression that Python knows.
"""

from __future__ import annotations

import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from kizu.errors import DownloadError
from kizu.files import new_folder
from kizu.progress import Progress, Silent

if TYPE_CHECKING:
    from typing_extensions import Self

Rename = tuple[str, str]
"""A regular expression that a whole name in the archive must match, and what it is called in the folder."""

_CHUNK = 2**20
_BAD_NAME = re.compile(  # what Windows cannot write, or writes elsewhere: ``C:``, ends with a dot or a space, devices
    r'[<>:"|?*\x00-\x1f]|[. ](?:/|$)|(?:^|/)(?:con|prn|aux|nul|(?:com|lpt)[1-9¹²³]) *(?:[./]|$)', re.IGNORECASE
)
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


def unpack(
    archive: Path,
    target: Path,
    *,
    rename: Sequence[Rename] = (),
    add: Mapping[str, str] = MappingProxyType({}),
    check: Callable[[Path], None] | None = None,
    besides: Collection[str] = (),
    progress: Progress | None = None,
) -> Path:
    """Unpack ``archive`` into the folder ``target``, which must be empty or not be there, and return it.

    ``rename``: the first entry whose expression matches a file's name gives its name in the folder, and files that
    none matches are left out; without any, names are as they are. ``add``: texts to put beside them, by name. Until
    all is written the folder does not appear; in one that is there, which may hold files ``besides``, these texts
    come last. ``check`` is shown it before, and may raise to have it gone.

    Raises:
        DownloadError: it is no archive, is damaged or encrypted, holds nothing that is wanted, or is not safe.
        OutputError: the folder is not empty, or cannot be written.
    """
    with new_folder(target, besides=besides, last=add) as folder:
        count = _written(archive, folder, rename, progress or Silent())
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
    with _reading(archive):
        size, file = archive.stat().st_size, archive.open("rb")
    with file, progress.stage(f"Unpacking {archive.name}", size, unit="bytes") as advance:
        done = count = 0
        for name, content in _members(archive, file):
            wanted = _wanted(archive, name, rename)
            if wanted is not None:
                _write(archive, folder, wanted, content)
                count += 1
            place = min(file.tell(), size) if not file.closed else size
            advance(max(0, place - done))
            done = max(done, place)
        advance(size - done)
    return count


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """Says of the archive what goes wrong while it is read; what goes wrong while files are written is another's."""
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            said = error.strerror or error
            raise DownloadError(f"{archive}: cannot be read: {said}. Check the path and its drive.") from error
        raise DownloadError(f"{archive}: is damaged ({_words(error)}). Delete it and fetch it anew.") from error


Content = Callable[[], IO[bytes]]


def _members(archive: Path, file: IO[bytes]) -> Iterator[tuple[str, Content]]:
    """Names of the files in it, and what opens each."""
    with _reading(archive):
        if zipfile.is_zipfile(file):
            yield from _of_zip(archive, file)
            return
        file.seek(0)
        try:
            opened = tarfile.open(fileobj=file, mode="r:*", tarinfo=_Member)  # noqa: SIM115 - closed below
        except tarfile.ReadError as error:
            raise DownloadError(
                f"{archive}: is neither a zip nor a tar archive, or is cut short. Fetch it anew."
            ) from error
        with opened:
            yield from _of_tar(archive, opened)


def _of_zip(archive: Path, file: IO[bytes]) -> Iterator[tuple[str, Content]]:
    with zipfile.ZipFile(file) as opened:
        for member in opened.infolist():
            if member.flag_bits & 0x1:
                raise DownloadError(f"{archive}: is encrypted; unpack it by hand.")
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(archive, member.filename, "is a link or a device")
            if not member.is_dir():
                yield member.filename, partial(opened.open, member)


class _Member(tarfile.TarInfo):
    """A header of a tar archive; one that is cut off or damaged is an error, which tarfile takes for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"it breaks off: {error}") from error


def _of_tar(archive: Path, opened: tarfile.TarFile) -> Iterator[tuple[str, Content]]:
    for member in opened:
        if member.isfile():
            content = opened.extractfile(member)
            if content is not None:
                yield member.name, lambda content=content: content  # type: ignore[misc]
        elif not member.isdir():
            raise _unsafe(archive, member.name, "is a link or a device")
    while opened.fileobj is not None and opened.fileobj.read(_CHUNK):  # on to the checksum at the end, if it has one
        pass


def _copy(archive: Path, content: IO[bytes], path: Path) -> None:
    with content, path.open("xb") as file:
        while True:
            with _reading(archive):
                chunk = content.read(_CHUNK)
            if not chunk:
                return
            file.write(chunk)


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


def _write(archive: Path, folder: Path, name: str, content: Content) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _reading(archive):
            opened = content()
        _copy(archive, opened, path)
    except FileExistsError:
        raise DownloadError(f"{archive}: holds {name} twice; unpack it by hand.") from None
    except RuntimeError as error:  # what zipfile raises for a wrong password
        raise DownloadError(f"{archive}: {name} cannot be unpacked ({_words(error)}); unpack it by hand.") from error


def _unsafe(archive: Path, name: str, why: str) -> DownloadError:
    return DownloadError(f"{archive}: is not safe to unpack: {name!r} {why}. Nothing was written; do not use it.")


def _words(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split()).rstrip(".")
