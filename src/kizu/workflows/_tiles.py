"""Settings of tiles, brought to what they mean on a backbone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from kizu.backbones import BackboneCard
from kizu.config import Config
from kizu.datasets import Sample
from kizu.detectors import Detector
from kizu.errors import ImageError, KizuWarning, bad_parameter
from kizu.images import read_header, tiling_of


def resolve_tiles(
    config: Config, card: BackboneCard, layers: Sequence[str], patch_stride: int | None, detector: Detector
) -> dict[str, Any]:
    """``image_size`` and the settings of tiles with nothing left open; empty where no tiles are asked for.

    Raises `ParameterError` for settings that do not go together.
    """
    _check(config, detector)
    if config.tile_size is None:
        return {}
    strides = [card.layer(name).stride for name in layers]
    patch = patch_stride or min(strides)
    lattice = config.tile_lattice or math.lcm(patch, *strides)
    side = config.image_size or max(config.tile_size // lattice, 1) * lattice
    tiling, unused = tiling_of(
        side=side,
        size=config.tile_size,
        stride=config.tile_stride,
        border=config.tile_border,
        lattice=lattice,
        patch=patch,
    )
    return {
        "image_size": side,
        "tile_stride": -(-tiling.step * config.tile_size // side),
        "tile_border": unused if config.tile_border is None else config.tile_border,
        "tile_lattice": lattice,
    }


def _check(config: Config, detector: Detector) -> None:
    for name in ("tile_stride", "tile_border", "tile_lattice", "random_tiles"):
        value = getattr(config, name)
        if config.tile_size is None and value is not None:
            raise bad_parameter(name, "null where tile_size is", value, "It says how large tiles are.")
    if config.tile_size is not None and (config.resize is not None or config.keep_aspect):
        name = "keep_aspect" if config.resize is None else "resize"
        hint = "Tiles show all of an image, in its own proportions."
        raise bad_parameter(name, "left out where tile_size is given", getattr(config, name), hint)
    if config.tile_size is not None and config.memory is not None:
        hint = "To fit in less memory, fit on fewer tiles: random_tiles."
        raise bad_parameter("memory", "null where tile_size is given", config.memory, hint)
    if config.random_tiles is None:
        return
    if detector.position_bound:
        hint = f"{detector.name} learns each position, so it needs all tiles. Or use --detector patchcore."
        raise bad_parameter("random_tiles", "null", config.random_tiles, hint)
    if getattr(detector, "robust", False):
        hint = "Robust fits compare whole images, position by position."
        raise bad_parameter("random_tiles", "null in a robust fit", config.random_tiles, hint)


def warn_if_larger(config: Config, samples: Sequence[Sample]) -> None:
    """Say so where tiles are larger than the first image: most of what they show is margin."""
    if config.tile_size is None:
        return
    try:
        height, width = read_header(samples[0].path).size
    except ImageError:  # the fit itself will tell
        return
    if config.tile_size > max(height, width):
        warnings.warn(
            f"tiles of {config.tile_size} pixels are larger than the images, such as {samples[0].path} of {width} x "
            f"{height}: the rest is margin, and takes time. Leave tile_size out.",
            KizuWarning,
            stacklevel=3,
        )
