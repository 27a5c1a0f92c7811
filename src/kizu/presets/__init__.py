"""Configurations by name: those of papers and their published code, and kizu's own.

Each is a YAML file beside this one, as ``kizu fit --config`` reads it, with comments that say where it comes from,
what differs, when to choose it and what it costs. A preset stands beneath everything else a user says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kizu.config import Config, parse, read
from kizu.errors import ParameterError, unknown_name

_FOLDER = Path(__file__).parent
_SUFFIX = ".yaml"

OF_THE_BACKBONE = ("layers", "groups", "weights", "mean", "std")
"""Settings that mean nothing on another backbone."""

OF_WHOLE_IMAGES = ("image_size", "resize", "keep_aspect")
"""Settings of images that are brought to one size."""

OF_ITS_CHANNELS = ("reduced_dims",)
"""The detector's parameters of which the same holds."""


def names() -> tuple[str, ...]:
    """Every preset, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}")))


def text(name: str) -> str:
    """The file as it is. Raises `ParameterError`, with the nearest names, when there is none."""
    return _path(name).read_text(encoding="utf-8")


def title(name: str) -> str:
    """What a preset is, in a line: the first one of its file."""
    return text(name).partition("\n")[0].removeprefix("#").strip()


def settings(name: str) -> dict[str, Any]:
    """What a preset sets. Raises as `text` does.

    >>> settings("patchcore-paper")["layers"]
    ['layer2', 'layer3']
    """
    return read(_path(name))


def applied(config: Config) -> Config:
    """``config`` with what its preset says wherever the user said nothing; as it is without a preset.

    A preset's parameters are its detector's: another detector leaves them behind. Another backbone leaves behind
    what the preset says of its layers, weights and channels, and tiles what it says of how images are resized.

    Raises:
        ParameterError: there is no such preset.
    """
    if config.preset is None:
        return config
    document = _merged(settings(config.preset), config.model_dump(exclude_unset=True))
    return parse(document, f"the preset {config.preset}")


def _merged(preset: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    detector = dict(preset.pop("detector"))
    if given.get("backbone", preset["backbone"]) != preset["backbone"]:
        preset = {key: value for key, value in preset.items() if key not in OF_THE_BACKBONE}
        detector = {key: value for key, value in detector.items() if key not in OF_ITS_CHANNELS}
        if preset["patch_stride"] is not None:  # a number of pixels that the other may not have
            del preset["patch_stride"]
    if given.get("tile_size") is not None:
        preset = {key: value for key, value in preset.items() if key not in OF_WHOLE_IMAGES}
    wanted = dict(given.get("detector", {}))
    if "layers" in given or wanted.get("name", detector["name"]) != detector["name"]:
        preset.pop("groups", None)
    if wanted.get("name", detector["name"]) == detector["name"]:
        wanted = {**detector, **wanted}
    return {**preset, **given, "detector": wanted}


def _path(name: str) -> Path:
    if name not in names():
        raise ParameterError(f"{unknown_name('preset', name, names())} See `kizu presets list`.")
    return _FOLDER / f"{name}{_SUFFIX}"
