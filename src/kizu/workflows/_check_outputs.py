"""What a check of a data set leaves in a folder: tables, and pictures of suspects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from kizu.checks import Finding, Suspect
from kizu.files import Data, atomic_write, prepare_folder, write_together
from kizu.images import Reading
from kizu.report import View, compose, csv_table, encode_image, picture_names
from kizu.workflows._earlier import listed_pictures, remove

FINDINGS = ("finding", "kind", "severity", "path", "message", "advice")
"""The columns of ``findings.csv``; ``finding`` is a number, the same for all files of one finding."""

SUSPECTS = ("rank", "path", "score", "times", "p_value", "distance", "beyond", "picture")
"""The columns of ``suspects.csv``, named as the fields of `kizu.checks.Suspect`."""

SUSPECT_TABLE = "suspects.csv"
"""The table of suspects, in the folder of a check."""

_FOLDER = "suspects"


@dataclass(frozen=True, eq=False)
class Suspicion:
    """Suspects, of ``scored`` images, with their anomaly maps.

    ``limit``: the score from which one stands out; ``pixel_limit``: the highest map value of the median image, so
    that pictures mark what is less ordinary than anything in most. ``reading``: how their files are read.
    """

    suspects: tuple[Suspect, ...]
    scored: int
    maps: Sequence[npt.NDArray[np.float32]]
    limit: float
    pixel_limit: float
    reading: Reading


def write_findings(folder: Path, findings: Sequence[Finding]) -> None:
    """``findings.csv``: a line a file, or one line where a finding is about none. Raises `OutputError`."""
    rows = [
        (number, finding.kind, finding.severity, path, finding.message, finding.advice)
        for number, finding in enumerate(findings, start=1)
        for path in finding.paths or (None,)
    ]
    atomic_write(folder / "findings.csv", csv_table(FINDINGS, rows))


def write_suspects(folder: Path, found: Suspicion, max_pixels: int) -> Suspicion:
    """``suspects.csv`` and ``suspects/01_NAME.png`` and so on; the suspects again, with their pictures.

    They come together, or none does; then pictures that an earlier check left there go. Raises `OutputError`, and
    `ImageError` for an image.
    """
    pictures, before = prepare_folder(folder / _FOLDER), listed_pictures(folder / SUSPECT_TABLE, _FOLDER)
    names = picture_names([suspect.path for suspect in found.suspects])
    digits = max(2, len(str(len(found.suspects))))
    written: dict[Path | str, Data] = {}
    shown = []
    for suspect, anomaly_map in zip(found.suspects, found.maps, strict=True):
        picture = pictures / f"{suspect.rank:0{digits}}_{names[suspect.path]}.png"
        written[picture] = partial(_draw, suspect, anomaly_map, found, max_pixels)
        shown.append(replace(suspect, picture=picture))
    rows = [[_cell(getattr(suspect, name), folder) for name in SUSPECTS] for suspect in shown]
    write_together({**written, folder / SUSPECT_TABLE: csv_table(SUSPECTS, rows)})
    remove(before - written.keys())
    return replace(found, suspects=tuple(shown))


def _draw(
    suspect: Suspect, anomaly_map: npt.NDArray[np.float32], found: Suspicion, max_pixels: int, file: BinaryIO
) -> None:
    file.write(encode_image(compose(_view(suspect, anomaly_map, found, max_pixels)), ".png"))


def _view(suspect: Suspect, anomaly_map: npt.NDArray[np.float32], found: Suspicion, max_pixels: int) -> View:
    return View(
        image=found.reading.view(found.reading.read(suspect.path, max_pixels=max_pixels)),
        anomaly_map=anomaly_map,
        score=suspect.score,
        threshold=found.limit,
        pixel_threshold=found.pixel_limit,
        verdict="review" if suspect.beyond else None,  # the others are only the least ordinary
    )


def _cell(value: object, folder: Path) -> Path | str | float | int:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Path):
        return value.relative_to(folder) if value.is_relative_to(folder) else value
    return value if isinstance(value, int | float) else str(value)
