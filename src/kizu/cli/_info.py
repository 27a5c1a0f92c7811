"""``kizu info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.cli import _options


def info(
    model: _options.Model,
    config: Annotated[
        bool, typer.Option("--config", help="Print the settings as YAML, for `kizu fit --config`. [default: off]")
    ] = False,
    area: Annotated[
        Path | None,
        typer.Option(
            help="Write a picture of what is inspected: the rest of a good image is pale. [default: none]",
            metavar="FILE",
        ),
    ] = None,
    as_json: _options.Json = False,
) -> None:
    """Show what a model is.

    Its settings, what it learnt, its threshold, and what it was made from.
    """
    from kizu.cli import _show_model
    from kizu.workflows import draw_area, look

    inspector = look(model)
    if area is not None:
        draw_area(inspector, area)
    if config and not as_json:  # the JSON document holds them
        print(inspector.config.to_yaml(), end="")
    else:
        _show_model.info(inspector, model, as_json)
