"""What runs a backbone's graph: ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from kizu import onnx_runtime
from kizu.backbones.engines._contract import GraphEngine, Port, check_threads, contract, unusable
from kizu.errors import ParameterError, bad_parameter, unknown_name
from kizu.threads import one_of_several

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPIN_MICROSECONDS = 10
"""Time that idle threads wait awake: most layers follow each other sooner."""

_SPINS_FOR_SO_LONG = (1, 26)
"""The first ONNX Runtime that can be told that time; those before take no notice of it."""

_CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3


class OnnxRuntimeEngine(GraphEngine):
    """Turns images into embeddings with ONNX Runtime; the same images always give the same embeddings.

    ``model`` is what `embedding_graph` returns. ``threads`` is the number of CPU threads (None: one a physical core;
    one alone where `kizu.threads.one_of_several` calls), ``providers`` ONNX Runtime's execution providers in order of
    preference (None: the CPU).

    Raises:
        ModelFileError: the model is damaged, or not one that `embedding_graph` wrote.
        ParameterError: a provider that is unknown or cannot start here, or a wrong number of threads.
    """

    def __init__(self, model: bytes, *, threads: int | None = None, providers: Sequence[str] | None = None) -> None:
        chosen = [_CPU] if providers is None else list(providers)
        _check_providers(chosen)
        self._session = _session(model, _options(threads), chosen)
        super().__init__(contract(_ports(self._session.get_inputs()), _ports(self._session.get_outputs())))
        shared_out = threads is None and chosen == [_CPU]
        self._alone = _Later(partial(_session, model, _options(1), chosen)) if shared_out else None

    @property
    def providers(self) -> tuple[str, ...]:
        """The execution providers in use, in order of preference."""
        return tuple(self._session.get_providers())

    def _run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        session = self._alone.get() if self._alone and one_of_several() else self._session
        result: NDArray[np.float32] = session.run(["embedding"], {"images": images})[0]
        return result


class _Later:
    """A session that is opened when it is first asked for."""

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._opened, self._lock, self._session = opened, Lock(), None

    def get(self) -> Any:
        with self._lock:
            self._session = self._session or self._opened()
            return self._session


def _check_providers(providers: Sequence[str]) -> None:
    onnxruntime = onnx_runtime.imported()

    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    available = onnxruntime.get_available_providers()
    for name in providers:
        if name not in available:
            raise ParameterError(unknown_name("execution provider", name, available))
    if not providers:
        raise bad_parameter("providers", "a list of one or more execution providers", list(providers))


def _options(threads: int | None) -> Any:
    onnxruntime = onnx_runtime.imported()

    check_threads(threads)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.use_deterministic_compute = True
    options.inter_op_num_threads = 1
    for name, value in _spinning(onnx_runtime.release()).items():
        options.add_session_config_entry(f"session.intra_op.{name}", value)
    options.intra_op_num_threads = threads or 0
    return options


def _spinning(release: tuple[int, int]) -> dict[str, str]:
    """How long idle threads run in circles before they sleep, as session settings.

    Between two layers that is worth it; ever longer, as they do by default, takes the cores from what runs next or
    beside them (docs/decisions/0024).
    """
    if release < _SPINS_FOR_SO_LONG:  # there it is by default, or not at all
        return {"allow_spinning": "0"}
    return {"allow_spinning": "1", "spin_duration_us": str(SPIN_MICROSECONDS)}


def _session(model: bytes, options: Any, providers: Sequence[str]) -> Any:
    """A session on exactly these providers: ONNX Runtime's own way is to print, and go on with the CPU."""
    onnxruntime = onnx_runtime.imported()

    try:
        session = onnxruntime.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        advice = "Fit the model again." if list(providers) == [_CPU] else f"Try it with {_CPU} alone."
        raise unusable(error, advice) from error
    for name in providers:
        if name not in session.get_providers():
            raise ParameterError(
                f"the execution provider {name!r} did not start here. Install its libraries, or use {_CPU}."
            )
    session.disable_fallback()
    return session


def _ports(values: Any) -> dict[str, Port]:
    return {v.name: Port(tuple(v.shape), v.type.removeprefix("tensor(").removesuffix(")")) for v in values}
