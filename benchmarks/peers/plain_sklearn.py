"""What one would write in ten lines: scikit-learn's `NearestNeighbors` on patches of kizu's backbone.

``options``: ``algorithm`` (brute, kd_tree, ball_tree); ``all``: every patch is kept, else a random share of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

import _peer
import _procedures


class PlainSklearn(_procedures.Procedure):
    def __init__(self, job: _peer.Job) -> None:
        self._job = job
        self.features = _procedures.Features(job)

    def fit(self, files: Sequence[str]) -> dict[str, Any]:
        watch = _peer.Stopwatch()
        rows = self.features.all(files)
        watch.mark("features")
        self.bank = rows
        if not self._job.options.get("all"):
            rng = np.random.default_rng(self._job.seed)
            self.bank = rows[rng.choice(len(rows), self._job.wanted(len(rows)), replace=False)]
        self.index()
        watch.mark("selection")
        return {**watch.seconds, "patches": len(rows), "bank_rows": len(self.bank)}

    def index(self) -> None:
        self._index = NearestNeighbors(n_neighbors=1, algorithm=self._job.options["algorithm"]).fit(self.bank)

    def score(self, image: _peer.Image) -> tuple[float, _peer.Map]:
        distances, _ = self._index.kneighbors(self.features.of(image))
        patches = distances[:, 0].astype(np.float32)
        return float(patches.max()), _procedures.map_of(self.features.grid(patches), self.features.side)

    def library(self) -> str:
        return _procedures.versions("scikit-learn")


if __name__ == "__main__":
    _peer.run(PlainSklearn)
