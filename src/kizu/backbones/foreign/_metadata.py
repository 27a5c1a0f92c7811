"""What an ONNX file says of the images it wants, in its ``metadata_props``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from kizu.backbones._card import MAX_IMAGE_SIZE, MIN_IMAGE_SIZE
from kizu.backbones.foreign._normalisation import Normalisation
from kizu.errors import BackboneError, ParameterError


def normalisation_of(
    metadata: Mapping[str, str], path: Path, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> Normalisation | None:
    """From what was given, or else from the file; None where neither says it.

    Raises:
        ParameterError: numbers no images have.
        BackboneError: the file's own words are no such numbers.
    """
    means = mean if mean is not None else _numbers(metadata, "mean", path)
    stds = std if std is not None else _numbers(metadata, "std", path)
    if means is None or stds is None:
        return None
    _check("mean", means, path, lowest=-1)
    _check("std", stds, path, lowest=0)
    return Normalisation(means, stds)


def unknown(path: Path) -> ParameterError:
    """For a network whose normalisation nobody says: a guess would cost accuracy without a word."""
    return ParameterError(
        f"{path}: does not say how its images are normalised. Give it on 0 to 1, for a network trained on ImageNet "
        "most often --set mean=0.485,0.456,0.406 --set std=0.229,0.224,0.225; 0,0,0 and 1,1,1 for none."
    )


def image_size_of(metadata: Mapping[str, str], path: Path) -> int | None:
    """Pixels, from the file's metadata; None where it does not say. Raises `BackboneError`."""
    text = metadata.get("image_size")
    if text is None:
        return None
    if not text.strip().isdecimal() or not MIN_IMAGE_SIZE <= int(text) <= MAX_IMAGE_SIZE:
        raise BackboneError(
            f"{path}: its metadata say image_size {text!r}; expected a whole number of pixels from "
            f"{MIN_IMAGE_SIZE} to {MAX_IMAGE_SIZE}. Correct the file."
        )
    return int(text)


def _numbers(metadata: Mapping[str, str], key: str, path: Path) -> tuple[float, ...] | None:
    text = metadata.get(key)
    if text is None:
        return None
    try:
        values = json.loads(text if text.strip().startswith("[") else f"[{text}]")
        return tuple(float(value) for value in values)
    except (ValueError, TypeError):
        raise BackboneError(
            f"{path}: its metadata say {key} {text!r}; expected three numbers with commas. Correct the file, or give "
            f"them with --set {key}=A,B,C."
        ) from None


def _check(name: str, values: tuple[float, ...], path: Path, lowest: float) -> None:
    if (
        len(values) != 3
        or not all(isfinite(value) and lowest <= value <= 1 for value in values)
        or 0 in (values if name == "std" else ())
    ):
        kind = "three numbers from 0 to 1" + (", none of them 0" if name == "std" else "")
        raise ParameterError(
            f"{path}: `{name}` must be {kind}; got {', '.join(f'{value:g}' for value in values)}. "
            "Numbers meant for 0 to 255 have to be divided by 255."
        )
