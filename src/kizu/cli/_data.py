"""``kizu data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.cli import _options

app = typer.Typer(
    help="Data sets: public ones to fetch, and defects to draw.\n\n"
    "Drawn defects say how settings compare where no real defect is known.",
    no_args_is_help=False,
)


@app.command("list")
def list_all(as_json: _options.Json = False) -> None:
    """List public data sets, a line each.

    Prints name, how it comes, the archive's size, licence and what it is.
    """
    from kizu.cli import _show_data
    from kizu.workflows import list_data

    _show_data.cards(list_data(), as_json)


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="A name from `kizu data list`.", metavar="NAME")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write, new or empty. [default: ./NAME]", metavar="DIR"),
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the licence that is shown without this. [default: off]")
    ] = False,
    archive: Annotated[
        Path | None,
        typer.Option(
            help="Unpack this file, brought by hand, instead of downloading. [default: none]", metavar="FILE"
        ),
    ] = None,
    keep_archive: Annotated[
        bool,
        typer.Option("--keep-archive", help="Keep the downloaded archive. [default: delete it]"),
    ] = False,
    as_json: _options.Json = False,
) -> None:
    """Download a public data set.

    Checks it against the published SHA-256 and unpacks it whole or not at all. A download that breaks off goes on
    where it stopped. Without a network, the message says what to bring from where.
    """
    from kizu.cli import _show_data
    from kizu.cli._progress import Bars
    from kizu.workflows import fetch_data

    result = fetch_data(
        name,
        out,
        archive=archive,
        accept_licence=accept_licence,
        keep_archive=keep_archive,
        progress=Bars(),
    )
    _show_data.fetched(result, as_json)


@app.command("synthesise")
def synthesise(
    data: Annotated[Path, typer.Argument(help="Good images in any layout, as for `kizu fit`.", metavar="DATA")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, new or empty.", metavar="DIR")],
    kinds: Annotated[
        str, typer.Option(help="What to draw, with commas.", metavar="KINDS")
    ] = "scratch,blob,cut_paste,texture,seamless",
    count: Annotated[
        int | None,
        typer.Option(
            help="Defects of each kind. [default: as many in all as there are good images held out]",
            metavar="N",
            min=1,
        ),
    ] = None,
    strength: Annotated[float, typer.Option(help="Contrast: 0.5 faint, 1 usual, 2 plain.", metavar="X")] = 1.0,
    size: Annotated[float, typer.Option(help="Size, 1 being the usual one.", metavar="X")] = 1.0,
    seed: Annotated[
        int, typer.Option(help="Decides what is drawn, where, and on which images.", metavar="N", min=0)
    ] = 0,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Draw defects on good images, with masks.

    A fifth of the good images is held out; defects are drawn on these. Writes a data set that `kizu fit` and
    `kizu evaluate` read. What is found there says how settings compare, not how often real defects will be found.
    """
    from kizu.cli import _show_data
    from kizu.cli._progress import Bars
    from kizu.workflows import synthesise as synthesise_data

    names = _options.names(kinds) or ()
    result = synthesise_data(
        data,
        out,
        kinds=names,
        count=count,
        strength=strength,
        size=size,
        seed=seed,
        max_pixels=max_pixels,
        progress=Bars(),
    )
    _show_data.synthesised(result, as_json)
