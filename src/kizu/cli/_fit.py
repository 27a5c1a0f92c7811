"""``kizu fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kizu.cli import _options

Data = Annotated[
    Path,
    typer.Argument(
        help="A folder of good images; good/ bad/ mask/ folders; an MVTec AD layout; or a CSV or JSONL list.",
        metavar="DATA",
    ),
]


def fit(
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The model file to write. [default: PRODUCT.kizu]", metavar="FILE"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A configuration by name, of `kizu presets list`; a file and options win over it. [default: none]",
            metavar="NAME",
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="The method: patchcore, padim or ensemble. [default: patchcore]", metavar="NAME"),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="The pretrained network. [default: efficientnet_lite0]", metavar="NAME")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Its weights: a file (.pth, .safetensors), or none: random. [default: the publisher's]",
            metavar="FILE",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Its feature maps, with commas. [default: blocks.1,blocks.2,blocks.4,blocks.5]", metavar="A,B"
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side images are resized to, in pixels. [default: 256]", metavar="N")
    ] = None,
    tile_size: Annotated[
        int | None,
        typer.Option(
            help="Cut images into tiles that show so many of their pixels each way. [default: no tiles]", metavar="N"
        ),
    ] = None,
    tile_stride: Annotated[
        int | None,
        typer.Option(help="Pixels from a tile to the next at most. [default: three quarters of a tile]", metavar="N"),
    ] = None,
    tile_border: Annotated[
        int | None,
        typer.Option(
            help="Patches at a tile's inner sides that must not be used. [default: an eighth of a tile]", metavar="N"
        ),
    ] = None,
    random_tiles: Annotated[
        int | None,
        typer.Option(help="Fit on so many tiles of each image, drawn at random. [default: all]", metavar="N"),
    ] = None,
    roi: Annotated[
        str | None,
        typer.Option(
            help="Inspect an area alone: X,Y,WIDTH,HEIGHT or a polygon 'X,Y X,Y X,Y', in pixels or fractions; or a "
            "mask file. [default: everything]",
            metavar="AREA",
        ),
    ] = None,
    foreground: Annotated[
        bool,
        typer.Option(
            "--foreground", help="Inspect only where good images differ from their background. [default: off]"
        ),
    ] = False,
    window: Annotated[
        str | None,
        typer.Option(
            help="Samples that become 0 and 255, for cameras of 10 to 16 bits: auto, as good images have them, or "
            "LOW,HIGH. Nothing is rounded. [default: 8 bits by full range]",
            metavar="RANGE",
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            help="Channels of a file to take, numbered from 0 over all its pages: three, or one. "
            "[default: its colours]",
            metavar="A,B,C",
        ),
    ] = None,
    reduced_jpeg: Annotated[
        bool,
        typer.Option(
            "--reduced-jpeg",
            help="Decode large JPEG files at a half, a quarter or an eighth of their size, the smallest that is "
            "twice what is needed. [default: off]",
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML file of settings; options given here win over it. [default: none]", metavar="FILE"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any setting, the detector's own too: detector.coreset_ratio=0.1. Repeatable. [default: none]",
            metavar="KEY=VALUE",
        ),
    ] = None,
    false_alarms: Annotated[
        float | None, typer.Option(help="Share of good parts that may be called NG. [default: 0.01]", metavar="SHARE")
    ] = None,
    review_budget: Annotated[
        float | None,
        typer.Option(help="Further share of good parts that people look at. [default: 0.05]", metavar="SHARE"),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="How good images score that were not fitted on: leave_one_out, k_fold or hold_out. "
            "[default: leave_one_out]",
            metavar="NAME",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="What runs the backbone: onnxruntime or openvino. [default: onnxruntime]", metavar="NAME"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="What the backbone computes in: float32, bfloat16 or int8. [default: float32]", metavar="NAME"
        ),
    ] = None,
    providers: Annotated[
        str | None,
        typer.Option(
            help="ONNX Runtime's execution providers, best first, with commas. [default: the CPU]", metavar="A,B"
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What the fit may take, as 2GB or 500MB: of more images than that, patches are learnt block by "
            "block. [default: no limit]",
            metavar="SIZE",
        ),
    ] = None,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto",
            help="Try presets and sizes on defects drawn on good images, and take the quickest of the best. "
            "[default: off]",
        ),
    ] = False,
    robust: Annotated[
        bool,
        typer.Option(
            "--robust",
            help="Set patches aside that look like defects among the good images. [default: off]",
        ),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Decides everything random. [default: 0]", metavar="N")] = None,
    skip_unreadable: _options.SkipUnreadable = False,
    max_pixels: _options.MaxPixels = _options.DEFAULT_MAX_PIXELS,
    as_json: _options.Json = False,
) -> None:
    """Fit a model on good images."""
    from kizu.cli import _auto, _show, _show_model
    from kizu.cli._progress import Bars
    from kizu.config import parse, read, with_settings
    from kizu.datasets import load_dataset
    from kizu.inspector import check_target
    from kizu.workflows import fit as fit_inspector

    document: dict[str, Any] = {} if config is None else read(config)
    given: dict[str, Any] = {"preset": preset, "backbone": backbone, "layers": layers, "image_size": image_size}
    given |= {"weights": weights, "false_alarms": false_alarms, "seed": seed}
    given |= {"review_budget": review_budget, "calibration": calibration}
    given |= {"engine": engine, "precision": precision, "providers": providers}
    given |= {"tile_size": tile_size, "tile_stride": tile_stride, "tile_border": tile_border}
    given |= {"random_tiles": random_tiles, "roi": roi, "foreground": foreground or None, "memory": memory}
    given |= {"window": window, "channels": channels, "reduced_jpeg": reduced_jpeg or None}
    document |= {name: value for name, value in given.items() if value is not None}
    more = [*(["detector.robust=true"] if robust else []), *(settings or [])]
    chosen = parse(with_settings(_with_detector(document, detector), more), "" if config is None else str(config))
    dataset = load_dataset(data, seed=chosen.seed)
    target = out or Path(f"{dataset.product}.kizu")
    check_target(target)
    summary = dataset.summary(windowed=chosen.window is not None)
    if not as_json:
        _show.lines(summary.lines())
    clock, choice = _show.Clock(), None
    if auto:
        options = [*(["--robust"] if robust else []), *(f"--set {setting}" for setting in settings or [])]
        chosen, choice = _auto.chosen(
            dataset, chosen, options, skip_unreadable=skip_unreadable, max_pixels=max_pixels
        )
        if not as_json:
            _show.lines(_auto.lines(choice))
    inspector = fit_inspector(
        dataset, chosen, skip_unreadable=skip_unreadable, max_pixels=max_pixels, progress=Bars()
    )
    inspector.save(target)
    _show_model.fitted(inspector, target, clock, summary, as_json, _auto.document(choice))


def _with_detector(document: dict[str, Any], detector: str | None) -> dict[str, Any]:
    """``--detector NAME`` over a file's detector: another name leaves the other's parameters behind."""
    if detector is None:
        return document
    existing = document.get("detector")
    if isinstance(existing, dict) and existing.get("name", "patchcore") == detector:
        return document
    return {**document, "detector": detector}
