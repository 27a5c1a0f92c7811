"""Fetching a file over HTTP: whole and checked, or not at all; what is broken off goes on where it stopped.

What has come so far lies beside the target as ``NAME.part``; ``NAME.part.state`` holds what the server called that
version of the file (its ``ETag`` or ``Last-Modified``), so that two versions are never put together, and the address
it is from, and is locked while a process writes. Ranges, validators and their meaning: RFC 9110, sections 8.8, 13.1.5
and 14.
"""

from __future__ import annotations

import http.client
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from kizu._version import __version__
from kizu.downloads import _http, checksum
from kizu.errors import DownloadError
from kizu.files import move_into_place, output_error, prepare_folder
from kizu.locks import alone
from kizu.progress import Advance, Progress, Silent

TIMEOUT = 30.0
"""Seconds without a single byte after which a connection counts as broken."""

_CHUNK = 2**17
_AGAIN = "Check the network and run again: it goes on where it stopped."


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    size: int | None = None,
    exact: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Download ``url`` to ``target``, whose folder is made if need be, and return ``target``.

    ``sha256`` is the file's checksum or its published beginning of at least eight digits; a ``target`` that has it
    already is left alone, one that has not is replaced. None: no checksum is published; then the length that the
    server says is all that is checked, and a ``target`` that is there counts as whole. ``size`` in bytes serves the
    progress bar where the server does not say it; where it is ``exact``, nothing of another length takes the place of
    what has come so far. The environment's proxies are used.

    Raises:
        DownloadError: the file cannot be had, or is not the one expected.
        OutputError: it cannot be written.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url}: only http and https addresses can be downloaded from.")
    prepare_folder(target.parent)
    if _is_here(target, sha256):
        return target
    part = target.with_name(f"{target.name}.part")
    with _claimed(part.with_name(f"{part.name}.state"), target) as state:
        _Transfer(url, part, state, size, exact, progress or Silent()).run(sha256)
        _finish(url, part, target, sha256)
    return target


def part_origin(target: Path) -> str:
    """The address from which a part of ``target`` has come; "" where there is none, or that is not known."""
    part = target.with_name(f"{target.name}.part")
    try:
        state = part.with_name(f"{part.name}.state").read_text(encoding="ascii", errors="ignore")
        return state.partition("\n")[2] if part.stat().st_size else ""
    except OSError:
        return ""


def _is_here(target: Path, sha256: str | None) -> bool:
    if sha256 is None:
        return target.is_file()
    try:
        return checksum.agree(checksum.of(target), sha256)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise output_error(target, error) from error


def _finish(url: str, part: Path, target: Path, sha256: str | None) -> None:
    try:
        found = "" if sha256 is None else checksum.of(part)
        if sha256 is None or checksum.agree(found, sha256):
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            move_into_place(part, target)
            return
        part.unlink()
    except OSError as error:
        raise output_error(target, error) from error
    raise DownloadError(
        f"{url}: what was downloaded is not the expected file (its SHA-256 is {found}, expected {sha256}) and was "
        "removed. Something between here and there may alter downloads; try again or from another network."
    )


