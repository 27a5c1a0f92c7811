"""PaDiM: a Gaussian of good embeddings at every patch position; a patch scores its Mahalanobis distance.

Defard, Setkov, Loesch, Audigier: "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR 2020 workshops, arXiv 2011.08785. Equation numbers below are the paper's.

Differences from the paper:

- Covariances come from running sums, so that memory does not grow with the number of images (eq. 1 is the same).
- Distances (eq. 2) are solved with Cholesky factors; no covariance is inverted.
- An image scores its largest patch score, before the map is blurred; the paper takes the largest of the map.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kizu.detectors import _checks
from kizu.detectors._base import Array, Detector, Float32, Scores, finite
from kizu.errors import DataError, KizuWarning, ModelFileError, bad_parameter
from kizu.gaussian import RunningGaussian, mahalanobis, packed_cholesky
from kizu.progress import Progress, Silent

if TYPE_CHECKING:
    from typing_extensions import Self

BATCH_IMAGES = 16
"""Images added to the sums at a time: a pass over the P·D² sums is paid once a batch."""


class PaDiM(Detector):
    """A Gaussian a position, for parts that always lie in the same place.

    - ``reduced_dims``: channels kept, chosen at random by the seed; None: 100, or all where there are fewer.
    - ``regularisation``: the ε added to every variance (section III-B: 0.01).

    Fitted: ``channels_`` ``(d,)``, ``mean_`` ``(h, w, d)``, ``cholesky_`` ``(d(d+1)/2, h·w)`` packed lower factors.
    """

    name = "padim"
    min_images = 2

    def __init__(self, *, reduced_dims: int | None = None, regularisation: float = 0.01) -> None:
        self.reduced_dims = reduced_dims
        self.regularisation = regularisation

    def check(self) -> None:
        _checks.whole("reduced_dims", self.reduced_dims, at_least=1, optional=True)
        _checks.real("regularisation", self.regularisation, "a positive number", 0, float("inf"))

    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """As `Detector.fit`; each batch is summed and let go."""
        self.check()
        sums: RunningGaussian | None = None
        for batch in _batched(map(finite, embeddings)):
            if sums is None:
                height, width, available = batch.shape[1:]
                channels = self._choose(available, rng or np.random.default_rng(0))
                sums = RunningGaussian(height * width, len(channels))
            sums.update(batch[..., channels].reshape(len(batch), -1, len(channels)))
        if sums is None or sums.count < self.min_images:
            raise DataError("PaDiM needs at least 2 good images to fit; add images.")
        _warn_if_few(sums.count, len(channels))
        with (progress or Silent()).stage("Factoring covariances", 1) as advance:
            cholesky = self._factors(sums)
            advance(1)
        self.channels_, self.cholesky_ = channels, cholesky
        self.mean_ = sums.mean.astype(np.float32).reshape(height, width, -1)
        return self

    def _factors(self, sums: RunningGaussian) -> Float32:
        try:
            return packed_cholesky(sums.covariance(), self.regularisation)
        except np.linalg.LinAlgError:
            raise DataError(
                f"covariances cannot be factored with detector.regularisation {self.regularisation}; raise it "
                "(0.01 is the paper's), or give more good images."
            ) from None

    def _choose(self, available: int, rng: np.random.Generator) -> Array:
        wanted = min(100, available) if self.reduced_dims is None else self.reduced_dims
        if wanted > available:
            hint = "Lower it or name more layers."
            raise bad_parameter("reduced_dims", f"at most the {available} channels there are", wanted, hint)
        return np.sort(rng.choice(available, wanted, replace=False))

    def score(self, embeddings: Float32) -> Scores:
        self._require_fitted("cholesky_")
        batch, height, width, _ = embeddings.shape
        difference = embeddings[..., self.channels_] - self.mean_
        distances = mahalanobis(difference.reshape(batch, height * width, len(self.channels_)), self.cholesky_)
        return Scores(distances.reshape(batch, height, width), distances.max(axis=1))

    def state(self) -> dict[str, Array]:
        self._require_fitted("cholesky_")
        return {"channels": self.channels_, "mean": self.mean_, "cholesky": self.cholesky_}

    def _restore(self, state: Mapping[str, Array]) -> None:
        self.channels_, self.mean_, self.cholesky_ = state["channels"], state["mean"], state["cholesky"]
        size = len(self.channels_)
        positions = self.mean_.shape[0] * self.mean_.shape[1]
        shapes = self.mean_.shape[2:] == (size,) and self.cholesky_.shape == (size * (size + 1) // 2, positions)
        kinds = self.channels_.dtype.kind + self.mean_.dtype.kind + self.cholesky_.dtype.kind
        if not shapes or kinds != "iff" or self.channels_.min(initial=0) < 0:
            raise ModelFileError("PaDiM's mean and factors do not fit together; restore the model file.")

    def summary(self) -> dict[str, float | int | str]:
        self._require_fitted("cholesky_")
        height, width, dimensions = self.mean_.shape
        return {"positions": height * width, "dimensions": dimensions}


def _warn_if_few(images: int, dimensions: int) -> None:
    if images <= dimensions:
        warnings.warn(
            f"PaDiM fits {dimensions} dimensions on {images} images, so its covariances are mostly "
            f"regularisation. Give more than {dimensions} good images, set detector.reduced_dims to "
            f"{max(1, images // 2)} or less, or use --detector patchcore.",
            KizuWarning,
            stacklevel=3,
        )


def _batched(embeddings: Iterable[Float32]) -> Iterator[Float32]:
    """Batches of `BATCH_IMAGES` images, however many came at a time: the sums are then the same to the last bit."""
    waiting: list[Float32] = []
    for batch in embeddings:
        for image in batch:
            waiting.append(image)
            if len(waiting) == BATCH_IMAGES:
                yield np.stack(waiting)
                waiting = []
    if waiting:
        yield np.stack(waiting)
