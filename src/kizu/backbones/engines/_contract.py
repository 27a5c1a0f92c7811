"""What every engine checks, in the same words: the graph it is given, the images, the number of threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kizu.errors import DataError, ModelFileError, ParameterError, bad_parameter, sentence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Axis = int | str | None

_DTYPES = {"uint8": "uint8", "float": "float32", "float32": "float32"}
"""Of images, by the names that runtimes have for them."""


class Port(NamedTuple):
    """An input or output of a graph: its shape, where an open length is no number, and its element type."""

    shape: tuple[Axis, ...]
    dtype: str


class Contract(NamedTuple):
    """What a graph written by `embedding_graph` promises: image size, grid and channels, and the images' type."""

    image_size: int
    grid: tuple[int, int]
    channels: int
    dtype: str = "uint8"


def contract(inputs: Mapping[str, Port], outputs: Mapping[str, Port]) -> Contract:
    """Read off a graph's ports. Raises `ModelFileError` for a graph that `embedding_graph` did not write."""
    if set(inputs) != {"images"} or "embedding" not in outputs:
        raise _foreign()
    images, embedding = inputs["images"], outputs["embedding"]
    if len(images.shape) != 4 or len(embedding.shape) != 4 or images.dtype not in _DTYPES:
        raise _foreign()
    height, width, bands = images.shape[1:]
    rows, columns, channels = embedding.shape[1:]
    if not all(isinstance(n, int) for n in (height, rows, columns, channels)) or height != width or bands != 3:
        raise _foreign()
    return Contract(height, (rows, columns), channels, _DTYPES[images.dtype])  # type: ignore[arg-type]


def _foreign() -> ModelFileError:
    return ModelFileError(
        "the ONNX graph is not a kizu backbone: it must map `images`, (batch, size, size, 3) uint8 or float32, to "
        "`embedding`, (batch, h, w, D) float32. Fit the model again."
    )


def unusable(error: Exception, advice: str = "Fit the model again.") -> ModelFileError:
    """The error for a graph that a runtime refused."""
    return ModelFileError(f"the backbone's ONNX graph cannot be used: {sentence(error)} {advice}")


def check_threads(threads: int | None) -> None:
    """Raises `ParameterError` for anything but None or a number of threads."""
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise bad_parameter("threads", "a whole number of at least 1, or None", threads)


class GraphEngine(ABC):
    """An engine over one graph: the checks are here, the running in ``_run``."""

    def __init__(self, promised: Contract) -> None:
        self._promised = promised

    @property
    def image_size(self) -> int:
        """Height and width of the images, in pixels."""
        return self._promised.image_size

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the embedding."""
        return self._promised.grid

    @property
    def channels(self) -> int:
        """Length of one patch's vector."""
        return self._promised.channels

    @property
    def dtype(self) -> str:
        """Of the images: ``uint8``, or ``float32`` for levels from 0 to 255 that are not rounded."""
        return self._promised.dtype

    def embed(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Embeddings ``(B, h, w, D)`` float32 of images ``(B, H, W, 3)`` RGB of `dtype`, H = W = ``image_size``.

        Raises:
            ParameterError: another shape or dtype.
            DataError: the network makes of an image what is not a finite number.
        """
        import numpy as np

        self._check(images)
        if len(images) == 0:
            return np.empty((0, *self.grid, self.channels), np.float32)
        embeddings = self._run(images)
        if not np.isfinite(embeddings).all():
            raise DataError(
                "the backbone makes NaN or infinite numbers of this image: it cannot be judged. Look whether it is a "
                "picture at all; if it is, use another backbone, or install this one anew."
            )
        return embeddings

    def _check(self, images: NDArray[Any]) -> None:
        size = self.image_size
        shape, dtype = getattr(images, "shape", ()), getattr(images, "dtype", type(images).__name__)
        if len(shape) != 4 or shape[1:] != (size, size, 3) or dtype != self.dtype:
            expected = f"an array (B, {size}, {size}, 3) of {self.dtype}"
            raise ParameterError(f"`images` must be {expected}; got {shape} of {dtype}. Resize the images first.")

    @abstractmethod
    def _run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Embeddings of one or more images that have been checked."""
