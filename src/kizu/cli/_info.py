"""``kizu info``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.cli import _options

if TYPE_CHECKING:
    from kizu.inspector import Inspector


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
    from kizu.cli import _show, _show_model
    from kizu.workflows import draw_area, look

    inspector = look(model)
    if area is not None:
        draw_area(inspector, area)
    if config and not as_json:  # the JSON document holds them
        _show.lines(_changed(inspector))
        print(inspector.config.to_yaml(), end="")
    else:
        _show_model.info(inspector, model, as_json)


def _changed(inspector: Inspector) -> Iterator[str]:
    """A YAML comment on how the model decides now, where its settings say otherwise."""
    if inspector.calibration is None:
        return
    config, decision = inspector.config, inspector.calibration.decision
    shares = [("false_alarms", config.false_alarms), ("review_budget", config.review_budget)]
    changed = [f"{name} {getattr(decision, name):g}" for name, fitted in shares if getattr(decision, name) != fitted]
    if decision.threshold is not None:
        changed.append(f"the NG threshold {decision.threshold:.4g}, by {decision.by}")
    if changed:
        yield f"# kizu threshold changed these since: {', '.join(changed)}"
