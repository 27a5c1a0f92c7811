"""What every detector is: an estimator that knows embeddings, and nothing of files or backbones."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from kizu.errors import DataError, ExportError, ModelFileError, NotFittedError, ParameterError, bad_parameter
from kizu.progress import Progress

if TYPE_CHECKING:
    from typing_extensions import Self

    from kizu.graphs import Graph

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]


LARGEST = 1e16
"""Of an embedding's numbers: the squared distance of two vectors of 65,536 such numbers is still a float32."""


def finite(embeddings: Float32) -> Float32:
    """``embeddings``, once seen to hold finite numbers up to `LARGEST` only. Raises `DataError`."""
    if not embeddings.size or (embeddings.min() >= -LARGEST and embeddings.max() <= LARGEST):  # false for NaN
        return embeddings
    if not np.isfinite(embeddings).all():
        raise DataError(
            "an embedding holds NaN or infinite numbers; the backbone is damaged. Install its package anew."
        )
    raise DataError(
        f"the backbone's features are too large to tell distances: up to {np.abs(embeddings).max():.2g}, and at most "
        f"{LARGEST:.0e} can be. Use another backbone or other layers, or mend its normalisation."
    )


def to_score(embeddings: npt.ArrayLike, channels: int, *, or_more: bool = False) -> Float32:
    """A batch as `Detector.score` works on it: ``(B, h, w, channels)``, float32. Raises `ParameterError`."""
    found: Float32 = np.ascontiguousarray(embeddings, np.float32)
    fits = found.ndim == 4 and (found.shape[3] == channels or (or_more and found.shape[3] > channels))
    if not fits or 0 in found.shape[1:3]:
        wanted = f"{channels} or more" if or_more else f"{channels}"
        raise bad_parameter("embeddings", f"(B, h, w, D) with h and w above 0 and D {wanted}", found.shape)
    return found


@dataclass(frozen=True, eq=False)
class Scores:
    """Raw distances of a batch: ``patches`` ``(B, h, w)`` and ``images`` ``(B,)``, float32, ≥ 0.

    Higher is always more anomalous.
    """

    patches: Float32
    images: Float32

    def __post_init__(self) -> None:
        if self.patches.ndim != 3 or self.images.shape != self.patches.shape[:1]:
            raise ValueError(f"patches {self.patches.shape} and images {self.images.shape} do not match")

    def without(self, images: npt.NDArray[np.int64]) -> Scores:
        """These but for some ``images``, by number."""
        return Scores(np.delete(self.patches, images, axis=0), np.delete(self.images, images))


def checked_scores(scores: Scores, patches: tuple[int, ...], name: str) -> Scores:
    """What the detector of that ``name`` gave for embeddings of so many ``patches``, ``(B, h, w)``, once seen to be
    what `Detector.score` promises.

    Raises `DataError` where a score is not finite, `ParameterError` where they are negative or of another shape.
    """
    if scores.patches.shape != patches:
        raise ParameterError(
            f"the detector {name!r} gives patch scores {scores.patches.shape} for {patches} patches: one each are "
            "needed. Mend or update its package."
        )
    if not (np.isfinite(scores.images).all() and np.isfinite(scores.patches).all()):
        raise DataError("the detector gives no finite score: it cannot be judged. Look at the image, or fit again.")
    lowest = min(scores.patches.min(initial=0), scores.images.min(initial=0))
    if lowest < 0:
        raise ParameterError(
            f"the detector {name!r} gives a score below 0, {lowest:.6g}: scores are distances, higher is more "
            "anomalous. Mend or update its package."
        )
    return scores


class LeavesOneOut(Protocol):
    """What a detector offers that says ``leaves_one_out``."""

    left_out_: Scores

    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
        leave_one_out: bool = False,
    ) -> object: ...


