"""Which engine runs a model: as it was fitted, or as the caller says."""

from __future__ import annotations

from collections.abc import Sequence

from kizu import backbones
from kizu.config import Config
from kizu.errors import ParameterError


def open_as(
    config: Config,
    graph: bytes,
    *,
    engine: str | None = None,
    precision: str | None = None,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
) -> backbones.Engine:
    """The engine that ``config`` names, or another one; None stands for what the configuration says.

    Another engine leaves the configuration's execution providers behind.

    Raises:
        ParameterError: there is no such engine, precision or provider here, or the model is not in that precision.
        MissingExtraError: the engine's package is not installed.
        ModelFileError: the graph cannot be used.
    """
    chosen = engine or config.engine
    own = config.providers if chosen == config.engine else None
    return backbones.open_engine(
        graph,
        engine=chosen,
        precision=_precision(config.precision, precision),
        threads=threads,
        providers=own if providers is None else providers,
    )


def open_to_look(config: Config, graph: bytes) -> backbones.Engine:
    """An engine that every machine has, for looking at a model that may be meant for another machine."""
    return backbones.open_engine(graph, precision="int8" if config.precision == "int8" else "float32")


def _precision(own: str, wanted: str | None) -> str:
    if wanted in (None, own):
        return own
    if own == "int8":
        raise ParameterError(f"this model was quantised and runs in int8 alone. Fit again with --precision {wanted}.")
    if wanted == "int8":
        raise ParameterError("this model is not quantised, which takes images. Fit again with --precision int8.")
    return wanted or own
