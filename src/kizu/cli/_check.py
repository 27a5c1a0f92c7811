"""``kizu check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.cli import _options


def check(
    data: Annotated[Path, typer.Argument(help="Images in any layout, as for `kizu fit`.", metavar="DATA")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for findings.csv, suspects.csv and suspects/ with a picture each. [default: none]",
            metavar="DIR",
        ),
    ] = None,
    no_outliers: Annotated[
        bool,
        typer.Option("--no-outliers", help="Do not look for defects among the good images: faster. [default: look]"),
    ] = False,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Look for what is wrong with a data set.

    Copies, leaks, odd pictures, wrong masks, and defects among the good images.
    """
    from kizu.cli import _show_check
    from kizu.cli._progress import Bars
    from kizu.workflows import check as check_data

    result = check_data(data, out=out, suspects=not no_outliers, max_pixels=max_pixels, progress=Bars())
    _show_check.data_check(result, out, as_json)
