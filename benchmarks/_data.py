"""The data sets that benchmarks run on, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from kizu.datasets import Dataset, load_dataset
from kizu.datasets.solar_cells import solar_cells

Cells = Literal["mono", "poly"]
CELLS: tuple[Cells, ...] = ("mono", "poly")
"""Kinds of solar cells in the package ``elpv-dataset``."""


def named(paths: Iterable[Path], cells: Iterable[Cells] = (), *, seed: int = 0) -> Iterator[tuple[str, Dataset]]:
    """Folders and lists, then kinds of solar cells, divided by ``seed`` where they do not come divided."""
    for path in paths:
        found = load_dataset(path, seed=seed)
        yield found.product, found
    for kind in cells:
        yield f"solar cells, {kind}", solar_cells(kind, seed=seed)
