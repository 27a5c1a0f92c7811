"""``kizu info``."""

from __future__ import annotations

from typing import Annotated

import typer

from kizu.cli import _options


def info(
    model: _options.Model,
    config: Annotated[
        bool, typer.Option("--config", help="Print the model's settings as YAML, for `kizu fit --config`.")
    ] = False,
    as_json: _options.Json = False,
) -> None:
    """Show what a model is: settings, threshold, and what it was made from."""
    from kizu.cli import _show
    from kizu.workflows import load

    inspector = load(model)
    if config:
        print(inspector.config.to_yaml(), end="")
    else:
        _show.info(inspector, model, as_json)
