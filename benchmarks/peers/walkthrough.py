"""The procedure of k-washi/anomaly_detection_exp_v1, from its published constants, on kizu's backbone.

As published: layers averaged over 3 × 3, the coarser one brought up by repeating; a sparse random projection that
keeps distances within 0.9, and in it exact greedy selection from patch 0, one pass a pick, one patch in a thousand;
scikit-learn's ball tree, nine neighbours, plain distances; the image scores its largest patch times
1 − max(exp d)/Σ exp d over that patch's nine; the map is blurred with SciPy, σ = 4.

Not as published: EfficientNet-Lite0 instead of Wide ResNet-50-2, in ONNX Runtime, on all of the image instead of the
middle 254 of 256 pixels. Where the projection would have more dimensions than these features (152; always, from 492
patches on) scikit-learn refuses, and the selection is on the features themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.random_projection import SparseRandomProjection, johnson_lindenstrauss_min_dim

import _peer
import _procedures
from _procedures import Float32

RATIO = 0.001
EPS = 0.9
NEIGHBORS = 9


class Walkthrough(_procedures.Procedure):
    def __init__(self, job: _peer.Job) -> None:
        self._job = replace(job, ratio=RATIO)
        self.features = _procedures.Features(job, interpolation="nearest")

    def fit(self, files: Sequence[str]) -> dict[str, Any]:
        watch = _peer.Stopwatch()
        rows = self.features.all(files)
        watch.mark("features")
        picks, at = greedy(projected(rows, self._job.seed), self._job.picked(len(rows)))
        self.bank = rows[picks]
        watch.mark("selection")
        self.index()
        wanted = self._job.wanted(len(rows))
        return {**watch.seconds, "patches": len(rows), "bank_rows": len(self.bank), "picks": at, "wanted": wanted}

    def index(self) -> None:
        count = min(NEIGHBORS, len(self.bank))
        self._index = NearestNeighbors(n_neighbors=count, algorithm="ball_tree").fit(self.bank)

    def score(self, image: _peer.Image) -> tuple[float, _peer.Map]:
        distances, _ = self._index.kneighbors(self.features.of(image))
        patches = distances[:, 0].astype(np.float32)
        top = distances[patches.argmax()]
        powers = np.exp(top - top.max())
        weight = 1 - powers.max() / powers.sum()
        return float(weight * patches.max()), _procedures.map_of(self.features.grid(patches), self.features.side)

    def library(self) -> str:
        return _procedures.versions("scikit-learn", "scipy")


def projected(rows: Float32, seed: int) -> Float32:
    """``rows`` where the projection would not be smaller."""
    if johnson_lindenstrauss_min_dim(len(rows), eps=EPS) > rows.shape[1]:
        return rows
    return np.asarray(SparseRandomProjection("auto", eps=EPS, random_state=seed).fit_transform(rows), np.float32)


def greedy(rows: Float32, count: int) -> tuple[_procedures.Indices, list[float]]:
    """Exact greedy picks from row 0 on, and when each was made."""
    start = np.full(len(rows), np.inf, np.float32)

    def distances(row: int) -> Float32:
        return np.asarray(pairwise_distances(rows, rows[row : row + 1])[:, 0], np.float32)

    return _procedures.farthest(start, distances, count)


if __name__ == "__main__":
    _peer.run(Walkthrough)
