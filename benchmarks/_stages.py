"""How long the stages of a workflow take, from what it reports to its progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kizu.progress import Advance, ignore

NAMES = {
    "Reading images": "features",
    "Selecting the coreset": "selection",
    "Leaving each image out": "calibration",
}


class Stages:
    """A `kizu.progress.Progress` that measures: ``seconds`` by the names above, all else under ``other``."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, description: str, total: int, *, unit: str = "") -> Iterator[Advance]:
        started = time.perf_counter()
        yield ignore
        name = NAMES.get(description, "other")
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
