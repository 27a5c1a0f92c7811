"""Options that several commands share, with one wording each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kizu.errors import ParameterError

DEFAULT_MAX_PIXELS = 100_000_000  # images.DEFAULT_MAX_PIXELS, without loading NumPy for --help; a test compares

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else. [default: text]")
]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Go on past files that cannot be read; count them. [default: stop]")
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", help="Refuse images of more pixels than this.", metavar="N", min=1)
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for predictions.csv and a picture an image. [default: none]", metavar="DIR"),
]
Save = Annotated[
    str,
    typer.Option(
        "--save",
        help="Parts to save singly beside the pictures: input, mask, grey_map, heat_map, predicted_mask, "
        "segmentation, overlay, histogram, combined, pixels; several with commas, or all. Needs --out. "
        "[default: none]",
        metavar="PARTS",
    ),
]
MinArea = Annotated[
    int, typer.Option("--min-area", help="Leave regions of fewer pixels out of the tables.", metavar="N", min=1)
]
Scale = Annotated[
    str,
    typer.Option(
        "--scale",
        help="Scores on another scale too: min_max, cdf or sigma6, 0 to 1 each.",
        metavar="NAME",
    ),
]
Exact = Annotated[
    bool,
    typer.Option("--exact", help="Search the memory bank exactly, whatever the model says. [default: as the model]"),
]
Model = Annotated[Path, typer.Argument(help="A model file made by `kizu fit`.", metavar="MODEL")]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", help="What runs the backbone: onnxruntime or openvino. [default: as the model]", metavar="NAME"
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="What the backbone computes in: float32 or bfloat16; int8 is chosen at fit. [default: as the model]",
        metavar="NAME",
    ),
]
Providers = Annotated[
    str | None,
    typer.Option(
        "--providers",
        help="ONNX Runtime's execution providers, best first, with commas. [default: as the model]",
        metavar="A,B",
    ),
]


def needs(option: str, given: bool, what: str, there: bool) -> None:
    """Raise `ParameterError` where an option is given that does nothing, since what it is about is not there."""
    if given and not there:
        raise ParameterError(f"{option} does nothing without {what}; add that, or leave {option} out.")


def names(text: str | None) -> tuple[str, ...] | None:
    """``A,B`` as names; None where the option was not given."""
    return None if text is None else tuple(name.strip() for name in text.split(","))
