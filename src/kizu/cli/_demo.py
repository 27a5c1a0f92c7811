"""``kizu demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kizu.cli import _options

if TYPE_CHECKING:
    from kizu.cli import _show
    from kizu.workflows import Demo


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
    _told(result, out, clock, as_json)


def _told(result: Demo, out: Path, clock: _show.Clock, as_json: bool) -> None:
    """What the demo did, and where to look."""
    from kizu.cli import _show, _show_model
    from kizu.datasets.public import card

    if as_json:
        model = {"model": str(result.model), **_show_model.described(result.inspector)}
        _show.document({**model, **result.evaluation.to_dict(), "out": str(out), "seconds": clock.seconds})
        return
    fitted_on = result.inspector.provenance["data"]["fitted"]
    print(f"Fitted on {fitted_on} good solar cells; tested on others, good and defective.")
    cells = card("elpv")
    print(f"The images are under {cells.licence}, {cells.accept}: LICENSE.md of the package elpv-dataset says more.")
    _show.evaluation(result.evaluation, out, as_json=False)
    _show.line(f"Took {clock.seconds:.1f} s in all. Look at the pictures in {out}; the model is {result.model}.")
