"""Which engine runs a model: as it was fitted, or as the caller says; one for all models that are alike in that."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

from kizu import backbones
from kizu.arguments import several
from kizu.config import Config
from kizu.errors import ParameterError


class EngineChoice(NamedTuple):
    """What `kizu.backbones.open_engine` is given besides the graph."""

    engine: str = "onnxruntime"
    precision: str = "float32"
    threads: int | None = None
    providers: tuple[str, ...] | None = None


def engine_choice(
    config: Config,
    engine: str | None = None,
    precision: str | None = None,
    providers: str | Sequence[str] | None = None,
    threads: int | None = None,
) -> EngineChoice:
    """The engine that ``config`` names, or another one; None stands for what the configuration says; a provider
    alone is one.

    Another engine leaves the configuration's execution providers behind. Raises `ParameterError` where the model is
    not in that precision.
    """
    chosen = engine or config.engine
    own = config.providers if chosen == config.engine else None
    wanted = own if providers is None else tuple(several(providers))
    return EngineChoice(chosen, _precision(config.precision, precision), threads, wanted)


def to_look(config: Config) -> EngineChoice:
    """An engine that every machine has, for looking at a model that may be meant for another machine."""
    return EngineChoice(precision="int8" if config.precision == "int8" else "float32")


_engines: WeakValueDictionary[tuple[str, EngineChoice], backbones.Engine] = WeakValueDictionary()
_graphs: WeakKeyDictionary[backbones.Engine, bytes] = WeakKeyDictionary()
_opening = Lock()


def shared_engine(graph: bytes, graph_id: str, choice: EngineChoice) -> backbones.Engine:
    """The engine running ``graph``, the same for all who ask for the same; it goes with the last of them.

    ``graph_id`` is the graph's SHA-256. Engines hold no state and serve any number of threads.

    Raises:
        ParameterError: there is no such engine, precision or provider here.
        MissingExtraError: the engine's package is not installed.
        ModelFileError: the graph cannot be used.
    """
    with _opening:
        engine = _engines.get((graph_id, choice))
        if engine is None:
            engine = backbones.open_engine(graph, **choice._asdict())
            _engines[graph_id, choice], _graphs[engine] = engine, graph
    return engine


def known_graph(graph_id: str) -> bytes | None:
    """The graph of that SHA-256, where an engine runs it."""
    with _opening:
        running = [engine for (known, _), engine in _engines.items() if known == graph_id]
        return _graphs[running[0]] if running else None


def _precision(own: str, wanted: str | None) -> str:
    if wanted in (None, own):
        return own
    if own == "int8":
        raise ParameterError(f"this model was quantised and runs in int8 alone. Fit again with --precision {wanted}.")
    if wanted == "int8":
        raise ParameterError("this model is not quantised, which takes images. Fit again with --precision int8.")
    return wanted or own
