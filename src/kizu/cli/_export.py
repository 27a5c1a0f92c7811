"""``kizu export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.cli import _options


def export(
    model: _options.Model,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The file to write: NAME.onnx or NAME.xml.", metavar="FILE"),
    ],
    to: Annotated[str, typer.Option(help="The form: onnx or openvino.", metavar="FORM")] = "onnx",
    colour: Annotated[
        str,
        typer.Option(help="Order of the channels of images it will be given: rgb, or bgr (OpenCV).", metavar="ORDER"),
    ] = "rgb",
    images: Annotated[
        list[Path] | None,
        typer.Option(
            help="More good images, or folders of them, to check with. Repeatable. [default: those in the model]",
            metavar="PATH",
        ),
    ] = None,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Write a model as one graph for ONNX Runtime or OpenVINO.

    From a raw image of any size to score, map and decision, for programs in any language. It is written only after it
    has agreed with the model on real images.
    """
    from kizu.cli import _show
    from kizu.cli._progress import Bars
    from kizu.workflows import export as export_model

    result = export_model(
        model, out, to=to, colour=colour, images=images or (), max_pixels=max_pixels, progress=Bars()
    )
    _show.exported(result, model, as_json)
