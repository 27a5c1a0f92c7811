"""``predictions.csv``: a line an image, written as the images come.

The encoding is UTF-8 with a byte-order mark: without it Excel shows Japanese file names as garbage. Python
reads it with ``encoding="utf-8-sig"``.

Cells that a spreadsheet would take for a formula (they begin with ``= + - @``, a tab or a line break; Japanese
Excel takes the full-width forms too) are made harmless: a path gets ``./`` in front and still names the same
file, a label or a type gets an apostrophe, unless it is a plain number.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from kizu.errors import OutputError
from kizu.files import move_into_place, output_error

if TYPE_CHECKING:
    from typing_extensions import Self

COLUMNS = ("path", "label", "type", "score", "threshold", "verdict", "milliseconds")
"""The columns of ``predictions.csv``."""

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


@dataclass(frozen=True)
class PredictionRow:
    """One image's line; ``label`` and ``type`` are empty when they are not known."""

    path: str
    score: float
    threshold: float
    verdict: str
    milliseconds: float
    label: str = ""
    type: str = ""

    def cells(self) -> tuple[str, ...]:
        """The cells in the order of `COLUMNS`; numbers so that reading them back gives the same floats.

        >>> PredictionRow("=1.png", 31.2, 28.4, "ng", 18.04251, type="crack").cells()
        ('./=1.png', '', 'crack', '31.2', '28.4', 'ng', '18.043')
        """
        path = f"./{self.path}" if self.path.startswith(_FORMULA) else self.path
        numbers = (repr(float(self.score)), repr(float(self.threshold)))
        spent = f"{self.milliseconds:.3f}"
        return (path, _harmless(self.label), _harmless(self.type), *numbers, self.verdict, spent)


class PredictionTable:
    """Writes rows to ``NAME.part``, which becomes ``NAME`` when the ``with`` block ends well.

    Every row is handed to the system as it comes. An interrupt or an error leaves ``NAME.part`` there, on
    purpose: what has been scored is not lost. An existing ``NAME`` then stays as it was. The next run with
    the same name starts ``NAME.part`` anew.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "predictions.csv"
    >>> with PredictionTable(target) as table:
    ...     table.append(PredictionRow("部品.png", 31.2, 28.4, "ng", 18.0))
    >>> target.read_text("utf-8-sig").splitlines()[1]
    '部品.png,,,31.2,28.4,ng,18.000'

    Raises:
        OutputError: the file cannot be written, or there is no space left (entering, `append`, leaving).
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(f"{self.path.name}.part")

    def __enter__(self) -> Self:
        if self.path.is_dir():
            raise OutputError(f"{self.path}: is a folder; give the name of a file in it.")
        with self._reporting():
            self._file = self.part.open("wb")
        try:
            self._write(codecs.BOM_UTF8 + _line(COLUMNS))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write(b"")
                with self._reporting():
                    os.fsync(self._file.fileno())
        finally:
            self._close()
        if kind is None:
            with self._reporting():
                move_into_place(self.part, self.path)

    def append(self, row: PredictionRow) -> None:
        """Write one row; once it returns, the row outlives this process."""
        self._write(_line(row.cells()))

    def _write(self, data: bytes) -> None:
        with self._reporting():
            self._file.write(data)
            self._file.flush()

    def _close(self) -> None:
        with suppress(OSError):  # it would try again to write what did not fit, and has been reported
            self._file.close()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise output_error(self.path, error) from error


def _line(cells: Sequence[str]) -> bytes:
    """A line of the file. A name that is no valid Unicode gets escapes, so that the file always is."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode(errors="backslashreplace")


def _harmless(text: str) -> str:
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
