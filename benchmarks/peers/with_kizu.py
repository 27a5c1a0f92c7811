"""kizu itself, by the way every user takes: `kizu.fit`, then `Inspector.inspect`. Its fit includes the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2  # noqa: F401
import faiss  # noqa: F401
import onnx  # noqa: F401
import onnxruntime  # noqa: F401

import _peer
import kizu
import kizu.workflows
from _stages import Stages
from kizu import images
from kizu.datasets import Dataset, Sample


class Kizu:
    """``options``: settings of `kizu.fit`; with ``same``, layers and ratio of the job on top."""

    def __init__(self, job: _peer.Job) -> None:
        settings = dict(job.options)
        if settings.pop("same", False):
            detector = {"coreset_ratio": job.ratio, **settings.pop("detector", {"name": "patchcore"})}
            if detector["name"] == "padim":
                del detector["coreset_ratio"]
            settings = {"layers": tuple(job.layers), "image_size": job.side, "detector": detector, **settings}
        self._settings: dict[str, Any] = {**settings, "seed": job.seed}
        self._model = job.path / "model.kizu"
        self._inspector: kizu.Inspector

    def fit(self, files: Sequence[str]) -> dict[str, Any]:
        stages = Stages()
        samples = tuple(Sample(Path(file), "train", "good", "good") for file in files)
        data = Dataset(Path("peers"), "benchmark", samples)
        self._inspector = kizu.fit(data, progress=stages, **self._settings)
        patches = self._inspector.engine.grid[0] * self._inspector.engine.grid[1] * len(files)
        rows = self._inspector.detector.summary().get("bank rows")
        return {**stages.seconds, "patches": patches, "bank_rows": rows}

    def read(self, file: str) -> _peer.Image:
        return images.read_image(Path(file))

    def score(self, image: _peer.Image) -> tuple[float, _peer.Map]:
        prediction = self._inspector.inspect(image)
        return prediction.score, prediction.anomaly_map

    def fill(self, rows: int) -> None:
        raise NotImplementedError("kizu makes every pick")

    def size(self) -> float:
        self._inspector.save(self._model)
        return float(self._model.stat().st_size)

    def library(self) -> str:
        return f"kizu {kizu.__version__}"


if __name__ == "__main__":
    _peer.run(Kizu)
