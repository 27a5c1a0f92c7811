"""The output folder: a table, and a picture an image, written as results come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu.datasets import Sample
from kizu.files import prepare_folder
from kizu.inspector import Prediction
from kizu.report import PredictionRow, PredictionTable, View, check_parts, compose, parts, picture_names, write_image


class Outputs:
    """``predictions.csv``, ``pictures/NAME.png``, and ``PART/NAME.png`` for every part asked for."""

    def __init__(self, folder: Path, table: PredictionTable, names: dict[Path, str], save: Sequence[str]) -> None:
        self._folder = folder
        self._table = table
        self._names = names
        self._save = save

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, samples: Sequence[Sample], save: Sequence[str]) -> Iterator[Outputs]:
        """Outputs in ``folder``, which is made if need be. Raises `OutputError`."""
        for name in ("", "pictures", *check_parts(save)):
            prepare_folder(folder / name)
        with PredictionTable(folder / "predictions.csv") as table:
            yield cls(folder, table, picture_names([sample.path for sample in samples]), save)

    def add(
        self,
        sample: Sample,
        image: npt.NDArray[np.uint8],
        prediction: Prediction,
        truth: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Write one image's row and pictures. Raises `OutputError`."""
        self._table.append(
            PredictionRow(
                path=str(sample.path),
                label=sample.label or "",
                type=sample.defect_type,
                score=prediction.score,
                threshold=prediction.threshold,
                verdict=prediction.verdict,
                milliseconds=prediction.milliseconds,
            )
        )
        name = f"{self._names[sample.path]}.png"
        view = View(
            image=image,
            anomaly_map=prediction.anomaly_map if prediction.whole else prediction.full_map,
            score=prediction.score,
            threshold=prediction.threshold,
            pixel_threshold=prediction.pixel_threshold,
            verdict=prediction.verdict,
            truth=truth if sample.label == "bad" else None,
            inspected=None if prediction.whole else prediction.inspected,
        )
        write_image(self._folder / "pictures" / name, compose(view))
        for part, picture in parts(view, self._save).items():
            write_image(self._folder / part / name, picture)
