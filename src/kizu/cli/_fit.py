"""``kizu fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kizu.cli import _fit_options, _options


def fit(
    data: _fit_options.Data,
    out: _fit_options.Out = None,
    preset: _fit_options.Preset = None,
    detector: _fit_options.Detector = None,
    backbone: _fit_options.Backbone = None,
    weights: _fit_options.Weights = None,
    layers: _fit_options.Layers = None,
    image_size: _fit_options.ImageSize = None,
    tile_size: _fit_options.TileSize = None,
    tile_stride: _fit_options.TileStride = None,
    tile_border: _fit_options.TileBorder = None,
    random_tiles: _fit_options.RandomTiles = None,
    roi: _fit_options.Roi = None,
    foreground: _fit_options.Foreground = False,
    window: _fit_options.Window = None,
    channels: _fit_options.Channels = None,
    reduced_jpeg: _fit_options.ReducedJpeg = False,
    config: _fit_options.Config = None,
    settings: _fit_options.Settings = None,
    false_alarms: _fit_options.FalseAlarms = None,
    review_budget: _fit_options.ReviewBudget = None,
    calibration: _fit_options.Calibration = None,
    engine: _fit_options.Engine = None,
    precision: _fit_options.Precision = None,
    providers: _fit_options.Providers = None,
    memory: _fit_options.Memory = None,
    auto: _fit_options.Auto = False,
    robust: _fit_options.Robust = False,
    seed: _fit_options.Seed = None,
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
    summary = dataset.summary(windowed=chosen.window is not None, channelled=chosen.channels is not None)
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
