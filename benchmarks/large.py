"""Large pictures: 10-pixel defects in modules of solar cells, squashed to one input and cut into tiles.

Modules are put together from mono-crystalline cells of 300 × 300 pixels, no cell twice, those to fit on and those to
test with of different cells; half of the test modules get one synthetic spot or scratch 10 pixels long (`defect`).

``seam``: the step of patch scores between neighbours where the tile changes, against the step elsewhere, on good
modules. ``false_alarms``: good modules above the threshold, of which ``promised`` were to be expected. ``--picture``
measures one image of 4000 × 3000 pixels too: time and memory of a prediction and of a fit on a few of them, which
repeat cells, so that nothing but time and memory is told.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import _results
from memory import peak

Image = npt.NDArray[np.uint8]

CELL = 300
LENGTH = 10
CONTRAST = 70

SETTINGS: dict[str, dict[str, Any]] = {
    "one input of 256": {},
    "one input of 512": {"image_size": 512},
    "tiles of 256": {"tile_size": 256},
    "tiles of 256, no overlap": {"tile_size": 256, "tile_border": 0},
    "tiles of 512": {"tile_size": 512},
    "tiles of 512, 3 drawn": {"tile_size": 512, "random_tiles": 3},
    "tiles of 512, blocks 1 2 4": {"tile_size": 512, "layers": ["blocks.1", "blocks.2", "blocks.4"]},
}


def module(cells: Sequence[Image], columns: int) -> Image:
    """Cells side by side in ``columns``."""
    rows = [np.concatenate(cells[first : first + columns], axis=1) for first in range(0, len(cells), columns)]
    return np.concatenate(rows)


def defect(image: Image, rng: np.random.Generator) -> tuple[Image, npt.NDArray[np.bool_]]:
    """A disc, a line or a box `LENGTH` pixels long, `CONTRAST` grey levels darker or brighter, soft by a pixel."""
    import cv2

    mask = np.zeros(image.shape[:2], np.uint8)
    x, y = (int(rng.integers(40, length - 40)) for length in (image.shape[1], image.shape[0]))
    half, kind, angle = LENGTH // 2, int(rng.integers(3)), rng.random() * np.pi
    if kind == 0:
        cv2.circle(mask, (x, y), half, 255, -1)
    elif kind == 1:
        across, down = round(half * np.cos(angle)), round(half * np.sin(angle))
        cv2.line(mask, (x - across, y - down), (x + across, y + down), 255, 2)
    else:
        cv2.rectangle(mask, (x - half + 1, y - 3), (x + half, y + 3), 255, -1)
    level = float(image[mask > 0].mean())
    soft = cv2.GaussianBlur(mask, (0, 0), 1.0)[..., None] / 255
    changed = image * (1 - soft) + (level + (-CONTRAST if level > 110 else CONTRAST)) * soft
    return changed.clip(0, 255).astype(np.uint8), mask > 0


def modules(folder: Path, rows: int, columns: int, most: int) -> Path:
    """An MVTec AD layout of modules, at most so many of a kind."""
    from kizu.datasets.solar_cells import solar_cells
    from kizu.images import read_image
    from kizu.report import write_image

    rng = np.random.default_rng(0)
    samples = solar_cells("mono").samples
    for split in ("train", "test"):
        paths = [sample.path for sample in samples if sample.split == split and sample.label == "good"]
        order, each = rng.permutation(len(paths)), rows * columns
        for number in range(min(most, len(paths) // each)):
            chosen = order[number * each : (number + 1) * each]
            image = module([read_image(paths[place]) for place in chosen], columns)
            _write(write_image, folder / split / "good" / f"{number:03}.png", image)
            if split == "test":
                damaged, mask = defect(image, rng)
                _write(write_image, folder / "test" / "spot" / f"{number:03}.png", damaged)
                marked = np.repeat(mask.astype(np.uint8)[..., None] * 255, 3, axis=2)
                _write(write_image, folder / "ground_truth" / "spot" / f"{number:03}_mask.png", marked)
    return folder


def _write(write: Any, path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, image)


def seam(inspector: Any, paths: Sequence[Path]) -> float | None:
    """Mean step of patch scores over seams, against that between other neighbours; None without tiles."""
    from kizu.images import read_image

    if inspector.tiling is None:
        return None
    at_seams, elsewhere = [], []
    for path in paths:
        image = read_image(path)
        patches = inspector.detector.score(inspector.embed(image)).patches[0]
        for axis, spans in enumerate(inspector.tiling.spans(image.shape[:2])):
            steps = np.abs(np.diff(patches, axis=axis)).mean(axis=1 - axis)
            seams = [span.last - 1 for span in spans[:-1]]
            at_seams.append(steps[seams])
            elsewhere.append(np.delete(steps, seams))
    return float(np.concatenate(at_seams).mean() / np.concatenate(elsewhere).mean())


def judged(data: Path, name: str, seed: int) -> _results.Row:
    """Fit and evaluate one setting."""
    import kizu
    from kizu import workflows

    started = time.perf_counter()
    inspector = kizu.fit(data, **SETTINGS[name], false_alarms=0.05, seed=seed)
    seconds = time.perf_counter() - started
    found = workflows.evaluate(inspector, data)
    calibration, pixel = inspector.calibration, found.pixel
    if calibration is None or pixel is None:
        raise ValueError("no calibration, or no masks")
    return {
        "setting": name,
        "seed": seed,
        "auroc": found.image.auroc,
        "pixel_auroc": pixel.auroc,
        "pro": pixel.aupro,
        "recall": found.image.recall,
        "false_alarms": found.image.fp / (found.image.fp + found.image.tn),
        "promised": calibration.promised,
        "seam": seam(inspector, sorted((data / "test" / "good").iterdir())[:5]),
        "fit_seconds": seconds,
        "milliseconds": found.to_dict()["milliseconds_median"],
        "images": int(inspector.provenance["data"]["fitted"]),
    }


def picture(job: dict[str, Any]) -> dict[str, float]:
    """Fit on a few pictures of 4000 × 3000, or predict one. Called in a process of its own."""
    import kizu

    paths, model = [Path(path) for path in job["paths"]], Path(job["model"])
    started = time.perf_counter()
    if job["what"] == "fit":
        kizu.fit(paths[0].parent, **job["settings"], false_alarms=0.3).save(model)
    else:
        inspector = kizu.load(model)
        started = time.perf_counter()
        inspector.predict(paths[0])
    return {"seconds": time.perf_counter() - started, "peak": peak()}


def pictures(folder: Path, count: int, settings: dict[str, dict[str, Any]]) -> list[_results.Row]:
    """Time and memory of 4000 × 3000 pixels."""
    from kizu.datasets.solar_cells import solar_cells
    from kizu.images import read_image
    from kizu.report import write_image

    rng, cells = np.random.default_rng(0), [read_image(sample.path) for sample in solar_cells("mono").samples[:300]]
    for number in range(count):
        chosen = [cells[place] for place in rng.choice(len(cells), 14 * 10)]
        _write(write_image, folder / "good" / f"{number}.png", module(chosen, 14)[:3000, :4000])
    rows: list[_results.Row] = []
    for name, given in settings.items():
        for what in ("fit", "predict"):
            paths = [str(path) for path in sorted((folder / "good").iterdir())]
            job = {"what": what, "settings": given, "model": str(folder / "model.kizu"), "paths": paths}
            command = [sys.executable, __file__, "--job", json.dumps(job)]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found = json.loads(printed.splitlines()[-1])
            rows.append({"what": what, "setting": name, "images": count if what == "fit" else 1, **_figures(found)})
    return rows


def _figures(found: dict[str, float]) -> dict[str, float]:
    return {"seconds": found["seconds"], "process_mib": found["peak"] / 2**20}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    if options.job:
        print(json.dumps(picture(json.loads(options.job))))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.settings:
            data = modules(Path(folder) / "modules", options.rows, options.columns, options.modules)
            rows: list[_results.Row] = []
            for name in options.settings:
                for seed in options.seeds:
                    _results.note(f"{name}, seed {seed}")
                    rows.append(judged(data, name, seed))
            _results.save("large", rows, key=("setting", "seed"), folder=options.results)
        if options.picture:
            chosen = {
                "tiles of 512, 8 drawn": {"tile_size": 512, "random_tiles": 8},
                "tiles of 512": {"tile_size": 512},
            }
            found = pictures(Path(folder) / "pictures", options.picture, chosen)
            _results.save("large_memory", found, key=("what", "setting", "images"), folder=options.results)


def _settings(text: str) -> list[str]:
    found = [name.strip() for name in text.split(";") if name.strip()]
    for name in found:
        if name not in SETTINGS:
            raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {'; '.join(SETTINGS)}")
    return found


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    parser.add_argument("--settings", type=_settings, default=list(SETTINGS), help="with semicolons (all)")
    parser.add_argument("--seeds", type=_results.listed(int), default=[0], help="seeds, with commas (0)")
    parser.add_argument("--rows", type=int, default=2, help="of cells in a module (2)")
    parser.add_argument("--columns", type=int, default=4, help="of cells in a module (4)")
    parser.add_argument("--modules", type=int, default=100, help="of a kind, at most (100)")
    parser.add_argument("--picture", type=int, default=0, help="fit on so many 4000 x 3000 pictures too (0: no)")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    _results.run(main)