class Detector(ABC):
    """Base of all detectors.

    A subclass takes keyword-only parameters in ``__init__`` and only stores them under the same names. ``check``
    says what is wrong with them; ``fit`` learns, and what it learnt ends in ``_``; ``state`` and ``from_state``
    carry that as plain arrays. A refit overwrites.
    """

    name: ClassVar[str]
    """The name users give: ``--detector NAME``."""

    min_images: ClassVar[int]
    """Good images a fit needs at least."""

    leaves_one_out: ClassVar[bool] = False
    """Whether ``fit`` also takes ``leave_one_out=True``, which sets ``left_out_``, the `Scores` of the images of the
    fit: what each would score had it not been among them, ``(n, h, w)`` and ``(n,)``. ``embeddings`` may then be
    read twice. A detector that cannot is calibrated on images held out.
    """

    leaves_one_out_later: ClassVar[bool] = False
    """Whether ``fit`` and ``updated`` also take ``later=True``, which with ``leave_one_out`` sets no ``left_out_``
    but lets ``without`` be called: so images can be left out of a fit on parts of them, and be scored whole.
    """

    position_bound: ClassVar[bool] = True
    """Whether a patch's score depends on where in the grid it lies: then all embeddings must be of one grid, and be
    scored whole. Otherwise they may come in parts, and be of any size.
    """

    takes_memory: ClassVar[bool] = False
    """Whether ``fit`` also takes ``memory``, bytes that it may hold at most, and `streams` says what that means."""

    side_by_side: ClassVar[bool] = False
    """Whether several threads may call ``score`` at once: folders of images are then inspected several at a time."""

    @abstractmethod
    def check(self) -> None:
        """Raise `ParameterError` when a parameter is out of range."""

    @abstractmethod
    def fit(
        self,
        embeddings: Iterable[Float32],
        *,
        images: int | None = None,
        rng: np.random.Generator | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from batches ``(b, h, w, D)`` of good images' embeddings.

        ``images`` is how many images will come, if known: memory is then taken once. ``rng`` decides whatever is
        random (default: seed 0).
        """

    @abstractmethod
    def score(self, embeddings: Float32) -> Scores:
        """Score a batch ``(B, h, w, D)``. Raises `NotFittedError` before ``fit``."""

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """What was learnt, as plain arrays."""

    @abstractmethod
    def _restore(self, state: Mapping[str, Array]) -> None:
        """Take over what `state` gave. Raises `ModelFileError` when it does not fit together."""

    @abstractmethod
    def summary(self) -> dict[str, float | int | str]:
        """A few figures of what was learnt, for people."""

    def search_exactly(self) -> None:  # noqa: B027
        """Switch off whatever is approximate in ``score``; most detectors have nothing to switch off."""

    def without(self, image: int) -> Detector:
        """This detector as if ``image`` had not been among those learnt last, by its number there, from 0.

        Only after ``leave_one_out=True, later=True``, of a detector that ``leaves_one_out_later``.
        """
        raise NotFittedError(f"this {type(self).__name__} was not fitted to leave images out later.")

    def streams(self, memory: int, images: int, grid: tuple[int, int], channels: int) -> bool:
        """Whether a fit of so many embeddings ``(h, w, D)``, given ``memory`` bytes, streams: none can be left out
        then. Never where ``fit`` does not take ``memory``. Raises `ParameterError` where it is too little.
        """
        return False

    @property
    def never_higher(self) -> bool:
        """Whether no image ever scores higher after ``updated``: calibration scores from before stay upper bounds."""
        return False

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
        """Another detector that has learnt these good images too, for `kizu.update`; this one stays as it is.

        Arguments are those of ``fit``; ``leave_one_out`` sets ``left_out_`` for the new images alone, of a detector
        that ``leaves_one_out``. The new images should score ``at_most`` so much then, where the detector can see to
        that. Optional: without it everything but updates works. Raises `ParameterError`.
        """
        raise ParameterError(
            f"the detector {self.name!r} cannot learn more images: it does not say how. Fit again with all of them, "
            "or use a version of its package that offers `updated`."
        )

    def write(
        self, graph: Graph, embedding: str, grid: tuple[int, int], progress: Progress | None = None
    ) -> tuple[str, str]:
        """Write ``score`` as nodes of an ONNX graph, for `kizu.export`: whatever is approximate in it, exactly.

        ``embedding`` is the name of one embedding there, ``(1, h, w, D)`` float32, ``grid`` its ``(h, w)``. Returns
        the names of the patch scores ``(1, h, w)`` and of the image score ``()``, float32. Optional: without it
        everything but exports works. Raises `ExportError`.
        """
        raise ExportError(
            f"the detector {self.name!r} cannot be exported: it does not say how to write itself as ONNX. Use "
            "another detector, or a version of its package that offers `write`."
        )

    @classmethod
    def from_state(cls, parameters: Mapping[str, Any], state: Mapping[str, Array]) -> Self:
        """The fitted detector that `parameters` and `state` describe.

        Raises `ModelFileError` when arrays are missing or do not fit together.
        """
        self = cls(**parameters)
        self.check()
        try:
            self._restore(state)
        except (LookupError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"what {cls.__name__} learnt is incomplete ({error}); restore the model file."
            ) from error
        return self

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Every parameter and its default, in the order of ``__init__``."""
        signature = inspect.signature(cls.__init__)
        return {p.name: p.default for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}

    def parameters(self) -> dict[str, Any]:
        """Every parameter as it stands."""
        return {name: getattr(self, name) for name in self.defaults()}

    def _require_fitted(self, attribute: str) -> None:
        if not hasattr(self, attribute):
            raise NotFittedError(f"this {type(self).__name__} has not been fitted; call fit() first.")
