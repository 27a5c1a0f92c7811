"""Reading ``predictions.csv`` back: kizu's own tables, whole or still being written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kizu.arguments import Paths, paths_of
from kizu.errors import DataError

NEEDED = ("path", "score")
"""Columns without which a table is not one of predictions."""


@dataclass(frozen=True)
class PredictedRow:
    """A line of a table: ``file`` and ``line`` say where, ``path`` is the image as the table has it.

    ``threshold`` and ``p_value`` are None and ``verdict`` empty where the table does not say.
    """

    file: Path
    line: int
    path: str
    score: float
    threshold: float | None
    verdict: str
    p_value: float | None = None


def read_predictions(files: Paths) -> list[PredictedRow]:
    """The rows of one or more tables, in order. A line that is still being written, the last of a ``.part``, is left
    out.

    Raises `DataError` for a file that cannot be read or is no table of predictions, and for a score that is no finite
    number; it names file and line.
    """
    rows = [row for file in paths_of(files) for row in _rows(file)]
    if not rows:
        raise DataError("the tables hold no predictions yet. Run `kizu predict MODEL IMAGES --out DIR` first.")
    return rows


def _rows(path: Path) -> list[PredictedRow]:
    text = _text(path)
    if path.suffix == ".part" and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        _check_columns(path, reader.fieldnames or ())
        return [_row(path, reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not a CSV file ({error}). {_ADVICE}") from None


_ADVICE = "Give the predictions.csv that `kizu predict --out DIR` wrote."


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")  # names may hold any end of a line
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. {_ADVICE}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder. {_ADVICE}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text. {_ADVICE}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. Check its permissions.") from None


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise DataError(f"{path}: no column {' and no column '.join(missing)} in its first line. {_ADVICE}")


def _row(path: Path, line: int, cells: Mapping[str, str | None]) -> PredictedRow:
    score = _number(path, line, "score", cells.get("score"))
    threshold, p_value = (
        _number(path, line, name, cell) if (cell := cells.get(name)) else None for name in ("threshold", "p_value")
    )
    return PredictedRow(path, line, cells.get("path") or "", score, threshold, cells.get("verdict") or "", p_value)


def _number(path: Path, line: int, column: str, cell: str | None) -> float:
    try:
        value = float(cell or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{path}, line {line}: the {column} {cell!r} is not a finite number. Mend or remove the line."
        )
    return value
