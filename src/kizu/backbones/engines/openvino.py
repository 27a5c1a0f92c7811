"""What runs a backbone's graph: OpenVINO on the CPU, https://docs.openvino.ai."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kizu.backbones.engines._contract import GraphEngine, Port, check_threads, contract, unusable
from kizu.errors import MissingExtraError, ParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DEVICE = "CPU"
_TELEMETRY = "openvino_telemetry"
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""What the parts of a graph that are not quantised compute in."""


class OpenVinoEngine(GraphEngine):
    """Turns images into embeddings with OpenVINO; the same images always give the same embeddings.

    ``model`` is what `embedding_graph` returns; ``precision`` what it computes in, ``int8`` for a quantised graph.
    ``threads`` is the number of CPU threads (None: one a physical core). Images run one at a time: a graph of fixed
    shape is the fastest, and no embedding depends on what else is in its batch.

    Raises:
        ModelFileError: the model is damaged, or not one that `embedding_graph` wrote.
        ParameterError: a precision this processor has not, or a wrong number of threads.
        MissingExtraError: OpenVINO is not installed.
    """

    def __init__(self, model: bytes, *, precision: str = "float32", threads: int | None = None) -> None:
        check_threads(threads)
        instead = ", or use --engine onnxruntime: it computes the same" if precision == "float32" else ""
        core = import_openvino(instead).Core()
        if precision == "bfloat16" and "BF16" not in capabilities(core):
            raise ParameterError(
                'this processor does not compute in bfloat16. Use --precision float32 (`precision="float32"`).'
            )
        network = _read(core, model)
        super().__init__(contract(_ports(network.inputs), _ports(network.outputs)))
        self._compiled = _compile(core, network, self.image_size, _HINTS[precision], threads)
        self._request = self._compiled.create_infer_request()
        self._lock = Lock()  # a request serves one caller at a time

    @property
    def precision(self) -> str:
        """What OpenVINO computes in where the graph is not quantised: ``f32`` or ``bf16``."""
        return str(self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())

    def _run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        import numpy as np

        result = np.empty((len(images), *self.grid, self.channels), np.float32)
        with self._lock:
            for place, image in enumerate(images):
                self._request.infer({"images": np.ascontiguousarray(image[None])})
                result[place] = self._request.get_tensor("embedding").data[0]
        return result


def capabilities(core: Any) -> list[str]:
    """What the processor computes in, by OpenVINO's names: ``FP32``, ``BF16``, ``INT8``."""
    found: list[str] = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    return found


def import_openvino(instead: str = "") -> ModuleType:
    """The package, which on its own would tell its maker that it is used. Raises `MissingExtraError`, which ends with
    what can be done ``instead`` of installing it.
    """
    try:
        with _without_telemetry():
            import openvino
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != "openvino":
            raise
        raise MissingExtraError(f'OpenVINO is not installed. Run: pip install "kizu[openvino]"{instead}') from None
    found: ModuleType = openvino
    return found


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Importing OpenVINO tells its maker, and leaves files in the home folder, unless this package is missing."""
    if _TELEMETRY in sys.modules or "openvino" in sys.modules:
        yield
        return
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # the documented way to make an import fail
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]


def _read(core: Any, model: bytes) -> Any:
    try:
        return core.read_model(model)
    except Exception as error:  # RuntimeError, and what pybind11 makes of other C++ exceptions
        raise unusable(error) from error


def _compile(core: Any, network: Any, size: int, hint: str, threads: int | None) -> Any:
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": hint,  # left to itself, OpenVINO takes bfloat16 where the processor has it
        "ENABLE_CPU_PINNING": False,
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        network.reshape({"images": [1, size, size, 3]})
        return core.compile_model(network, _DEVICE, settings)
    except Exception as error:
        raise unusable(error) from error


def _ports(ports: Any) -> dict[str, Port]:
    return {name: Port(_shape(port), _dtype(port)) for port in ports for name in port.get_names()}


def _shape(port: Any) -> tuple[int | None, ...]:
    return tuple(axis.get_length() if axis.is_static else None for axis in port.get_partial_shape())


def _dtype(port: Any) -> str:
    name: str = port.get_element_type().to_dtype().name
    return name
