"""The procedure of amazon-science/patchcore-inspection, from its published constants, on kizu's backbone.

As published: 3 × 3 patches of two layers, each averaged to 1,024 numbers and the two to 1,024 again; a random linear
map to 128 dimensions; ten random patches, whose mean distance stays in the running minimum; then greedily one pick
after another, each with a pass over all patches; flat search with FAISS, squared distances; the largest is the score
of the image; the map is blurred with SciPy, σ = 4.

Not as published: EfficientNet-Lite0 instead of Wide ResNet-50-2, in ONNX Runtime, on the whole image instead of the
middle 224 of 256 pixels, so that the procedure is what differs. NumPy selects instead of PyTorch, and keeps the
lengths of the rows, which the publication computes anew for every pick: in its favour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np

import _peer
import _procedures
from _procedures import Float32

DIMENSIONS = 1024
PROJECTED = 128
STARTS = 10


class PatchCoreInspection(_procedures.Procedure):
    def __init__(self, job: _peer.Job) -> None:
        self._job = job
        self._rng = np.random.default_rng(job.seed)
        self.features = _procedures.Features(job, embedding_dims=DIMENSIONS)

    def fit(self, files: Sequence[str]) -> dict[str, Any]:
        watch = _peer.Stopwatch()
        rows = self.features.all(files)
        watch.mark("features")
        picks, at = approximate_greedy(self._projected(rows), self._job.picked(len(rows)), self._rng)
        self.bank = rows[picks]
        watch.mark("selection")
        self.index()
        wanted = self._job.wanted(len(rows))
        return {**watch.seconds, "patches": len(rows), "bank_rows": len(self.bank), "picks": at, "wanted": wanted}

    def _projected(self, rows: Float32) -> Float32:
        """Mapped as an untrained linear layer maps: uniform weights within ±1/√D."""
        bound = DIMENSIONS**-0.5
        layer = self._rng.uniform(-bound, bound, (DIMENSIONS, PROJECTED)).astype(np.float32)
        return rows @ layer

    def index(self) -> None:
        self._index = faiss.IndexFlatL2(self.bank.shape[1])
        self._index.add(self.bank)

    def score(self, image: _peer.Image) -> tuple[float, _peer.Map]:
        squared, _ = self._index.search(self.features.of(image), 1)
        patches = squared[:, 0]
        return float(patches.max()), _procedures.map_of(self.features.grid(patches), self.features.side)

    def library(self) -> str:
        return _procedures.versions("faiss-cpu", "scipy")


def approximate_greedy(
    rows: Float32, count: int, rng: np.random.Generator
) -> tuple[_procedures.Indices, list[float]]:
    """Greedy picks of ``rows`` that begin with the mean distance to ten random ones, and when each was made."""
    norms = np.einsum("nd,nd->n", rows, rows)

    def distances(row: int) -> Float32:
        squared = rows @ (-2 * rows[row])
        squared += norms
        squared += norms[row]
        return np.asarray(np.sqrt(np.maximum(squared, 0, out=squared), out=squared))

    starts = rng.choice(len(rows), min(STARTS, len(rows)), replace=False)
    mean: Float32 = np.stack([distances(int(row)) for row in starts]).mean(axis=0, dtype=np.float32)
    return _procedures.farthest(mean, distances, count)


if __name__ == "__main__":
    _peer.run(PatchCoreInspection)
