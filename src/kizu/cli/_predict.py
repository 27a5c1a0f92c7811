"""``kizu predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.cli import _options


def predict(
    model: _options.Model,
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of them.", metavar="PATH")],
    out: _options.Out = None,
    save: _options.Save = "",
    scale: _options.Scale = "p_value",
    min_area: _options.MinArea = 1,
    exact: _options.Exact = False,
    engine: _options.Engine = None,
    precision: _options.Precision = None,
    providers: _options.Providers = None,
    skip_unreadable: _options.SkipUnreadable = False,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Score new images.

    Prints a line an image: path, score, threshold, verdict, p-value, milliseconds from decoded image to
    map. P-value: about that share of good parts scores as high.
    """
    import sys

    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.progress import Silent
    from kizu.workflows import load
    from kizu.workflows import predict as predict_images

    parts = _show.parts(save, out)
    _options.needs("--min-area", min_area != 1, "--out DIR", out is not None)
    lines_show_progress = sys.stdout.isatty() and not as_json
    predictions = predict_images(
        load(model, exact=exact, engine=engine, precision=precision, providers=_options.names(providers)),
        paths,
        out=out,
        save=parts,
        scale=scale,
        min_area=min_area,
        skip_unreadable=skip_unreadable,
        max_pixels=max_pixels,
        progress=Silent() if lines_show_progress or (len(paths) == 1 and paths[0].is_file()) else Bars(),
    )
    _show.predictions(predictions, model, out, as_json)
