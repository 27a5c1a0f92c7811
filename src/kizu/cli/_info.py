"""``kizu info``."""

from __future__ import annotations

from typing import Annotated

import typer

from kizu.cli import _options


def info(
    model: _options.Model,
    config: Annotated[
        bool, typer.Option("--config", help="Print the settings as YAML, for `kizu fit --config`. [default: off]")
    ] = False,
    as_json: _options.Json = False,
) -> None:
    """Show what a model is.

    Its settings, what it learnt, its threshold, and what it was made from.
    """
    from kizu.cli import _show
    from kizu.workflows import look

    inspector = look(model)
    if config and not as_json:  # the JSON document holds them
        print(inspector.config.to_yaml(), end="")
    else:
        _show.info(inspector, model, as_json)
