"""The layout of MVTec AD (Bergmann et al., 10.1109/CVPR.2019.00982)::

    train/good/NAME.png
    test/good/NAME.png              test/TYPE/NAME.png
    ground_truth/TYPE/NAME_mask.png or ground_truth/TYPE/NAME.png or ground_truth/TYPE/NAME/*.png

MPDD (Jezek et al., 10.1109/ICUMT54235.2021.9631567) comes so; BTAD (Mishra et al., 10.1109/ISIE45552.2021.9576231)
with ``ok`` and ``ko``; MVTec LOCO (Bergmann et al., 10.1007/s11263-022-01578-9) with ``validation/good`` (here also
``calibration/good``), and several masks an image in a folder of its own. Images and masks may be of any format, and
any of the parts may be missing.
"""

from __future__ import annotations

from pathlib import Path

from kizu.datasets._folders import Collector, child, namesake
from kizu.datasets._sample import Dataset, Split, what_it_means
from kizu.errors import DataError
from kizu.images import is_image
from kizu.images.listing import list_folder
from kizu.wording import Wording

LAYOUT = "MVTec AD"

_FOLDERS: tuple[tuple[Split, tuple[str, ...]], ...] = (
    ("train", ("train",)),
    ("calibration", ("calibration", "validation")),
    ("test", ("test",)),
)


def recognises(root: Path) -> bool:
    """Whether there is a ``train`` or a ``test`` folder."""
    return any(child(root, words) for _, words in (_FOLDERS[0], _FOLDERS[2]))


def load(root: Path) -> Dataset:
    """Read the layout; raises `DataError` when it holds no image."""
    found = Collector(root)
    truth = child(root, ("ground_truth",))
    for split, words in _FOLDERS:
        folder = child(root, words)
        if folder is not None:
            _add_split(found, folder, split, truth if split == "test" else None)
    _note_masks_without_images(found, truth)
    _note_the_rest(found)
    if not found.samples:
        raise DataError(f"{root}: no image in train/good/, test/good/ or test/TYPE/; put the good images there")
    return Dataset(root, LAYOUT, tuple(found.samples), tuple(found.remarks))


def _note_the_rest(found: Collector) -> None:
    """Note images that stand beside the folders of the layout."""
    loose = tuple(filter(is_image, list_folder(found.root)[1]))
    if loose:
        found.ignore(found.root, loose)


def _add_split(found: Collector, folder: Path, split: Split, truth: Path | None) -> None:
    kinds, files = list_folder(folder)
    loose = tuple(filter(is_image, files))
    if loose:
        found.ignore(folder, loose)
    for kind in kinds:
        label, defect_type = what_it_means(kind.name)
        if label == "bad" and split != "test":
            names = {"folder": found.name(kind), "parent": f"{folder.name}/"}
            found.remarks.append(Wording("good_alone_there", names))
            continue
        found.add(found.images(kind), split, label, defect_type, namesake(truth, kind), mask_folders=True)


def _note_masks_without_images(found: Collector, truth: Path | None) -> None:
    test = child(found.root, ("test",))
    for folder in list_folder(truth)[0] if truth is not None else ():
        if namesake(test, folder) is None:
            names = {"folder": found.name(folder), "wanted": f"test/{folder.name}/"}
            found.remarks.append(Wording("no_such_kind", names))
