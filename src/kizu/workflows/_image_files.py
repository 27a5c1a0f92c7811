"""The image files that paths name: themselves, or those in folders; pictures that kizu made are none of them."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

from kizu.arguments import Paths, paths_of
from kizu.datasets import find_bad_folders, is_labelled, load_dataset
from kizu.errors import DataError, KizuWarning
from kizu.images import find_images
from kizu.report import PARTS
from kizu.wording import plural

MADE = {
    "predictions.csv": ("pictures", *PARTS),
    "suspects.csv": ("suspects",),
    "comparison.csv": ("only_*_right",),
}
"""Tables of output folders, and patterns of the folders of pictures beside each."""

FIGURES = ("confusion_matrix.png", "scores.png", "roc.png", "pr.png", "pixel_roc.png", "pixel_pr.png")
"""Pictures that an evaluation leaves in its output folder itself, beside ``metrics.csv``."""

OF_EVALUATIONS = ("metrics.csv", "pixel_metrics.csv", *FIGURES)
"""All that an evaluation leaves there which a prediction does not."""

PICTURE = ".png"
"""What pictures in them end in."""


def find_files(paths: Paths) -> list[Path]:
    """Files, and the images in folders, each once; a path alone is one. Pictures of an output folder inside a
    folder are left out, with a warning that says so.

    Raises `DataError` for what does not exist, and for none.
    """
    files: list[Path] = []
    for path in paths_of(paths):
        if path.is_dir():
            files += _in_folder(path)
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"{path}: no such file or folder. Check the path, or whether the drive is connected.")
    if not files:
        raise DataError("no images given. Name files or folders of images.")
    return list(dict.fromkeys(files))


def find_good_files(paths: Paths) -> list[Path]:
    """As `find_files`, of good parts. Raises `DataError` for a data set that holds defects or masks as well."""
    given = paths_of(paths)
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
    """The images in it, but for pictures that kizu wrote. Raises `DataError` when there are none."""
    in_made, found = cache(_is_made), find_images(folder, recursive=True)
    inner = [file for file in found if file.suffix == PICTURE and file.parent != folder]
    made = [file for file in inner if in_made(file.parent) or _is_figure(file)]
    if not found:
        raise DataError(f"{folder}: no images in this folder. Check the path, or leave it out.")
    if len(made) == len(found):
        raise DataError(f"{folder}: no images in this folder but pictures that kizu wrote. Check the path.")
    if made:
        places = ", ".join(str(place) for place in dict.fromkeys(file.parent for file in made))
        warnings.warn(
            f"left out {plural(len(made), 'picture')} that kizu seems to have written, in {places}. "
            "If they are parts, name that folder.",
            KizuWarning,
            stacklevel=4,
        )
    left_out = set(made)
    return [file for file in found if file not in left_out]


def _is_figure(file: Path) -> bool:
    """Whether it is a figure that an evaluation left beside its metrics."""
    return file.name in FIGURES and (file.parent / "metrics.csv").exists()


def _is_made(folder: Path) -> bool:
    """Whether it is a folder of pictures that kizu wrote beside a table, whole or still being written."""
    return any(
        any(map(folder.match, names)) and any((folder.parent / f"{table}{end}").exists() for end in ("", ".part"))
        for table, names in MADE.items()
    )
