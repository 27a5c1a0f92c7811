"""The data sets that benchmarks run on, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kizu.datasets import Dataset, find_products, load_dataset
from kizu.datasets.solar_cells import solar_cells
from kizu.errors import KizuError

Cells = Literal["mono", "poly"]
CELLS: tuple[Cells, ...] = ("mono", "poly")
"""Kinds of solar cells in the package ``elpv-dataset``."""


@dataclass(frozen=True)
class Place:
    """Where a data set is: a folder or list, or a kind of solar cells."""

    path: str | None = None
    cells: Cells | None = None

    def load(self, seed: int = 0) -> tuple[str, Dataset]:
        """Its name and samples; ``seed`` divides what does not come divided."""
        if self.cells is not None:
            return f"solar cells, {self.cells}", solar_cells(self.cells, seed=seed)
        found = load_dataset(Path(self.path or ""), seed=seed)
        return found.product, found


def places(paths: Iterable[Path], cells: Iterable[Cells] = ()) -> Iterator[Place]:
    """Those of folders, of one product or several, and of lists; then the kinds of solar cells."""
    yield from (Place(path=str(product)) for path in paths for product in find_products(path))
    yield from (Place(cells=kind) for kind in cells)


def named(paths: Iterable[Path], cells: Iterable[Cells] = (), *, seed: int = 0) -> Iterator[tuple[str, Dataset]]:
    """The data sets at `places`, by name. Raises `KizuError` when two have the same: so would their rows."""
    names: set[str] = set()
    for place in places(paths, cells):
        name, data = place.load(seed)
        check_new(name, names)
        names.add(name)
        yield name, data


def check_new(name: str, known: Container[str]) -> None:
    """Raises `KizuError` when there is a data set of that name already."""
    if name in known:
        raise KizuError(f"two data sets are called {name!r}, and so would be their rows; rename a folder.")


def limited(data: Dataset, limit: int | None) -> Dataset:
    """At most ``limit`` samples of each split and kind of defect."""
    if limit is None:
        return data
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for sample in data.samples:
        seen[sample.split, sample.defect_type] += 1
        if seen[sample.split, sample.defect_type] <= limit:
            kept.append(sample)
    return replace(data, samples=tuple(kept))
