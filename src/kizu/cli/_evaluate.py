"""``kizu evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.cli import _options


def evaluate(
    model: _options.Model,
    data: Annotated[Path, typer.Argument(help="Labelled images, as for `kizu fit`.", metavar="DATA")],
    out: _options.Out = None,
    save: _options.Save = "",
    exact: _options.Exact = False,
    engine: _options.Engine = None,
    precision: _options.Precision = None,
    providers: _options.Providers = None,
    skip_unreadable: _options.SkipUnreadable = False,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Measure a model on labelled images."""
    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.workflows import evaluate as evaluate_inspector
    from kizu.workflows import load

    parts = _show.parts(save, out)
    result = evaluate_inspector(
        load(model, exact=exact, engine=engine, precision=precision, providers=_options.names(providers)),
        data,
        out=out,
        save=parts,
        skip_unreadable=skip_unreadable,
        max_pixels=max_pixels,
        progress=Bars(),
    )
    _show.evaluation(result, out, as_json)
