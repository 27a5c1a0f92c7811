"""The inspected area of a fit: as the user drew it, and where the good images have their foreground."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from kizu.config import Config
from kizu.datasets import Sample
from kizu.errors import DataError, ImageError, KizuWarning, OutputError, bad_parameter
from kizu.images import Area, area_of, learn_foreground, resize_mask
from kizu.images.area import parse
from kizu.inspector import Inspector
from kizu.progress import Progress
from kizu.report import paled, write_image
from kizu.wording import percent
from kizu.workflows._reading import Reader

LOOKED_AT = 64
"""Good images, evenly spaced, that a foreground is learnt from at most."""

COVERED = 0.7
"""Share of an area in patches that count, below which it is said: shapes of some patches' width have more."""


def check_roi(roi: str) -> None:
    """Raises `ParameterError` for what is neither a shape nor a file that is there."""
    found = parse(roi)
    if isinstance(found, Path) and not found.is_file():
        expected = "a rectangle X,Y,WIDTH,HEIGHT, a polygon 'X,Y X,Y X,Y ...', or a mask file that exists"
        raise bad_parameter("roi", expected, roi)


def find_area(config: Config, reader: Reader, samples: Sequence[Sample], progress: Progress) -> Area | None:
    """What is to be inspected of images like ``samples``; None: everything.

    Warns where there is no clear foreground. Raises `ParameterError`, `DataError` or `ImageError` for an area that
    does not fit the images.
    """
    drawn = None if config.roi is None else area_of(config.roi, _usual_size(reader, samples))
    if not config.foreground:
        return drawn
    found = _foreground(reader.again(), samples, progress)
    return found if drawn is None else drawn if found is None else drawn.within(found)


def check_covered(inspector: Inspector) -> None:
    """Warns where much of the area lies in patches that do not count. Raises `DataError` where all of it does."""
    if inspector.area is None:
        return
    covered, side = inspector.frame(inspector.area.size).covered, inspector.engine.image_size
    if not covered:
        raise DataError(
            f"the inspected area is too small to be seen at {side} x {side} pixels. Draw it larger, or use a larger "
            "--image-size."
        )
    if covered < COVERED:
        warnings.warn(
            f"only {percent(covered)} of the inspected area is looked at: the rest is so thin that patches lie "
            "mostly outside it. Draw it wider, or use a larger --image-size.",
            KizuWarning,
            stacklevel=3,
        )


def draw_area(inspector: Inspector, path: Path) -> None:
    """Write a picture of what is inspected: a good image kept in the model, pale where it is not; grey where the
    model keeps none. Raises `OutputError`, also where a file is there already: it may be a picture of a part.
    """
    if path.exists():
        raise OutputError(
            f"{path}: is there already. Give the picture of the area another name, or remove that file."
        )
    kept = [inspector.reading.view(image) for image in inspector.check_images]
    area = inspector.area
    image = kept[0] if kept else np.full((*(area.size if area else (256, 256)), 3), 96, np.uint8)
    size = image.shape[0], image.shape[1]
    inspected = inspector.frame(area.size if area else size).inspected
    write_image(path, paled(image, resize_mask(inspected, size)))


def _usual_size(reader: Reader, samples: Sequence[Sample]) -> tuple[int, int]:
    """(H, W) that most images are of, the larger of two that as many are: a stray small one would make an area in
    fractions coarse for all. Files that cannot be read are for the fit to tell of.
    """
    counted: Counter[tuple[int, int]] = Counter()
    for sample in samples:
        with suppress(ImageError):
            counted[reader.reading.size_in(sample.path)] += 1
    if not counted:
        with closing(reader.images(samples)) as read:
            height, width = next(iter(read))[1].shape[:2]
        return height, width
    return max(counted, key=lambda size: (counted[size], size[0] * size[1], size))


def _foreground(reader: Reader, samples: Sequence[Sample], progress: Progress) -> Area | None:
    chosen = samples[:: -(-len(samples) // LOOKED_AT)]
    size = _usual_size(reader, chosen)
    with (
        progress.stage("Learning the foreground", len(chosen)) as advance,
        closing(reader.images(chosen, advance)) as read,
    ):
        found = learn_foreground((reader.reading.view(image) for _, image in read), size)
    if found.area is None:
        warnings.warn(
            f"no clear foreground: {found.why}. Everything is inspected; or draw the area with --roi.",
            KizuWarning,
            stacklevel=4,
        )
    return found.area
