"""A fit within the memory it was given: what is left for the detector, and whether images can be left out."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from kizu.datasets import Dataset, Sample
from kizu.errors import ImageError, KizuWarning, ParameterError, bad_parameter
from kizu.images import Reading, read_ahead
from kizu.inspector import Inspector
from kizu.memory import available, parse_size, size_text
from kizu.workflows._calibrate import Division, divide
from kizu.workflows._reading import AHEAD

PROGRAM = 330_000_000
"""Bytes that a fit takes besides the detector's: Python, the libraries, and small images being read."""

GRAPHS = 3
"""Copies of the backbone's weights: the graph, what the engine makes of it, and room to make it."""


PIXEL = 550
"""Bytes of feature maps for each pixel that a network sees, about (EfficientNet-Lite0: 370, ResNet-18: 300)."""

SMALL = 50_000_000
"""Bytes of feature maps and of embeddings on their way that `PROGRAM` holds: those of 256 x 256 pixels."""


SMALL_PICTURES = 10_000_000
"""Bytes of decoded images that `PROGRAM` holds."""

SHARE = 8
"""One part in so many of the memory may go to images read ahead of the work; one image always may be."""


COPIES = 2
"""Of what a detector knows, while it learns more: as it was, and as it will be."""

FEW = 4
"""New images that a model always learns: false alarms come one by one."""


@dataclass(frozen=True)
class Pictures:
    """How images are read: so many ``ahead`` of the work, which takes ``memory`` bytes besides `PROGRAM`."""

    ahead: int = AHEAD
    memory: int = 0


def pictures(inspector: Inspector, samples: Sequence[Sample]) -> Pictures:
    """As the largest of the ``samples`` and the limit of memory allow; headers alone are read."""
    config = inspector.config
    if config.memory is None:
        return Pictures()
    if config.window == "auto":  # it will be one of numbers
        inspector = replace(inspector, config=config.model_copy(update={"window": (0.0, 1.0)}))
    held, beside = _largest(inspector.reading, samples)
    taken = [(ahead + 1) * held + ahead * beside for ahead in range(1, AHEAD + 1)]
    ahead = max(1, sum(size <= parse_size(config.memory) // SHARE for size in taken))
    return Pictures(ahead, max(0, taken[ahead - 1] - SMALL_PICTURES))


def _largest(reading: Reading, samples: Sequence[Sample]) -> tuple[int, int]:
    """`Reading.memory` of the file that takes most; those that cannot be read are for the fit to tell."""
    found = [(0, 0)]
    with closing(read_ahead((one.path for one in samples), reading.memory, workers=8, ahead=64)) as read:
        for fetched in read:
            with suppress(ImageError, OSError):
                found.append(fetched.get())
    return max(found, key=sum)


def _taken(inspector: Inspector, pictures: Pictures) -> int:
    """Bytes that the program takes besides the detector."""
    return PROGRAM + GRAPHS * len(inspector.graph) + max(0, _on_their_way(inspector) - SMALL) + pictures.memory


def for_detector(inspector: Inspector, pictures: Pictures) -> int | None:
    """Bytes left for the detector; None where there is no limit. Raises `ParameterError` where nothing is left."""
    memory = inspector.config.memory
    if memory is None:
        return None
    needed = _taken(inspector, pictures)
    left = parse_size(memory) - needed
    if left <= 0:
        hint = f"{size_text(pictures.memory)} of it are for images as large as these." if pictures.memory else ""
        raise bad_parameter("memory", f"more than the {size_text(needed)} that the program takes", memory, hint)
    return left


def _on_their_way(inspector: Inspector) -> int:
    """Bytes of feature maps, and of embeddings made but not yet learnt."""
    height, width = inspector.engine.grid
    side, networks = inspector.config.image_size or 0, inspector.config.backbone.count("+") + 1
    return PIXEL * networks * side**2 + AHEAD * 4 * height * width * inspector.engine.channels


def within_memory(
    inspector: Inspector, division: Division, dataset: Dataset, pictures: Pictures, *, asked: bool
) -> tuple[Inspector, Division]:
    """What to fit, and on which images, within ``config.memory``: where it does not hold what leaving images out
    takes, some are held out for the threshold instead.

    ``asked``: the user said how to calibrate. Raises `ParameterError` where that cannot be, or memory is too little.
    """
    budget = for_detector(inspector, pictures)
    if budget is None:
        return inspector, division
    if not inspector.detector.takes_memory:
        raise bad_parameter("memory", f"left out: {inspector.detector.name} takes no limit", inspector.config.memory)
    size = len(division.to_fit), inspector.engine.grid, inspector.engine.channels
    if not inspector.detector.streams(budget, *size) or division.method != "leave_one_out":
        return inspector, division
    if asked:
        hint = f"{inspector.config.memory} of memory do not hold what leaving each of {size[0]:,} images out takes."
        raise bad_parameter("calibration", "hold_out or k_fold", "leave_one_out", hint)
    config = inspector.config.model_copy(update={"calibration": "hold_out"})
    held = divide(dataset, inspector.detector, config)
    warnings.warn(
        f"{config.memory} of memory do not hold what leaving each of {size[0]:,} images out takes: they are learnt a "
        f"few at a time, and the threshold is found on {len(held.held_out):,} images held out.",
        KizuWarning,
        stacklevel=3,
    )
    return replace(inspector, config=config), held


def require_room_to_learn(inspector: Inspector, images: int, pictures: Pictures) -> None:
    """Raise `ParameterError` where so many new images do not go into what ``inspector`` was fitted within, with how
    many do.
    """
    most = most_at_once(inspector, images, pictures)
    if images > most:
        raise ParameterError(
            f"these {images:,} new images take {size_text(_needed(inspector, images, pictures))}, and the model was "
            f"fitted within {inspector.config.memory}: add them in batches of {most:,}."
        )


def fits_at_once(inspector: Inspector, images: int, pictures: Pictures) -> bool:
    """Whether an update by so many new images goes into what the model was fitted within, or else what is free."""
    memory = inspector.config.memory
    limit = available() if memory is None else parse_size(memory)
    return limit is None or images <= FEW or limit >= _needed(inspector, images, pictures)


def most_at_once(inspector: Inspector, images: int, pictures: Pictures) -> int:
    """How many of ``images`` new ones an update may learn at once; `FEW` always."""
    memory = inspector.config.memory
    if memory is None or fits_at_once(inspector, images, pictures):
        return images
    return (
        bisect_left(range(images), True, FEW + 1, key=lambda n: _needed(inspector, n, pictures) > parse_size(memory))
        - 1
    )


def _needed(inspector: Inspector, images: int, pictures: Pictures) -> int:
    """Bytes that an update by so many new images takes."""
    detector, engine = inspector.detector, inspector.engine

    def holds(budget: int) -> bool:
        try:
            return not detector.streams(budget, images, engine.grid, engine.channels)
        except ParameterError:
            return False

    known = sum(array.nbytes for array in detector.state().values())
    return _taken(inspector, pictures) + COPIES * known + bisect_left(range(2**48), True, key=holds)
