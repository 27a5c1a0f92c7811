"""A fit within the memory it was given: what is left for the detector, and whether images can be left out."""

from __future__ import annotations

import warnings
from dataclasses import replace

from kizu.datasets import Dataset
from kizu.errors import KizuWarning, bad_parameter
from kizu.inspector import Inspector
from kizu.memory import parse_size, size_text
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


def for_detector(inspector: Inspector) -> int | None:
    """Bytes left for the detector; None where there is no limit. Raises `ParameterError` where nothing is left."""
    memory = inspector.config.memory
    if memory is None:
        return None
    needed = PROGRAM + GRAPHS * len(inspector.graph) + max(0, _on_their_way(inspector) - SMALL)
    left = parse_size(memory) - needed
    if left <= 0:
        raise bad_parameter("memory", f"more than the {size_text(needed)} that the program takes", memory)
    return left


def _on_their_way(inspector: Inspector) -> int:
    """Bytes of feature maps, and of embeddings made but not yet learnt."""
    height, width = inspector.engine.grid
    side, networks = inspector.config.image_size or 0, inspector.config.backbone.count("+") + 1
    return PIXEL * networks * side**2 + AHEAD * 4 * height * width * inspector.engine.channels


def within_memory(
    inspector: Inspector, division: Division, dataset: Dataset, *, asked: bool
) -> tuple[Inspector, Division]:
    """What to fit, and on which images, within ``config.memory``: where it does not hold what leaving images out
    takes, some are held out for the threshold instead.

    ``asked``: the user said how to calibrate. Raises `ParameterError` where that cannot be, or memory is too little.
    """
    budget = for_detector(inspector)
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
