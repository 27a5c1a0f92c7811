"""What an engine is, and how one is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kizu.errors import ParameterError, unknown_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENGINES = ("onnxruntime", "openvino")
PRECISIONS = ("float32", "bfloat16", "int8")


class Engine(Protocol):
    """Turns images into embeddings; the same images always give the same embeddings."""

    @property
    def image_size(self) -> int:
        """Height and width of the images, in pixels."""
        ...

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the embedding."""
        ...

    @property
    def channels(self) -> int:
        """Length of one patch's vector."""
        ...

    @property
    def dtype(self) -> str:
        """Of the images: ``uint8``, or ``float32`` for levels from 0 to 255 that are not rounded."""
        ...

    def embed(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Embeddings ``(B, h, w, D)`` float32 of images ``(B, H, W, 3)`` RGB of `dtype`, H = W = ``image_size``.

        Raises:
            ParameterError: another shape or dtype.
            DataError: the network makes of an image what is not a finite number.
        """
        ...


def open_engine(
    model: bytes,
    *,
    engine: str = "onnxruntime",
    precision: str = "float32",
    threads: int | None = None,
    providers: Sequence[str] | None = None,
) -> Engine:
    """The engine of that name, running ``model`` (what `embedding_graph` returns).

    ``precision`` is what it computes in; ``int8`` needs a graph that was quantised. ``threads`` is the number of CPU
    threads (None: one a physical core), ``providers`` ONNX Runtime's execution providers in order of preference.

    Raises:
        ModelFileError: the model is damaged, or not one that `embedding_graph` wrote.
        ParameterError: an engine or provider that is unknown or cannot start here, or a precision it has not.
        MissingExtraError: the engine's package is not installed.
    """
    _check_choice(model, engine, precision, providers)
    if engine == "openvino":
        from kizu.backbones.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(model, precision=precision, threads=threads)
    from kizu.backbones.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(model, threads=threads, providers=providers)


def _check_choice(model: bytes, engine: str, precision: str, providers: Sequence[str] | None) -> None:
    """Raises `ParameterError` for a name that does not exist, or a choice that no machine has."""
    if engine not in ENGINES:
        raise ParameterError(unknown_name("engine", engine, ENGINES))
    if precision not in PRECISIONS:
        raise ParameterError(unknown_name("precision", precision, PRECISIONS))
    if engine == "onnxruntime" and precision == "bfloat16":
        raise ParameterError(
            "ONNX Runtime does not compute in bfloat16 on a CPU. Use --engine openvino, or --precision float32."
        )
    if engine == "openvino" and providers is not None:
        raise ParameterError("execution providers are ONNX Runtime's. Leave them out, or use --engine onnxruntime.")
    if precision == "int8" and not is_quantised(model):
        raise ParameterError("this graph is not quantised, so it cannot run in int8. Fit with --precision int8.")


def is_quantised(model: bytes) -> bool:
    """Whether a graph has quantised parts; without the ``onnx`` package, which predicting does not need."""
    return b"QuantizeLinear" in model
