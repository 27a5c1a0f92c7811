"""The demo's data: electroluminescence images of solar cells, from the package ``elpv-dataset``.

Deitsch et al.: "Segmentation of photovoltaic module cells in uncalibrated electroluminescence images", Machine Vision
and Applications 32, 2021; licence CC BY-NC-SA 4.0. 2,624 cells of 300×300 pixels, each labelled with how probably
it is defective (0, 1/3, 2/3 or 1), mono- or polycrystalline.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from kizu.datasets._sample import Dataset, Sample
from kizu.datasets._split import split_good
from kizu.errors import DataError, MissingExtraError

FIT_SHARE = 0.6


def solar_cells(kind: Literal["mono", "poly"] = "mono", *, seed: int = 0) -> Dataset:
    """Cells labelled 0.0 are good, 60 % of them to fit on; cells labelled 1.0 are the defects. Others are left out.

    Raises `MissingExtraError` when the package is not installed.
    """
    folder = _data_folder()
    rows = [line.split() for line in _read_labels(folder / "labels.csv")]
    of_kind = [(folder / name, float(label)) for name, label, cell in rows if cell == kind]
    good = [Sample(path, "train", "good", "good") for path, label in of_kind if label == 0.0]
    to_fit, test_good = split_good(good, seed=seed, share=1 - FIT_SHARE)
    samples = list(to_fit)
    samples += [Sample(sample.path, "test", "good", "good") for sample in test_good]
    samples += [Sample(path, "test", "bad", "defective") for path, label in of_kind if label == 1.0]
    return Dataset(Path(f"solar cells ({kind})"), "demo", tuple(samples))


def _data_folder() -> Path:
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise MissingExtraError('the demo\'s images are not installed. Run: pip install "kizu[demo]"')
    return Path(spec.origin).parent / "data"


def _read_labels(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        hint = "Run: pip install --force-reinstall elpv-dataset"
        raise DataError(f"{path}: cannot read the demo's labels ({error.strerror}). {hint}") from None
