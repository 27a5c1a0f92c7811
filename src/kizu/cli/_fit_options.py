"""The options of ``kizu fit`` alone; those that it shares are in `_options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Argument(
        help="A folder of good images; good/ bad/ mask/ folders; an MVTec AD layout; or a CSV or JSONL list.",
        metavar="DATA",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The model file to write. [default: PRODUCT.kizu]", metavar="FILE"),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="A configuration by name, of `kizu presets list`; a file and options win over it. [default: none]",
        metavar="NAME",
    ),
]
Detector = Annotated[
    str | None,
    typer.Option(help="The method: patchcore, padim or ensemble. [default: patchcore]", metavar="NAME"),
]
Backbone = Annotated[
    str | None, typer.Option(help="The pretrained network. [default: efficientnet_lite0]", metavar="NAME")
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Its weights: a file (.pth, .safetensors), or none: random. [default: the publisher's]",
        metavar="FILE",
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(help="Its feature maps, with commas. [default: blocks.1,blocks.2,blocks.4,blocks.5]", metavar="A,B"),
]
ImageSize = Annotated[
    int | None, typer.Option(help="Side images are resized to, in pixels. [default: 256]", metavar="N")
]
TileSize = Annotated[
    int | None,
    typer.Option(
        help="Cut images into tiles that show so many of their pixels each way. [default: no tiles]", metavar="N"
    ),
]
TileStride = Annotated[
    int | None,
    typer.Option(help="Pixels from a tile to the next at most. [default: three quarters of a tile]", metavar="N"),
]
TileBorder = Annotated[
    int | None,
    typer.Option(
        help="Patches at a tile's inner sides that must not be used. [default: an eighth of a tile]", metavar="N"
    ),
]
RandomTiles = Annotated[
    int | None,
    typer.Option(help="Fit on so many tiles of each image, drawn at random. [default: all]", metavar="N"),
]
Roi = Annotated[
    str | None,
    typer.Option(
        help="Inspect an area alone: X,Y,WIDTH,HEIGHT or a polygon 'X,Y X,Y X,Y', in pixels or fractions; or a "
        "mask file. [default: everything]",
        metavar="AREA",
    ),
]
Foreground = Annotated[
    bool,
    typer.Option("--foreground", help="Inspect only where good images differ from their background. [default: off]"),
]
Window = Annotated[
    str | None,
    typer.Option(
        help="Samples that become 0 and 255, for cameras of 10 to 16 bits: auto, as good images have them, or "
        "LOW,HIGH. Nothing is rounded. [default: 8 bits by full range]",
        metavar="RANGE",
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        help="Channels of a file to take, numbered from 0 over all its pages: three, or one. [default: its colours]",
        metavar="A,B,C",
    ),
]
ReducedJpeg = Annotated[
    bool,
    typer.Option(
        "--reduced-jpeg",
        help="Decode large JPEG files at a half, a quarter or an eighth of their size, the smallest that is "
        "twice what is needed. [default: off]",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(help="A YAML file of settings; options given here win over it. [default: none]", metavar="FILE"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any setting, the detector's own too: detector.coreset_ratio=0.1. Repeatable. [default: none]",
        metavar="KEY=VALUE",
    ),
]
FalseAlarms = Annotated[
    float | None, typer.Option(help="Share of good parts that may be called NG. [default: 0.01]", metavar="SHARE")
]
ReviewBudget = Annotated[
    float | None,
    typer.Option(help="Further share of good parts that people look at. [default: 0.05]", metavar="SHARE"),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        help="How good images score that were not fitted on: leave_one_out, k_fold or hold_out. "
        "[default: leave_one_out]",
        metavar="NAME",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(help="What runs the backbone: onnxruntime or openvino. [default: onnxruntime]", metavar="NAME"),
]
Precision = Annotated[
    str | None,
    typer.Option(help="What the backbone computes in: float32, bfloat16 or int8. [default: float32]", metavar="NAME"),
]
Providers = Annotated[
    str | None,
    typer.Option(
        help="ONNX Runtime's execution providers, best first, with commas. [default: the CPU]", metavar="A,B"
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        help="What the fit may take, as 2GB or 500MB: of more images than that, patches are learnt block by "
        "block. [default: no limit]",
        metavar="SIZE",
    ),
]
Auto = Annotated[
    bool,
    typer.Option(
        "--auto",
        help="Try presets and sizes on defects drawn on good images, and take the quickest of the best. "
        "[default: off]",
    ),
]
Robust = Annotated[
    bool,
    typer.Option(
        "--robust",
        help="Set patches aside that look like defects among the good images. [default: off]",
    ),
]
Seed = Annotated[int | None, typer.Option(help="Decides everything random. [default: 0]", metavar="N")]
