"""What the procedures re-done here share: features of kizu's backbone, and greedy selection one pass a pick."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import _peer
import _solar
from kizu import backbones, images

Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class Features:
    """Embeddings of the job's layers from kizu's default backbone in ONNX Runtime; ``head`` as `embedding_graph`."""

    def __init__(self, job: _peer.Job, **head: Any) -> None:
        self.side = job.side
        backbone = backbones.get(_solar.BACKBONE)
        self.graph = backbones.embedding_graph(
            backbone, tuple(job.layers), job.side, patch_stride=_solar.STRIDE, **head
        )
        self.engine = backbones.OnnxRuntimeEngine(self.graph)

    def of(self, image: _peer.Image) -> Float32:
        """``(h · w, D)`` of a decoded image."""
        square = images.resize(image, (self.side, self.side))
        return self.engine.embed(square[None]).reshape(-1, self.engine.channels)

    def all(self, files: Sequence[str]) -> Float32:
        """The patches of all files: ``(N · h · w, D)``."""
        patches = self.engine.grid[0] * self.engine.grid[1]
        rows = np.empty((len(files) * patches, self.engine.channels), np.float32)
        for place, file in enumerate(files):
            rows[place * patches : (place + 1) * patches] = self.of(images.read_image(Path(file)))
        return rows

    def grid(self, scores: Float32) -> Float32:
        """Patch scores ``(h · w,)`` as ``(h, w)``."""
        return scores.reshape(self.engine.grid)


class Procedure:
    """A bank of rows, and what all procedures do alike."""

    features: Features
    bank: Float32

    def read(self, file: str) -> _peer.Image:
        return images.read_image(Path(file))

    def fill(self, rows: int) -> None:
        self.bank = np.resize(self.bank, (rows, self.bank.shape[1]))
        self.index()

    def index(self) -> None:
        """Make the bank searchable."""
        raise NotImplementedError

    def size(self) -> float:
        return float(len(self.features.graph) + self.bank.nbytes)


def farthest(start: Float32, distances: Callable[[int], Float32], count: int) -> tuple[Indices, list[float]]:
    """Greedy picks, each the row farthest from all before it, with one pass over all rows a pick, and when each was
    made; ``start`` ``(N,)``: how far rows are in the beginning, ``distances``: of all rows to one.
    """
    nearest, at = start, []
    picks = np.empty(count, np.int64)
    for place in range(count):
        picks[place] = nearest.argmax()
        nearest = np.minimum(nearest, distances(int(picks[place])))
        at.append(time.perf_counter())
    return picks, at


def map_of(patches: Float32, side: int, sigma: float = 4.0) -> _peer.Map:
    """Patch scores ``(h, w)`` brought up bilinearly and blurred with SciPy, as both publications do."""
    import cv2
    from scipy.ndimage import gaussian_filter

    brought_up = cv2.resize(patches, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(gaussian_filter(brought_up, sigma=sigma), np.float32)


def versions(*packages: str) -> str:
    return ", ".join(f"{name} {version(name)}" for name in packages)


def parts(rows: Float32, size: int = 65536) -> Iterator[slice]:
    """Slices of at most ``size`` rows."""
    for first in range(0, len(rows), size):
        yield slice(first, min(first + size, len(rows)))