class _Transfer:
    """Bytes from a server to the end of a part."""

    def __init__(
        self, url: str, part: Path, state: IO[str], size: int | None, exact: bool, progress: Progress
    ) -> None:
        self._url = url
        self._part = part
        self._state = state
        self._size = size
        self._exact = exact
        self._progress = progress

    def run(self, sha256: str | None) -> None:
        """Go on where the part ends, or begin anew where that is not possible."""
        start = self._part.stat().st_size if self._part.is_file() else 0
        with ExitStack() as stack:
            try:
                response = stack.enter_context(self._open(start))
            except HTTPError as error:
                error.close()
                if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
                    raise self._refused(error) from error
                if sha256 and checksum.agree(
                    checksum.of(self._part), sha256
                ):  # it was whole and only not put in place
                    return
                response = stack.enter_context(self._begin_anew())
            if response.status == HTTPStatus.PARTIAL_CONTENT and _http.range_start(response) != start:
                response = stack.enter_context(self._begin_anew())
            self._receive(response, start if response.status == HTTPStatus.PARTIAL_CONTENT else 0)

    def _begin_anew(self) -> Any:
        try:
            return self._open(0)
        except HTTPError as error:
            error.close()
            raise self._refused(error) from error

    def _open(self, start: int) -> Any:
        request = urllib.request.Request(self._url, headers={"User-Agent": f"kizu/{__version__}"})
        if start:
            request.add_header("Range", f"bytes={start}-")
            self._state.seek(0)
            if validator := self._state.read().partition("\n")[0]:
                request.add_header("If-Range", validator)
        try:
            return _http.opener().open(request, timeout=TIMEOUT)
        except HTTPError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from error

    def _receive(self, response: Any, start: int) -> None:
        left = _http.length(response)
        if not start:
            self._keep_from(left)
        total = start + left if left is not None else self._size or 0
        name = self._part.name.removesuffix(".part")
        try:
            with self._part.open("ab" if start else "wb") as file:
                if not start:
                    self._remember(_http.validator(response))
                with self._progress.stage(f"Downloading {name}", total, unit="bytes") as advance:
                    advance(start)
                    received = self._copy(response, file.write, advance)
        except OSError as error:
            raise output_error(self._part, error) from error
        if (left is not None and received < left) or self._ended_early(response, start, received):
            raise self._broken(f"the connection broke after {start + received} of {total} bytes")

    def _keep_from(self, length: int | None) -> None:
        """Let nothing of a wrong or unknown length take the place of what has come: a page that asks to log in."""
        here = self._part.stat().st_size if self._part.is_file() else 0
        if self._exact and length != self._size and 0 < here < (self._size or 0):
            sent = "does not say how much it sends" if length is None else f"sends {length} bytes"
            raise DownloadError(
                f"{self._url}: cannot be downloaded: the server {sent}, {self._size} bytes are published. "
                f"What has come so far is kept. Try later, or delete {self._part} to begin anew."
            )

    def _ended_early(self, response: Any, start: int, received: int) -> bool:
        """Whether more belongs to an exact size, though the server has not said how much it would send.

        What begins anew in chunks and ends in order is whole: short as it is, it is another file.
        """
        whole = not start and (response.chunked or _http.length(response) is not None)
        return self._exact and start + received < (self._size or 0) and not whole

    def _copy(self, response: Any, write: Callable[[bytes], object], advance: Advance) -> int:
        received = 0
        while chunk := self._read(response):
            write(chunk)
            received += len(chunk)
            advance(len(chunk))
        return received

    def _read(self, response: Any) -> bytes:
        try:
            return bytes(response.read1(_CHUNK))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from error

    def _remember(self, validator: str) -> None:
        self._state.seek(0)
        self._state.truncate()
        self._state.write(f"{validator}\n{self._url}")
        self._state.flush()

    def _broken(self, problem: object) -> DownloadError:
        return DownloadError(f"{self._url}: cannot be downloaded: {_http.reason(problem)}. {_AGAIN}")

    def _refused(self, error: HTTPError) -> DownloadError:
        said = " ".join(f"the server says {error.code} {error.reason or ''}".split()).rstrip(".")
        return DownloadError(f"{self._url}: cannot be downloaded: {said}. Try later, or from another network.")


@contextmanager
def _claimed(path: Path, target: Path) -> Iterator[IO[str]]:
    """The state of a part, which stays as long as the part does; one process at a time."""
    try:
        file = path.open("a+", encoding="ascii", errors="ignore")
    except OSError as error:
        raise output_error(path, error) from error
    mine = False
    try:
        with file, alone(path, wait=False) as mine:
            if not mine:
                raise DownloadError(f"{target}: is being downloaded by another kizu. Wait for that and run again.")
            yield file
    finally:
        if mine and not path.with_suffix("").exists():
            with suppress(OSError):
                path.unlink()
