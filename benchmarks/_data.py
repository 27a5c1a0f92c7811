"""The data sets that benchmarks run on, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from kizu.datasets import Dataset, find_products, load_dataset
from kizu.datasets.solar_cells import solar_cells

Cells = Literal["mono", "poly"]
CELLS: tuple[Cells, ...] = ("mono", "poly")
"""Kinds of solar cells in the package ``elpv-dataset``."""


def named(paths: Iterable[Path], cells: Iterable[Cells] = (), *, seed: int = 0) -> Iterator[tuple[str, Dataset]]:
    """Folders, of one product or several, and lists, then kinds of solar cells; ``seed`` divides what does not come
    divided.
    """
    products = [product for path in paths for product in find_products(path)]
    for product in products:
        found = load_dataset(product, seed=seed)
        yield found.product, found
    for kind in cells:
        yield f"solar cells, {kind}", solar_cells(kind, seed=seed)
