"""``kizu demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.cli import _options


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the model, the table and the pictures.", metavar="DIR")
    ] = Path("kizu-demo"),
    seed: Annotated[int, typer.Option(help="Decides which cells are fitted on.", metavar="N", min=0)] = 0,
    as_json: _options.Json = False,
) -> None:
    """Try kizu on real solar cells.

    Fits on good ones, evaluates on others, writes model, table and pictures. Needs `pip install "kizu[demo]"`.
    """
    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.files import prepare_folder
    from kizu.workflows import demo as run_demo

    prepare_folder(out)
    clock = _show.Clock()
    result = run_demo(out, seed=seed, progress=Bars())
    _show.demo(result, out, clock, as_json)
