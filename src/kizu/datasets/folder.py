"""A plain folder of good images: every image in it is for training."""

from __future__ import annotations

from pathlib import Path

from kizu.datasets._folders import Collector
from kizu.datasets._sample import Dataset
from kizu.images import is_image
from kizu.images.listing import list_folder

LAYOUT = "folder of good images"


def recognises(root: Path) -> bool:
    """Whether there are images directly in the folder."""
    return any(map(is_image, list_folder(root)[1]))


def load(root: Path) -> Dataset:
    """Read the layout."""
    found = Collector(root)
    found.add(found.images(root), "train", "good", "good", None)
    return Dataset(root, LAYOUT, tuple(found.samples), tuple(found.remarks))
