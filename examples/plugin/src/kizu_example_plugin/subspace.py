"""Subspace: good patches lie near a plane through their mean; a patch scores its distance to that plane.

The plane is spanned by the first principal components of all good patches (K. Pearson, "On lines and planes of
closest fit to systems of points in space", Philosophical Magazine 2, 1901); the distance is known as the SPE or Q
statistic (J. E. Jackson, G. S. Mudholkar, "Control procedures for residuals associated with principal component
analysis", Technometrics 21, 1979).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kizu.detectors import Detector, Scores, finite
from kizu.errors import DataError, ModelFileError, bad_parameter
from kizu.progress import Progress, Silent

if TYPE_CHECKING:
    from typing_extensions import Self

    from kizu.graphs import Graph

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


class Subspace(Detector):
    """The residual of a principal component analysis.

    - ``variance``: share of the good patches' variance that the plane must hold, in (0, 1). It always leaves one
      direction out.

    Fitted: ``mean_`` ``(D,)`` and ``components_`` ``(D, k)`` float32, orthonormal columns.
    """

    name = "subspace"
    min_images = 1
    position_bound = False

    def __init__(self, *, variance: float = 0.8) -> None:
        self.variance = variance

    def check(self) -> None:
        number = isinstance(self.variance, (int, float)) and not isinstance(self.variance, bool)
        if not number or not 0 < self.variance < 1:
            raise bad_parameter("variance", "in (0, 1)", self.variance, "For 80 percent write 0.8.")

    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """As `Detector.fit`; nothing is random, and each image is summed and let go.

        Image by image, so that the sums do not depend on how many images came in a batch.
        """
        self.check()
        sums: _Sums | None = None
        for batch in map(finite, embeddings):
            for image in batch:
                sums = sums or _Sums(image.shape[-1])
                sums.add(image.reshape(-1, image.shape[-1]))
        if sums is None:
            raise DataError("no embeddings to fit on; give at least one good image.")
        with (progress or Silent()).stage("Finding the subspace", 1) as advance:
            components = sums.components(self.variance)
            advance(1)
        self.mean_: Float32 = sums.mean.astype(np.float32)
        self.components_: Float32 = components.astype(np.float32)
        return self

    def score(self, embeddings: Float32) -> Scores:
        """As `Detector.score`; image by image, so that no score depends on the batch."""
        self._require_fitted("components_")
        patches = np.zeros(embeddings.shape[:3], dtype=np.float32)
        for scores, image in zip(patches, embeddings, strict=True):
            centred = image.reshape(-1, image.shape[-1]) - self.mean_
            residual = centred - (centred @ self.components_) @ self.components_.T
            scores[:] = np.sqrt(np.einsum("nd,nd->n", residual, residual)).reshape(scores.shape)
        return Scores(patches, patches.max(axis=(1, 2)))

    def write(
        self, graph: Graph, embedding: str, grid: tuple[int, int], progress: Progress | None = None
    ) -> tuple[str, str]:
        """As `Detector.write`; a detector without it works too, but cannot be exported."""
        self._require_fitted("components_")
        rows = graph.node("Reshape", [embedding, graph.constant(np.array([-1, len(self.mean_)]))])
        centred = graph.node("Sub", [rows, graph.constant(self.mean_)])
        inside = graph.node("MatMul", [centred, graph.constant(self.components_)])
        explained = graph.node("MatMul", [inside, graph.constant(np.ascontiguousarray(self.components_.T))])
        residual = graph.node("Sub", [centred, explained])
        lengths = graph.node("ReduceL2", [residual, graph.constant(np.array([1]))], keepdims=0)
        patches = graph.node("Reshape", [lengths, graph.constant(np.array([1, *grid]))])
        return patches, graph.node("ReduceMax", [patches], keepdims=0)

    def state(self) -> dict[str, Array]:
        self._require_fitted("components_")
        return {"mean": self.mean_, "components": self.components_}

    def _restore(self, state: Mapping[str, Array]) -> None:
        self.mean_, self.components_ = state["mean"], state["components"]
        sound = (
            self.mean_.dtype == self.components_.dtype == np.float32
            and self.mean_.ndim == 1
            and self.components_.ndim == 2
            and 0 < len(self.mean_) == len(self.components_)
        )
        if not sound:
            raise ModelFileError("the mean and the components do not fit together; restore the model file.")

    def summary(self) -> dict[str, float | int | str]:
        self._require_fitted("components_")
        dimensions, components = self.components_.shape
        return {"dimensions": dimensions, "components": components}


class _Sums:
    """Mean and covariance of rows ``(n, D)``, added some at a time, in float64."""

    def __init__(self, dimensions: int) -> None:
        self.count = 0
        self.mean: Float64 = np.zeros(dimensions)
        self._scatter: Float64 = np.zeros((dimensions, dimensions))

    def add(self, rows: Float32) -> None:
        """Take rows in, about the running mean, so that a large mean costs no digits."""
        total = self.count + len(rows)
        mean = rows.mean(axis=0, dtype=np.float64)
        centred, shift = rows - mean, mean - self.mean
        self._scatter += centred.T @ centred + self.count * len(rows) / total * np.outer(shift, shift)
        self.mean += shift * (len(rows) / total)
        self.count = total

    def components(self, variance: float) -> Float64:
        """The first principal components that hold a share ``variance``, ``(D, k)``, k < D."""
        values, vectors = np.linalg.eigh(self._scatter)
        held = np.cumsum(values[::-1]) / max(values.sum(), np.finfo(np.float64).tiny)
        count = min(int(np.searchsorted(held, variance)) + 1, len(values) - 1)
        return vectors[:, ::-1][:, :count]
