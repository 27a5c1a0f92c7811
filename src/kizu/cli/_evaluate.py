"""``kizu evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.cli import _options, _report


def evaluate(
    model: _options.Model,
    data: Annotated[Path, typer.Argument(help="Labelled images, as for `kizu fit`.", metavar="DATA")],
    out: _options.Out = None,
    save: _options.Save = "",
    scale: _options.Scale = "p_value",
    min_area: _options.MinArea = 1,
    plots: Annotated[
        bool,
        typer.Option(
            "--plots",
            help="Write ROC, precision and recall, confusion matrix and scores as pictures. Needs "
            'pip install "kizu[report]", and --out. [default: off]',
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="An HTML file, or a folder for report.html: everything in one page. "
            'Needs pip install "kizu[report]". [default: none]',
            metavar="FILE",
        ),
    ] = None,
    language: _report.Language = "en",
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
    from kizu.workflows import ReportTarget, load
    from kizu.workflows import evaluate as evaluate_inspector

    parts = _show.parts(save, out)
    _options.needs("--scale", scale != "p_value", "--out DIR", out is not None)
    _options.needs("--min-area", min_area != 1, "--out DIR or --report FILE", out is not None or report is not None)
    _options.needs("--lang", language != "en", "--report FILE", report is not None)
    target = None if report is None else ReportTarget(report, language, model)
    result = evaluate_inspector(
        load(model, exact=exact, engine=engine, precision=precision, providers=_options.names(providers)),
        data,
        out=out,
        save=parts,
        scale=scale,
        min_area=min_area,
        plots=plots,
        report=target,
        skip_unreadable=skip_unreadable,
        max_pixels=max_pixels,
        progress=Bars(),
    )
    _show.evaluation(result, out, as_json)
    if target is not None and not as_json:
        _report.wrote(target.page, target.coco)
