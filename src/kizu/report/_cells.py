"""Lines of CSV files that are safe to open in a spreadsheet.

The encoding is UTF-8 with a byte-order mark: without it Excel shows Japanese file names as garbage. Python
reads it with ``encoding="utf-8-sig"``.

Cells that a spreadsheet would take for a formula (they begin with ``= + - @``, a tab or a line break; Japanese
Excel takes the full-width forms too) are made harmless: a path gets ``./`` in front and still names the same
file, a word gets an apostrophe, unless it is a plain number.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

Cell: TypeAlias = Path | str | float | int | None

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def start_of(columns: Sequence[str]) -> bytes:
    """What a file begins with: the mark of its encoding, and the names of its columns."""
    return codecs.BOM_UTF8 + line(columns)


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A whole file: a path, a word, a number or nothing (None) a cell.

    >>> csv_table(("path", "type", "score"), [(Path("=1.png"), "crack", 31.2)]).decode("utf-8-sig")
    'path,type,score\\n./=1.png,crack,31.2\\n'
    """
    return start_of(columns) + b"".join(line([_cell(value) for value in row]) for row in rows)


def _cell(value: Cell) -> str:
    if isinstance(value, Path):
        return path_cell(str(value))
    return word_cell(value) if isinstance(value, str) else number_cell(value)


def line(cells: Sequence[str]) -> bytes:
    """A line of the file. A name that is no valid Unicode gets escapes, so that the file always is."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # what is in the end of lines is quoted in cells
    return f"{text.getvalue()[:-2]}\n".encode(errors="backslashreplace")


def path_cell(path: str) -> str:
    """A path that is no formula and still names the same file.

    >>> path_cell("=1.png"), path_cell("部品/1.png")
    ('./=1.png', '部品/1.png')
    """
    return f"./{path}" if path.startswith(_FORMULA) else path


def word_cell(text: str) -> str:
    """A word that is no formula; numbers are none.

    >>> word_cell("=1+1"), word_cell("-1"), word_cell("crack")
    ("'=1+1", '-1', 'crack')
    """
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def number_cell(value: float | int | None) -> str:
    """A number that reads back as the same; nothing where there is none.

    >>> number_cell(31.2), number_cell(7), number_cell(None)
    ('31.2', '7', '')
    """
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else repr(float(value))
