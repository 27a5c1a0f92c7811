"""Files that grow as results come, and take their name when all of them are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from kizu.errors import OutputError
from kizu.files import move_into_place, output_error

if TYPE_CHECKING:
    from typing_extensions import Self


class GrowingFile:
    """Grows as ``NAME.part``, which becomes ``NAME`` when the ``with`` block ends well.

    What is written is handed to the system at once. An interrupt or an error leaves ``NAME.part`` there, on purpose:
    what has been done is not lost. An existing ``NAME`` then stays as it was. The next run with the same name starts
    ``NAME.part`` anew. ``start``: what stands at the beginning.

    Raises:
        OutputError: the file cannot be written, or there is no space left (entering, `write`, leaving).
    """

    def __init__(self, path: Path | str, start: bytes = b"") -> None:
        self.path = Path(path)
        self.part = self.path.with_name(f"{self.path.name}.part")
        self._start = start

    def __enter__(self) -> Self:
        if self.path.is_dir():
            raise OutputError(f"{self.path}: is a folder; give the name of a file in it.")
        with self._reporting():
            self._file = self.part.open("wb")
        try:
            self.write(self._start)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.write(b"")
                with self._reporting():
                    os.fsync(self._file.fileno())
        finally:
            self._close()
        if kind is None:
            with self._reporting():
                self._finish()

    def write(self, data: bytes) -> None:
        """Once it returns, ``data`` outlives this process."""
        with self._reporting():
            self._file.write(data)
            self._file.flush()

    def _finish(self) -> None:
        """Make ``NAME`` of ``NAME.part``, which is whole and closed."""
        move_into_place(self.part, self.path)

    def _close(self) -> None:
        with suppress(OSError):  # it would try again to write what did not fit, and has been reported
            self._file.close()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise output_error(self.path, error) from error
