"""``predictions.csv``: a line an image, written as the images come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kizu.report._cells import line, number_cell, path_cell, start_of, word_cell
from kizu.report._growing import GrowingFile

COLUMNS = ("path", "label", "type", "score", "threshold", "verdict", "p_value", "milliseconds")
"""The columns of ``predictions.csv``; behind them one named as the scale, where another than p_value is asked."""


@dataclass(frozen=True)
class PredictionRow:
    """One image's line; ``label`` and ``type`` are empty when they are not known. ``scaled``: the score on another
    scale (`kizu.calibration.scales`), for the column of that name.
    """

    path: str
    score: float
    threshold: float
    verdict: str
    p_value: float
    milliseconds: float
    label: str = ""
    type: str = ""
    scaled: float | None = None

    def cells(self) -> tuple[str, ...]:
        """The cells in the order of `COLUMNS`; numbers so that reading them back gives the same floats.

        >>> PredictionRow("=1.png", 31.2, 28.4, "ng", 0.01, 18.04251, type="crack").cells()
        ('./=1.png', '', 'crack', '31.2', '28.4', 'ng', '0.01', '18.043')
        """
        names = (path_cell(self.path), word_cell(self.label), word_cell(self.type))
        numbers = (number_cell(self.score), number_cell(self.threshold))
        known = (*names, *numbers, self.verdict, f"{self.p_value:.6g}", f"{self.milliseconds:.3f}")
        return known if self.scaled is None else (*known, f"{self.scaled:.6g}")


class PredictionTable(GrowingFile):
    """Writes rows to ``NAME.part``, which becomes ``NAME`` when the ``with`` block ends well.

    Every row is handed to the system as it comes. An interrupt or an error leaves ``NAME.part`` there, on
    purpose: what has been scored is not lost. An existing ``NAME`` then stays as it was. The next run with
    the same name starts ``NAME.part`` anew.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "predictions.csv"
    >>> with PredictionTable(target) as table:
    ...     table.append(PredictionRow("部品.png", 31.2, 28.4, "ng", 0.01, 18.0))
    >>> target.read_text("utf-8-sig").splitlines()[1]
    '部品.png,,,31.2,28.4,ng,0.01,18.000'

    Raises:
        OutputError: the file cannot be written, or there is no space left (entering, `append`, leaving).
    """

    def __init__(self, path: Path | str, scale: str = "p_value") -> None:
        super().__init__(path, start_of(COLUMNS if scale == "p_value" else (*COLUMNS, scale)))

    def append(self, row: PredictionRow) -> None:
        """Write one row; once it returns, the row outlives this process."""
        self.write(line(row.cells()))
