"""PaDiM: a Gaussian of good embeddings at every patch position; a patch scores its Mahalanobis distance.

Defard, Setkov, Loesch, Audigier: "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR 2020 workshops, arXiv 2011.08785. Equation numbers below are the paper's.

Differences from the paper:

- Covariances come from running sums, so that memory does not grow with the number of images (eq. 1 is the same).
- Distances (eq. 2) are solved with Cholesky factors; no covariance is inverted.
- An image scores its largest patch score, before the map is blurred; the paper takes the largest of the map.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kizu.detectors import _checks
from kizu.detectors._base import Array, Detector, Float32, Scores, finite, to_score
from kizu.detectors._padim_memory import BATCH_IMAGES, left_out_at_a_time, require_free, room_to_leave_out
from kizu.detectors._patches import different_grids, gathered
from kizu.detectors._robust import described, doubted, level, set_aside
from kizu.errors import DataError, KizuWarning, ModelFileError, bad_parameter
from kizu.gaussian import RunningGaussian, mahalanobis
from kizu.progress import Progress, Silent

if TYPE_CHECKING:
    from typing_extensions import Self

    from kizu.graphs import Graph

DIMENSIONS = 100
"""Channels kept where it is not said."""


class PaDiM(Detector):
    """A Gaussian a position, for parts that always lie in the same place.

    - ``reduced_dims``: channels kept, chosen at random by the seed; None: 100, or all where there are fewer.
    - ``regularisation``: the ε added to every variance (section III-B: 0.01).
    - ``robust``: set patches aside that look like defects among the good images (`kizu.detectors._robust`).

    Fitted: ``channels_`` ``(d,)``, ``mean_`` ``(h, w, d)``, ``cholesky_`` ``(d(d+1)/2, h·w)`` packed lower factors,
    ``count_`` images; ``left_out_`` where it was asked for; and where it is robust ``set_aside_`` ``(s, 2)``: images
    of the fit that stand out, and how many of their patches are not learnt; ``left_out_`` is without these images.
    """

    name = "padim"
    min_images = 2
    leaves_one_out = True
    takes_memory = True
    side_by_side = True

    def __init__(
        self, *, reduced_dims: int | None = None, regularisation: float = 0.01, robust: bool = False
    ) -> None:
        self.reduced_dims = reduced_dims
        self.regularisation = regularisation
        self.robust = robust

    def check(self) -> None:
        _checks.whole("reduced_dims", self.reduced_dims, at_least=1, optional=True)
        expected = "a number from 1e-30 to 1e30"  # float32 knows no others
        _checks.real("regularisation", self.regularisation, expected, math.nextafter(1e-30, 0), 1e30)
        _checks.flag("robust", self.robust)

    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
        leave_one_out: bool = False,
        memory: int | None = None,
    ) -> Self:
        """As `Detector.fit`; each batch is summed and let go.

        ``leave_one_out`` also gives ``left_out_``; it reads ``embeddings`` a second time, and holds the chosen
        channels of some images beside the sums. Raises `DataError` below three images. A robust fit reads them once
        and holds the chosen channels of all. With ``memory``, in bytes, and ``images`` raises `ParameterError` where
        it takes more, before anything is computed.
        """
        self.check()
        vars(self).pop("left_out_", None)
        progress = progress or Silent()
        stream = (image for batch in map(finite, _of_one_grid(embeddings)) for image in batch)
        first = next(stream, None)
        if first is None:
            raise _too_few()
        if memory is not None and images is not None:
            self.streams(memory, images, first.shape[:2], first.shape[-1])
        channels = self._choose(first.shape[-1], rng or np.random.default_rng(0))
        sums = _sums(first.shape[0] * first.shape[1], len(channels), leave_one_out)
        chosen: Iterable[Float32] = (image.take(channels, axis=2) for image in chain([first], stream))
        again, which = embeddings, channels
        self.set_aside_ = np.empty((0, 2), np.int64)
        if self.robust:
            every, standing_out = self._doubted(chosen, images, progress)
            chosen, which = every, np.arange(len(channels))
            again = [every[number : number + 1] for number in np.flatnonzero(~standing_out)]
        _add(chosen, sums)
        if sums.count < self.min_images:
            raise _too_few()
        _warn_if_few(sums.count, len(channels))
        if leave_one_out:
            left = sums.count - len(self.set_aside_)
            self.left_out_ = self._leave_one_out(again, sums, which, left, progress)
        self._take(sums, first.shape[:2], progress)
        self.channels_ = channels
        return self

    def streams(self, memory: int, images: int, grid: tuple[int, ...], channels: int) -> bool:
        """As `Detector.streams`: sums do not grow with the images, but leaving each out keeps its scores."""
        return not room_to_leave_out(
            memory, images, grid[0] * grid[1], min(self.reduced_dims or DIMENSIONS, channels), robust=self.robust
        )

    def _doubted(
        self, chosen: Iterable[Float32], images: int | None, progress: Progress
    ) -> tuple[Float32, npt.NDArray[np.bool_]]:
        """The ``chosen`` channels ``(n, h, w, d)``, without what is not to be learnt, and which images stand out."""
        rows, grids = gathered((image[None] for image in chosen), images)
        grid = grids.one
        if len(rows) < self.min_images * grid[0] * grid[1]:
            raise _too_few()
        found = doubted(rows, grid, progress)
        self.set_aside_ = found.counts
        level(rows, found.aside)
        return rows.reshape(-1, *grid, rows.shape[1]), found.images

    def updated(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
        leave_one_out: bool = False,
        at_most: float | None = None,
    ) -> Self:
        """As `Detector.updated`: the sums, found again from mean and factors, go on. A fit on all images would give
        the same but for roundings, whatever is wanted ``at_most``. Raises `ModelFileError` where the number of images
        so far is not known.
        """
        self._require_fitted("cholesky_")
        if not self.count_:
            raise ModelFileError(
                "the model does not say how many images it was fitted on (an older kizu wrote it), so it cannot be "
                "updated; fit again with all images."
            )
        progress = progress or Silent()
        sums = self._sums_again(progress)
        learnt = _of_one_grid(embeddings, (self.mean_.shape[0], self.mean_.shape[1]))
        _add((image.take(self.channels_, axis=2) for some in map(finite, learnt) for image in some), sums)
        if sums.count == self.count_:
            raise DataError("no embeddings to learn from; give at least one good image.")
        other = copy.copy(self)
        vars(other).pop("left_out_", None)
        if leave_one_out:
            new = sums.count - self.count_
            other.left_out_ = self._leave_one_out(embeddings, sums, self.channels_, new, progress)
        other._take(sums, self.mean_.shape[:2], progress)
        return other

    def _sums_again(self, progress: Progress) -> RunningGaussian:
        """The sums that the fit made its factors from."""
        mean = self.mean_.reshape(-1, len(self.channels_))
        require_free(*mean.shape, leave_one_out=True)  # for sums beside the factors there are
        with progress.stage("Taking the covariances up again", len(mean)) as advance:
            return RunningGaussian.continued(mean, self.cholesky_, self.count_, self.regularisation, advance)

    def _take(self, sums: RunningGaussian, grid: tuple[int, ...], progress: Progress) -> None:
        """Learn what ``sums`` say, which give up their memory for it."""
        with progress.stage("Factoring covariances", len(sums.mean)) as advance:
            cholesky = _factored(lambda: sums.factors(self.regularisation, advance), self.regularisation)
        self.cholesky_, self.count_ = cholesky, sums.count
        self.mean_ = sums.mean.astype(np.float32).reshape(*grid, -1)

    def _leave_one_out(
        self,
        embeddings: Iterable[Float32],
        sums: RunningGaussian,
        channels: Array,
        images: int,
        progress: Progress,
    ) -> Scores:
        """What each of ``images`` images would score had it not been summed; see `RunningGaussian.left_out`. Progress
        is told of the last round alone: before it, that of reading is.
        """
        if sums.count <= self.min_images:
            raise DataError(f"leaving one image out needs at least {self.min_images + 1} good images; add images.")
        chosen = (image.take(channels, axis=2) for batch in map(finite, embeddings) for image in batch)
        found, grid, read = list[Float32](), (0, 0), 0
        for some in _in_rounds(chosen, left_out_at_a_time(*sums.mean.shape)):
            read, grid = read + len(some), some[0].shape[:2]
            found.append(self._left_out(some, sums, progress if read == images else Silent()))
        if read != images:
            raise ValueError(f"leave_one_out reads embeddings twice; {images} came first, then {read}")
        patches = np.concatenate(found)
        return Scores(patches.reshape(-1, *grid), patches.max(axis=1))

    def _left_out(self, images: list[Float32], sums: RunningGaussian, progress: Progress) -> Float32:
        """Patch scores ``(n, h·w)`` of some ``images`` ``(h, w, d)``, each had it not been summed."""
        samples = [image.reshape(sums.mean.shape) for image in images]
        with progress.stage("Factoring covariances", len(sums.mean)) as advance:
            return _factored(lambda: sums.left_out(samples, self.regularisation, advance), self.regularisation)

    def _choose(self, available: int, rng: np.random.Generator) -> Array:
        wanted = min(DIMENSIONS, available) if self.reduced_dims is None else self.reduced_dims
        if wanted > available:
            hint = "Lower it or name more layers."
            raise bad_parameter("reduced_dims", f"at most the {available} channels there are", wanted, hint)
        return np.sort(rng.choice(available, wanted, replace=False))

    def score(self, embeddings: Float32) -> Scores:
        self._require_fitted("cholesky_")
        images = to_score(embeddings, int(self.channels_.max()) + 1, or_more=True)
        batch, height, width, _ = images.shape
        if (height, width) != self.mean_.shape[:2]:
            raise DataError(different_grids((self.mean_.shape[0], self.mean_.shape[1]), (height, width)))
        difference = images[..., self.channels_] - self.mean_
        distances = mahalanobis(difference.reshape(batch, height * width, len(self.channels_)), self.cholesky_)
        return Scores(distances.reshape(batch, height, width), distances.max(axis=1))

    def write(
        self, graph: Graph, embedding: str, grid: tuple[int, int], progress: Progress | None = None
    ) -> tuple[str, str]:
        """As `Detector.write`; factors are inverted, in float64."""
        self._require_fitted("cholesky_")
        from kizu.detectors._padim_graph import write_scores

        with (progress or Silent()).stage("Inverting factors", grid[0] * grid[1]) as advance:
            return write_scores(
                graph, embedding, channels=self.channels_, mean=self.mean_, packed=self.cholesky_, advance=advance
            )

    def state(self) -> dict[str, Array]:
        self._require_fitted("cholesky_")
        count = np.array(self.count_)
        aside = {"set_aside": self.set_aside_} if self.robust else {}
        return {"channels": self.channels_, "mean": self.mean_, "cholesky": self.cholesky_, "count": count} | aside

    def _restore(self, state: Mapping[str, Array]) -> None:
        self.channels_, self.mean_, self.cholesky_ = state["channels"], state["mean"], state["cholesky"]
        self.count_ = int(state["count"].item()) if "count" in state else 0  # unknown in schemas 1 and 2
        self.set_aside_ = set_aside(state)
        size = len(self.channels_)
        positions = self.mean_.shape[0] * self.mean_.shape[1]
        shapes = self.mean_.shape[2:] == (size,) and self.cholesky_.shape == (size * (size + 1) // 2, positions)
        kinds = self.channels_.dtype.kind + self.mean_.dtype.kind + self.cholesky_.dtype.kind
        if not shapes or kinds != "iff" or self.channels_.min(initial=0) < 0:
            raise ModelFileError("PaDiM's mean and factors do not fit together; restore the model file.")

    def summary(self) -> dict[str, float | int | str]:
        self._require_fitted("cholesky_")
        height, width, dimensions = self.mean_.shape
        aside = described(self.set_aside_) if self.robust else {}
        return {"positions": height * width, "dimensions": dimensions} | aside


def _too_few() -> DataError:
    return DataError("PaDiM needs at least 2 good images to fit; add images.")


def _factored(factors: Callable[[], Float32], regularisation: float) -> Float32:
    try:
        return factors()
    except np.linalg.LinAlgError:
        raise DataError(
            f"covariances cannot be factored with detector.regularisation {regularisation}; raise it "
            "(0.01 is the paper's), or give more good images."
        ) from None


def _sums(positions: int, dimensions: int, leave_one_out: bool) -> RunningGaussian:
    """Empty sums; raises `ParameterError` where the memory for them is not to be had, before anything is computed."""
    require_free(positions, dimensions, leave_one_out=leave_one_out)
    return RunningGaussian(positions, dimensions)


def _warn_if_few(images: int, dimensions: int) -> None:
    if images <= dimensions:
        warnings.warn(
            f"PaDiM fits {dimensions} dimensions on {images} images, so its covariances are mostly "
            f"regularisation. Give more than {dimensions} good images, set detector.reduced_dims to "
            f"{max(1, images // 2)} or less, or use --detector patchcore.",
            KizuWarning,
            stacklevel=3,
        )


def _of_one_grid(embeddings: Iterable[Float32], grid: tuple[int, int] | None = None) -> Iterator[Float32]:
    """``embeddings`` as long as they are of ``grid``, or all of that of the first. Raises `DataError`."""
    for batch in embeddings:
        found = (batch.shape[1], batch.shape[2])
        grid = grid or found
        if found != grid:
            raise DataError(different_grids(grid, found))
        yield batch


def _add(images: Iterable[Float32], sums: RunningGaussian) -> None:
    """Sum ``images`` ``(h, w, d)``, `BATCH_IMAGES` at a time whatever came at a time: the same to the last bit."""
    for some in _in_rounds(images, BATCH_IMAGES):
        sums.update([image.reshape(sums.mean.shape) for image in some])


def _in_rounds(images: Iterable[Float32], at_a_time: int) -> Iterator[list[Float32]]:
    """So many ``images`` at a time, in a list that is used again; of the last round once there are no more."""
    waiting: list[Float32] = []
    for image in images:
        if len(waiting) == at_a_time:
            yield waiting
            waiting.clear()
        waiting.append(image)
    if waiting:
        yield waiting
