"""``kizu report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.cli import _options
from kizu.memory import mebibytes
from kizu.wording import plural

if TYPE_CHECKING:
    from kizu.workflows import Report

Language = Annotated[
    str,
    typer.Option("--lang", help="Language of the report: en or ja.", metavar="LANGUAGE"),
]


def report(
    model: _options.Model,
    data: Annotated[
        Path,
        typer.Argument(
            help="Labelled images, as for `kizu evaluate`; or a folder of images, or an image, without labels.",
            metavar="DATA",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder for report.html; or an HTML file.", metavar="DIR"),
    ] = Path("report"),
    language: Language = "en",
    pdf: Annotated[
        bool,
        typer.Option("--pdf", help="Print it as PDF too, with Chromium, Chrome or Edge. [default: HTML alone]"),
    ] = False,
    chromium: Annotated[
        Path | None,
        typer.Option(
            "--chromium",
            help="The Chromium, Chrome or Edge that prints. [default: the environment variable KIZU_CHROMIUM, or one "
            "that is installed]",
            metavar="PATH",
        ),
    ] = None,
    no_check: Annotated[
        bool,
        typer.Option("--no-check", help="Do not look through the data for what is wrong with it. [default: look]"),
    ] = False,
    min_area: _options.MinArea = 1,
    exact: _options.Exact = False,
    engine: _options.Engine = None,
    precision: _options.Precision = None,
    providers: _options.Providers = None,
    skip_unreadable: _options.SkipUnreadable = False,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Inspect images and write a report to decide from.

    One HTML file that needs no network, in English or Japanese, and as PDF. Needs `pip install "kizu[report]"`.
    """
    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.workflows import ReportTarget, load, make_report

    _options.needs("--chromium", chromium is not None, "--pdf", pdf)
    result = make_report(
        load(model, exact=exact, engine=engine, precision=precision, providers=_options.names(providers)),
        data,
        ReportTarget(out, language, model),
        pdf=pdf,
        chromium=chromium,
        check=not no_check,
        min_area=min_area,
        skip_unreadable=skip_unreadable,
        max_pixels=max_pixels,
        progress=Bars(),
    )
    if as_json:
        _show.document({"model": str(model), **result.to_dict()})
    else:
        _say(result)


def _say(result: Report) -> None:
    """What was inspected, and where to look."""
    from kizu.cli import _show

    verdicts = ", ".join(f"{count} {verdict.upper()}" for verdict, count in result.verdicts.items())
    print(f"{plural(result.images, 'image')} in {result.seconds:.1f} s: {verdicts}")
    _show.skipped(result.skipped)
    _show.not_judged(result.kept_for_fitting)
    if not result.labelled:
        have = "It has" if result.images == 1 else "They have"
        print(f"{have} no labels, so the report does not say what is right and wrong.")
    wrote(result.page, result.coco)
    if result.pdf is not None:
        wrote(result.pdf)


def wrote(path: Path, beside: Path | None = None) -> None:
    """The line that names a finished report, and the file beside it."""
    from kizu.cli import _show

    more = "" if beside is None else f" and {beside}"
    _show.line(f"Wrote {path} ({mebibytes(path.stat().st_size)}){more}.")
