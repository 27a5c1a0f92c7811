"""Folders of good and of bad images::

    good/NAME.png
    bad/NAME.png     bad/TYPE/NAME.png
    mask/NAME.png    mask/TYPE/NAME.png      (or NAME_mask.png)

``bad`` and ``mask`` may be missing. The good images are divided 8:2 into train and test by seed; the bad ones
are all for testing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kizu.datasets._folders import MASK_WORDS, Collector, child, namesake, same_name
from kizu.datasets._sample import BAD_WORDS, GOOD_WORDS, Dataset
from kizu.datasets._split import divided
from kizu.errors import DataError
from kizu.images import is_image
from kizu.images.listing import list_folder
from kizu.wording import Wording

LAYOUT = "good/bad folders"


def recognises(root: Path) -> bool:
    """Whether there is a folder ``good``."""
    return child(root, GOOD_WORDS) is not None


def load(root: Path, seed: int) -> Dataset:
    """Read the layout; raises `DataError` when there is no good image."""
    good = child(root, GOOD_WORDS)
    found = Collector(root)
    if good is not None:
        found.add(found.images(good), "train", "good", "good", None)
    if good is None or not found.samples:
        raise DataError(f"{root}: no image in {good.name if good else 'good'}/; put the good images there")
    found.samples = list(divided(found.samples, seed=seed))
    _add_bad(found, child(root, BAD_WORDS), child(root, MASK_WORDS))
    _note_the_rest(found)
    return Dataset(root, LAYOUT, tuple(found.samples), tuple(found.remarks), divided=True)


def _add_bad(found: Collector, bad: Path | None, masks: Path | None) -> None:
    if bad is None:
        return
    kinds, files = list_folder(bad)
    found.add(filter(is_image, files), "test", "bad", "bad", masks)
    for kind in kinds:
        found.add(found.images(kind), "test", "bad", kind.name, namesake(masks, kind))
    _note_masks_without_images(found, masks, kinds)


def _note_masks_without_images(found: Collector, masks: Path | None, kinds: Sequence[Path]) -> None:
    for inner in list_folder(masks)[0] if masks is not None else ():
        if not any(same_name(inner, kind) for kind in kinds):
            names = {"folder": found.name(inner), "wanted": f"bad/{inner.name}/"}
            found.remarks.append(Wording("no_such_kind", names))


def _note_the_rest(found: Collector) -> None:
    """Note folders and images that stand beside the ones of the layout."""
    known = (*GOOD_WORDS, *BAD_WORDS, *MASK_WORDS)
    folders, files = list_folder(found.root)
    others = [folder for folder in folders if folder.name.lower() not in known]
    others += filter(is_image, files)
    if others:
        found.ignore(found.root, others)
