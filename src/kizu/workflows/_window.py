"""The window of samples of a fit: as the user said, or as good images have it; and a word where one is missing."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from kizu.checks.files import LITTLE
from kizu.config import Config
from kizu.datasets import Sample
from kizu.errors import ImageError, KizuWarning, bad_parameter
from kizu.images import Reading, learn_window, read_header, read_samples
from kizu.inspector import Inspector
from kizu.progress import Progress
from kizu.wording import percent
from kizu.workflows._reading import Image, Reader

LOOKED_AT = 64
"""Good images, evenly spaced, that a window is learnt from at most."""

TRIED = 5
"""Good images looked at for whether a window is missing, or does not fit."""

OUTSIDE = 0.25
"""Share of samples outside a window from which it is doubted: a dark or bright background may well be cut off."""


WHOLE = ("tile_size", "roi", "foreground", "keep_aspect", "channels")
"""Settings that take all pixels of a file."""


def check_reading(config: Config) -> None:
    """Raises `ParameterError` for settings that do not go with reduced JPEG files."""
    for name in WHOLE:
        if config.reduced_jpeg and getattr(config, name) not in (None, False):
            hint = "JPEG files are reduced only where the whole image is resized to the square the backbone sees."
            raise bad_parameter(name, "left out where reduced_jpeg is true", getattr(config, name), hint)


def with_window(
    inspector: Inspector, samples: Sequence[Sample], given: Mapping[str, Any], progress: Progress
) -> Inspector:
    """An unfitted inspector, its window in numbers. ``given``: to read with, as `Reader` takes it.

    Warns where it has none, and 16-bit images use `LITTLE` of their range; and where more than `OUTSIDE` of the
    samples lie outside the window given.
    """
    config = inspector.config
    if config.window is None:
        _warn_if_missing(samples, config.channels, given["max_pixels"])
    if config.window != "auto":
        if config.window is not None:
            _warn_if_outside(config.window, samples, config.channels, given["max_pixels"])
        return inspector
    as_stored = Reading(window=(0.0, 1.0), channels=config.channels)  # with whatever window samples come as they are
    chosen = samples[:: -(-len(samples) // LOOKED_AT)]
    with (
        progress.stage("Learning the window", len(chosen)) as advance,
        closing(Reader(as_stored, **given).images(chosen, advance)) as read,
    ):
        window = learn_window(image for _, image in read)
    return replace(inspector, config=config.model_copy(update={"window": window}))


def _tried(samples: Sequence[Sample], channels: tuple[int, ...] | None, max_pixels: int) -> list[Image]:
    """Samples of a few images as they are stored; none where one is no deep image, or cannot be read."""
    found = []
    for sample in samples[:: -(-len(samples) // TRIED)]:
        try:
            if read_header(sample.path).bits <= 8:
                return []
            found.append(read_samples(sample.path, channels=channels, max_pixels=max_pixels))
        except ImageError:  # the fit itself will tell
            return []
    return found


def _warn_if_outside(
    window: tuple[float, float], samples: Sequence[Sample], channels: tuple[int, ...] | None, max_pixels: int
) -> None:
    tried = _tried(samples, channels, max_pixels)
    if not tried:
        return
    low, high = window
    outside = float(np.mean([np.mean((image < low) | (image > high)) for image in tried]))
    if outside > OUTSIDE:
        lowest, highest = min(float(image.min()) for image in tried), max(float(image.max()) for image in tried)
        warnings.warn(
            f"{percent(outside)} of the samples of these images lie outside the window {low:g} to {high:g}, and are "
            f"seen as black or white: they go from {lowest:g} to {highest:g}. Fit with --window auto.",
            KizuWarning,
            stacklevel=4,
        )


def _warn_if_missing(samples: Sequence[Sample], channels: tuple[int, ...] | None, max_pixels: int) -> None:
    tried = _tried(samples, channels, max_pixels)
    highest = max((int(found.max()) if found.dtype == np.uint16 else 2**16 for found in tried), default=2**16)
    if highest < LITTLE * 2**16:
        warnings.warn(
            f"these 16-bit images reach {highest:,} of 65,535, which is brought to 8 bits: "
            f"{round(highest / 257) + 1} grey levels of 256. Fit with --window auto, which keeps them.",
            KizuWarning,
            stacklevel=4,
        )
