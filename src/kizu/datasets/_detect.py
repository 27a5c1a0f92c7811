"""One argument, recognised by looking: which layout a path holds."""

from __future__ import annotations

from pathlib import Path

from kizu.datasets import file_list, folder, good_bad, mvtec, visa
from kizu.datasets._folders import MASK_WORDS, some
from kizu.datasets._sample import BAD_WORDS, Dataset
from kizu.errors import DataError
from kizu.images import is_image
from kizu.images.listing import list_folder

_KNOWN = "train/good/ and test/ (MVTec AD), Data/Images/ (VisA), good/ and bad/, images, or a CSV or JSONL list"


def load_dataset(path: Path | str, *, seed: int = 0) -> Dataset:
    """Find the samples under a path: an MVTec AD or VisA folder, ``good``/``bad`` folders, plain images,
    or a list.

    ``seed`` decides which good images of ``good``/``bad`` folders are for testing; other layouts say it.

    Raises:
        DataError: no such path, no image in it, or a layout that is not known or not clear.
    """
    path = Path(path)
    if path.is_dir():
        return _load_folder(path, seed)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; check the name, or whether the drive is connected")
    if path.suffix.lower() in file_list.SUFFIXES:
        return file_list.load(path)
    if is_image(path):
        raise DataError(f"{path}: is a single image; give a folder of images, such as {path.parent}")
    raise DataError(f"{path}: is not a data set; give a folder, or a list named .csv or .jsonl")


def _load_folder(root: Path, seed: int) -> Dataset:
    is_mvtec, is_good_bad = mvtec.recognises(root), good_bad.recognises(root)
    if is_mvtec and is_good_bad:
        raise DataError(f"{root}: holds both train/ or test/ and good/; move one of the two elsewhere")
    if is_mvtec:
        return mvtec.load(root)
    if is_good_bad:
        return good_bad.load(root, seed)
    if visa.recognises(root):
        return visa.load(root, seed)
    if folder.recognises(root):
        return folder.load(root)
    raise DataError(f"{root}: {_what_is_there(root)}; expected {_KNOWN}. {_advice(root)}")


def find_products(path: Path | str) -> tuple[Path, ...]:
    """The products of a collection, as MVTec AD and VisA come: folders of a folder, each a data set with test images.

    A path that is a data set itself is the only one; so is one that holds none.

    Raises:
        DataError: the folder cannot be listed.
    """
    path = Path(path)
    if not path.is_dir() or is_labelled(path):
        return (path,)
    return tuple(filter(is_labelled, list_folder(path)[0])) or (path,)


def find_bad_folders(folder: Path) -> tuple[Path, ...]:
    """The folders in a folder that are named as those of defects and masks are; a number may be that of a camera.

    Raises `DataError` where the folder cannot be listed.
    """
    named = [word for word in (*BAD_WORDS, *MASK_WORDS) if not word.isdigit()]
    return tuple(inner for inner in list_folder(folder)[0] if inner.name.lower() in named)


def is_labelled(folder: Path) -> bool:
    """Whether the names of a folder's folders say which images are good. Raises `DataError` where it cannot be
    listed.
    """
    return mvtec.recognises(folder) or good_bad.recognises(folder) or visa.recognises(folder)


def _what_is_there(root: Path) -> str:
    folders, files = list_folder(root)
    parts = []
    if folders:
        parts.append(f"the folders {some([f'{inner.name}/' for inner in folders])}")
    if files:
        parts.append(f"the files {some([file.name for file in files])}")
    return f"no images, but {' and '.join(parts)}" if parts else "the folder is empty"


def _advice(root: Path) -> str:
    """What to give instead: a list or a data set that lies inside, or the good images."""
    folders, files = list_folder(root)
    for file in files:
        if file.suffix.lower() in file_list.SUFFIXES and file_list.may_be_one(file):
            return f"To use the list, give {file}"
    for inner in folders:
        if is_labelled(inner):
            return f"Give one product, such as {inner}"
        if folder.recognises(inner):
            return f"If {inner.name}/ holds good images, give {inner} or rename it to good/"
    return "Put the images of good parts there"
