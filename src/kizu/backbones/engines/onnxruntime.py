"""What runs a backbone's graph: ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from kizu.errors import ModelFileError, ParameterError, bad_parameter, unknown_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3


class OnnxRuntimeEngine:
    """Turns images into embeddings with ONNX Runtime; the same images always give the same embeddings.

    ``model`` is what `embedding_graph` returns. ``threads`` is the number of CPU threads (None: one a
    physical core), ``providers`` ONNX Runtime's execution providers in order of preference (None: the CPU).

    Raises:
        ModelFileError: the model is damaged, or not one that `embedding_graph` wrote.
        ParameterError: a provider that is unknown or cannot start here, or a wrong number of threads.
    """

    def __init__(self, model: bytes, *, threads: int | None = None, providers: Sequence[str] | None = None) -> None:
        chosen = [_CPU] if providers is None else list(providers)
        _check_providers(chosen)
        self._session = _session(model, _options(threads), chosen)
        self._image_size, self._grid, self._channels = _contract(self._session)

    @property
    def image_size(self) -> int:
        """Height and width of the images, in pixels."""
        return self._image_size

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the embedding."""
        return self._grid

    @property
    def channels(self) -> int:
        """Length of one patch's vector."""
        return self._channels

    @property
    def providers(self) -> tuple[str, ...]:
        """The execution providers in use, in order of preference."""
        return tuple(self._session.get_providers())

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings ``(B, h, w, D)`` float32 of images ``(B, H, W, 3)`` uint8 RGB, H = W = ``image_size``.

        Raises:
            ParameterError: another shape or dtype.
        """
        import numpy as np

        self._check(images)
        if len(images) == 0:
            return np.empty((0, *self._grid, self._channels), np.float32)
        result: NDArray[np.float32] = self._session.run(["embedding"], {"images": images})[0]
        return result

    def _check(self, images: NDArray[np.uint8]) -> None:
        size = self._image_size
        shape, dtype = getattr(images, "shape", ()), getattr(images, "dtype", type(images).__name__)
        if len(shape) != 4 or shape[1:] != (size, size, 3) or dtype != "uint8":
            expected = f"an array (B, {size}, {size}, 3) of uint8"
            raise ParameterError(f"`images` must be {expected}; got {shape} of {dtype}. Resize the images first.")


def _check_providers(providers: Sequence[str]) -> None:
    import onnxruntime

    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    available = onnxruntime.get_available_providers()
    for name in providers:
        if name not in available:
            raise ParameterError(unknown_name("execution provider", name, available))
    if not providers:
        raise bad_parameter("providers", "a list of one or more execution providers", list(providers))


def _options(threads: int | None) -> Any:
    import onnxruntime

    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise bad_parameter("threads", "a whole number of at least 1, or None", threads)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.use_deterministic_compute = True
    options.inter_op_num_threads = 1
    # Idle threads that spin take the cores from what runs next or beside them. On two cores an image of 256²
    # and its search took 32 ms with spinning and 18 ms without; the graph alone 4.0 and 4.6 ms.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads or 0
    return options


def _session(model: bytes, options: Any, providers: Sequence[str]) -> Any:
    """A session on exactly these providers: ONNX Runtime's own way is to print, and go on with the CPU."""
    import onnxruntime

    try:
        with redirect_stdout(StringIO()):  # older versions know no `enable_fallback` and print
            session = onnxruntime.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        reason = " ".join(str(error).split())
        advice = "Fit the model again." if list(providers) == [_CPU] else f"Try it with {_CPU} alone."
        raise ModelFileError(f"the backbone's ONNX graph cannot be used: {reason} {advice}") from error
    for name in providers:
        if name not in session.get_providers():
            raise ParameterError(
                f"the execution provider {name!r} did not start here. Install its libraries, or use {_CPU}."
            )
    session.disable_fallback()
    return session


def _contract(session: Any) -> tuple[int, tuple[int, int], int]:
    """Image size, grid and channels of a graph written by `embedding_graph`."""
    inputs = {value.name: value for value in session.get_inputs()}
    outputs = {value.name: value for value in session.get_outputs()}
    if set(inputs) != {"images"} or "embedding" not in outputs:
        raise _foreign()
    images, embedding = inputs["images"], outputs["embedding"]
    try:
        _, height, width, bands = images.shape
        _, rows, columns, channels = embedding.shape
    except ValueError:
        raise _foreign() from None
    whole = all(isinstance(n, int) for n in (height, width, rows, columns, channels))
    if not whole or height != width or bands != 3 or images.type != "tensor(uint8)":
        raise _foreign()
    return height, (rows, columns), channels


def _foreign() -> ModelFileError:
    return ModelFileError(
        "the ONNX graph is not a kizu backbone: it must map `images`, (batch, size, size, 3) uint8, to "
        "`embedding`, (batch, h, w, D) float32. Fit the model again."
    )
