"""Fit and evaluate on real solar cells: the first thing to try after installing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kizu.datasets.solar_cells import solar_cells
from kizu.inspector import Inspector
from kizu.progress import Progress
from kizu.workflows._evaluate import Evaluation, evaluate
from kizu.workflows._fit import fit


@dataclass(frozen=True)
class Demo:
    """What the demo made: the inspector, its file, and how it does on cells it has not seen."""

    inspector: Inspector
    model: Path
    evaluation: Evaluation


def demo(out: str | Path, *, seed: int = 0, progress: Progress | None = None) -> Demo:
    """Fit on good mono-crystalline cells, evaluate on others, and write model, table and pictures to ``out``.

    Raises `MissingExtraError` when the package ``elpv-dataset`` is not installed.
    """
    dataset = solar_cells("mono", seed=seed)
    inspector = fit(dataset, seed=seed, progress=progress)
    model = Path(out) / "solar-cells.kizu"
    inspector.save(model)
    return Demo(inspector, model, evaluate(inspector, dataset, out=out, progress=progress))
