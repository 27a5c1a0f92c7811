"""The layout of VisA (Zou, Jeong, Pemula, Zhang, Dabeer, ECCV 2022, arXiv 2207.14315), one product of it::

    candle/Data/Images/Normal/0000.JPG      candle/Data/Images/Anomaly/000.JPG
    candle/Data/Masks/Anomaly/000.png       candle/image_anno.csv
    split_csv/1cls.csv                      (beside the products: which image is for training)

Without ``split_csv/1cls.csv`` the normal images are divided 8:2 by seed, as ``good`` folders are. Types of defects
come from ``image_anno.csv``; an image with several of them is of the type ``combined``.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from kizu.datasets._folders import Collector, child
from kizu.datasets._sample import Dataset, Sample
from kizu.datasets._split import divided, for_testing
from kizu.errors import DataError

LAYOUT = "VisA"

_NORMAL = ("data", "images", "normal")
_ANOMALY = ("data", "images", "anomaly")
_MASKS = ("data", "masks", "anomaly")


def recognises(root: Path) -> bool:
    """Whether there is ``Data/Images/Normal``."""
    return _inside(root, _NORMAL) is not None


def load(root: Path, seed: int) -> Dataset:
    """Read the layout; raises `DataError` when it holds no normal image, or a list in it cannot be read."""
    found = Collector(root)
    normal, anomaly = _inside(root, _NORMAL), _inside(root, _ANOMALY)
    if normal is not None:
        found.add(found.images(normal), "train", "good", "good", None)
    if normal is None or not found.samples:
        raise DataError(f"{root}: no image in Data/Images/Normal/; put the good images there")
    listed = root.parent / "split_csv" / "1cls.csv"
    if listed.is_file():
        _divide_as_listed(found, normal, listed)
    else:
        found.samples = list(divided(found.samples, seed=seed))
    if anomaly is not None:
        found.add(found.images(anomaly), "test", "bad", "bad", _inside(root, _MASKS))
    types = dict(_types(root))
    samples = (s if s.label == "good" else _of_type(s, types) for s in found.samples)
    return Dataset(root, LAYOUT, tuple(samples), tuple(found.remarks), divided=not listed.is_file())


def _inside(root: Path, names: tuple[str, ...]) -> Path | None:
    """The folder within folders of these names, in any case."""
    folder: Path | None = root
    for name in names:
        folder = child(folder, (name,)) if folder is not None else None
    return folder


def _divide_as_listed(found: Collector, normal: Path, listed: Path) -> None:
    """Train and test as the published list says; images that it does not name are left out, and noted."""
    product = found.root.resolve().name
    rows = _rows(listed, ("object", "split", "label", "image"))
    splits = {Path(row["image"]).name: row["split"] for row in rows if row["object"] == product and not _is_bad(row)}
    fit = [sample for sample in found.samples if splits.get(sample.path.name) == "train"]
    test = [sample for sample in found.samples if splits.get(sample.path.name) == "test"]
    if not fit:
        raise DataError(f"{listed}: names no image of {product} for training; check the list, or take it away")
    unnamed = [sample.path for sample in found.samples if sample.path.name not in splits]
    if unnamed:
        found.ignore(normal, unnamed)
    found.samples = [*fit, *for_testing(test)]


def _of_type(sample: Sample, types: Mapping[str, str]) -> Sample:
    return dataclasses.replace(sample, defect_type=types.get(sample.path.name, sample.defect_type))


def _types(root: Path) -> Iterator[tuple[str, str]]:
    """The type of defect by file name."""
    listed = root / "image_anno.csv"
    if listed.is_file():
        for row in _rows(listed, ("image", "label")):
            kinds = [kind.strip() for kind in row["label"].split(",") if kind.strip()]
            if _is_bad(row) and kinds:
                yield Path(row["image"]).name, kinds[0] if len(kinds) == 1 else "combined"


def _is_bad(row: Mapping[str, str]) -> bool:
    """Whether a list's row is of a defect: its file may be named as a normal one is."""
    return "Anomaly" in Path(row["image"]).parts


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path}: there is no column `{missing[0]}`; restore the list, or take it away")
            for row in reader:
                yield {name: row[name] or "" for name in columns}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a list ({error}); restore it, or take it away") from None
