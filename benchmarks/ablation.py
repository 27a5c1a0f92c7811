"""What each known way to find more does for accuracy, one at a time, against one baseline.

The baseline is one memory bank: 1 % of the patches of blocks.1,2,4,5 of EfficientNet-Lite0 at 256 px. Data are solar
cells, with their labels, and of each folder DATA the good images to fit on alone: a fifth of them is held out, and
defects are drawn on these. Defects and test images of DATA are never read, so that settings may be chosen by this.

``difference`` is the image AUROC less the baseline's (seed 0), ``low`` to ``high`` its 95 % interval (DeLong): which
images there are. The baseline's seeds, its first row, show what else is chance. ``ms`` is scoring one image,
``backbone_ms`` its embedding, both on one thread; ``seconds`` is a fit without the backbone. Search is exact.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import _data
import _results
from _ablation_features import Pictures, Store, of_cells, of_folder
from _ablation_lab import Lab
from _ablation_leads import LEADS, Trial
from _ablation_scores import Scored
from kizu.maps import anomaly_map, default_sigma
from kizu.metrics import AurocComparison, PixelAccumulator, compare_auroc

KEY = ("data", "lead", "setting", "seed", "images")
SUMMARY_KEY = ("lead", "setting", "seed")
OF_DATA = {"auroc": "image_auroc", "difference": "difference", "low": "low", "high": "high", "aupro": "pixel_aupro"}


def measure(lab: Lab, trial: Trial, base: Scored) -> _results.Row:
    """The row of one trial."""
    pictures, found = lab.store.pictures, trial.run()
    compared = _compared(base, found, pictures.labels)
    return {
        "data": pictures.name,
        "lead": trial.lead,
        "setting": trial.setting,
        "seed": trial.seed,
        "images": counts(pictures),
        "image_auroc": compared.second,
        "difference": compared.difference,
        "low": compared.low,
        "high": compared.high,
        "pixel_aupro": aupro(pictures, found),
        "dimensions": found.dims,
        "bank_rows": found.bank_rows,
        "seconds": found.seconds,
        "ms": found.ms,
        "backbone_ms": found.backbone_ms,
    }


def counts(pictures: Pictures) -> str:
    """Images to fit on, good ones held out, defective ones."""
    return f"{len(pictures.to_fit)} + {len(pictures.good)} + {len(pictures.bad)}"


def _compared(base: Scored, found: Scored, labels: npt.NDArray[np.bool_]) -> AurocComparison:
    compared = compare_auroc(base.images, found.images, labels)
    if compared is None:
        raise SystemExit("there must be good images and defective ones; give more to --images")
    return compared


def aupro(pictures: Pictures, found: Scored) -> float | None:
    """PRO of maps as large as the pictures; None where masks are not known."""
    if pictures.masks is None:
        return None
    nothing = [np.zeros(image.shape[:2], np.bool_) for image in pictures.good]
    pixels = PixelAccumulator()
    for patches, grid, mask in zip(found.patches, found.grids, [*nothing, *pictures.masks], strict=True):
        sigma = default_sigma(math.sqrt(mask.size))
        size = (mask.shape[0], mask.shape[1])
        pixels.update(anomaly_map(patches.reshape(grid), size, sigma), mask)
    result = pixels.result(0.0)
    return None if result is None else result.aupro


def summary(rows: Sequence[dict[str, str]]) -> list[_results.Row]:
    """A row a setting with the figures of every data set beside each other; times are means over these.

    Of rows with several numbers of images the last one counts.
    """
    names = list(dict.fromkeys(row["data"] for row in rows))
    columns = [(name, short) for name in names for short in OF_DATA if _is_known(rows, name, OF_DATA[short])]
    groups: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in SUMMARY_KEY), {})[row["data"]] = row
    found: list[_results.Row] = []
    for key, group in groups.items():
        figures = {f"{short}, {name}": group.get(name, {}).get(OF_DATA[short]) for name, short in columns}
        times = {
            name: statistics.fmean(float(row[name]) for row in group.values())
            for name in ("seconds", "ms", "backbone_ms")
        }
        dimensions = next(iter(group.values()))["dimensions"]
        found.append({**dict(zip(SUMMARY_KEY, key, strict=True)), **figures, "dimensions": dimensions, **times})
    order = list(LEADS)
    return sorted(found, key=lambda row: order.index(str(row["lead"])))


def _is_known(rows: Sequence[dict[str, str]], data: str, column: str) -> bool:
    return any(row[column] for row in rows if row["data"] == data)


def done(folder: Path) -> set[tuple[str, ...]]:
    """Keys of the rows that the same versions have measured on this processor."""
    path, here = _results.path_of("ablation", folder), _results.origin()
    rows = _results.read(path) if path.exists() else []
    return {tuple(row[name] for name in KEY) for row in rows if all(row[name] == here[name] for name in here)}


def trials(lab: Lab, leads: Sequence[str], known: set[tuple[str, ...]]) -> list[Trial]:
    """Those asked for that are not ``known``."""
    pictures = lab.store.pictures
    found = [trial for lead in leads for trial in LEADS[lead](lab)]
    ending = counts(pictures)
    return [
        trial for trial in found if (pictures.name, trial.lead, trial.setting, str(trial.seed), ending) not in known
    ]


def all_pictures(options: argparse.Namespace) -> Iterator[Pictures]:
    """Solar cells, then folders, one at a time."""
    for kind in options.solar:
        yield of_cells(kind, options.images)
    for name, data in _data.named(options.data):
        yield of_folder(name, data, options.images)


def run(pictures: Pictures, options: argparse.Namespace, folder: Path) -> None:
    """Every trial of one data set; rows are saved as they come."""
    lab = Lab(Store(pictures, folder), options.seeds, options.sides)
    wanted = trials(lab, options.leads, done(options.results) if options.skip_done else set())
    if not wanted:
        return
    _results.note(f"{pictures.name}, {counts(pictures)} images: the baseline")
    base = lab.bank()
    for number, trial in enumerate(wanted, 1):
        _results.note(f"{pictures.name}, {number} of {len(wanted)}: {trial.lead}, {trial.setting}, seed {trial.seed}")
        _results.save("ablation", [measure(lab, trial, base)], key=KEY, folder=options.results)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _options()
    options = parser.parse_args(arguments)
    unknown = [lead for lead in options.leads if lead not in LEADS]
    if unknown:
        parser.error(f"there is no lead {unknown[0]!r}; there are {', '.join(LEADS)}")
    for pictures in all_pictures(options):
        with tempfile.TemporaryDirectory() as folder:
            run(pictures, options, Path(folder))
    path = _results.path_of("ablation", options.results)
    if path.exists():
        rows = summary(_results.read(path))
        _results.save("ablation_summary", rows, key=SUMMARY_KEY, folder=options.results)


def _options() -> argparse.ArgumentParser:
    parser = _results.parser(__doc__)
    names, numbers = _results.listed(str), _results.listed(int)
    parser.add_argument("data", nargs="*", type=Path, metavar="DATA", help="data sets; their good images are used")
    parser.add_argument("--solar", type=names, default=list(_data.CELLS), help="kinds of solar cells (mono,poly)")
    parser.add_argument("--leads", type=names, default=list(LEADS), help=f"({','.join(LEADS)})")
    parser.add_argument("--images", type=int, default=160, metavar="N", help="at most, of each kind (160)")
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="of the baseline (0,1,2); others have 0")
    parser.add_argument(
        "--sides", type=numbers, default=[192, 320, 384], help="of the lead input, in pixels (192,320,384)"
    )
    parser.add_argument("--skip-done", action="store_true", help="leave out what these versions have measured")
    return parser


if __name__ == "__main__":
    _results.run(main)
