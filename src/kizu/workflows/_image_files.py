"""The image files that paths name: themselves, or those in folders; pictures that kizu made are none of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from kizu.datasets import find_bad_folders, is_labelled, load_dataset
from kizu.errors import DataError
from kizu.images import find_images
from kizu.report import PARTS

MADE = {"predictions.csv": ("pictures", *PARTS), "suspects.csv": ("suspects",)}
"""Tables of output folders, and the folders of pictures beside each."""


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """Files, and the images in folders, each once. Pictures of an output folder inside a folder are left out.

    Raises `DataError` for what does not exist, and for none.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found = _in_folder(path)
            if not found:
                raise DataError(f"{path}: no images in this folder. Check the path, or leave it out.")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"{path}: no such file or folder. Check the path, or whether the drive is connected.")
    if not files:
        raise DataError("no images given. Name files or folders of images.")
    return list(dict.fromkeys(files))


def find_good_files(paths: Iterable[str | Path]) -> list[Path]:
    """As `find_files`, of good parts. Raises `DataError` for a data set that holds defects or masks as well."""
    given = [Path(path) for path in paths]
    for path in given:
        if path.is_dir():
            _refuse_defects(path)
    return find_files(given)


def _refuse_defects(folder: Path) -> None:
    samples = load_dataset(folder).samples if is_labelled(folder) else ()
    found = [sample.path for sample in samples if sample.label == "bad" or sample.mask]
    found += find_bad_folders(folder)
    if found:
        good = next((f", such as {sample.path.parent}" for sample in samples if sample.label == "good"), "")
        raise DataError(
            f"{folder}: holds defects or masks as well, such as {found[0].relative_to(folder)}. Give the good parts "
            f"alone{good}."
        )


def _in_folder(folder: Path) -> list[Path]:
    made = cache(_is_made)
    return [file for file in find_images(folder, recursive=True) if file.parent == folder or not made(file.parent)]


def _is_made(folder: Path) -> bool:
    """Whether it is a folder of pictures that kizu wrote beside a table, whole or still being written."""
    return any(
        folder.name in names and any((folder.parent / f"{table}{end}").exists() for end in ("", ".part"))
        for table, names in MADE.items()
    )
