"""Masks: finding the one of an image by its name, and reading it."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kizu.datasets._sample import Sample
from kizu.errors import DataError, ImageError
from kizu.images import DEFAULT_MAX_PIXELS, find_images, read_mask
from kizu.images.listing import list_folder
from kizu.wording import Wording

_SUFFIX = "_mask"


def load_mask(
    sample: Sample, image_shape: tuple[int, ...], *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.bool_] | None:
    """Where the defect is: ``(H, W)`` ``bool`` of the image's size, true where marked.

    A good sample without a mask file has nothing marked. None: a defect, or a sample without label, that
    nobody has marked.

    Raises:
        ImageError: the mask cannot be read.
        DataError: it is not ``image_shape[:2]`` large.
    """
    size = (image_shape[0], image_shape[1])
    if sample.mask is None:
        return np.zeros(size, bool) if sample.label == "good" else None
    mask = read_marks(sample.mask, max_pixels=max_pixels)
    if mask.shape != size:
        raise DataError(f"{sample.mask}: {_wrong_size(mask.shape, size, sample.path)}")
    return mask


def read_marks(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.bool_]:
    """``(H, W)`` ``bool``, true where a mask file marks, or any of the masks in a folder.

    Raises:
        ImageError: a mask cannot be read, those of a folder differ in size, or there is none.
    """
    if not path.is_dir():
        return read_mask(path, max_pixels=max_pixels)
    masks = [read_mask(file, max_pixels=max_pixels) for file in find_images(path)]
    if not masks:
        raise ImageError(path, Wording("mask_folder_empty"), Wording("put_masks_in"))
    if len({mask.shape for mask in masks}) > 1:
        raise ImageError(path, Wording("mask_sizes_differ"), Wording("save_masks_at_one_size"))
    together: NDArray[np.bool_] = np.logical_or.reduce(masks)
    return together


def _wrong_size(mask: tuple[int, ...], image: tuple[int, int], path: Path) -> str:
    sizes = f"the mask is {mask[1]}×{mask[0]} pixels, its image {path.name} is {image[1]}×{image[0]}"
    if mask == image[::-1]:
        return f"{sizes}; save the mask turned as the image is shown (its EXIF orientation counts)"
    return f"{sizes}; save the mask at the size of the image, or take it out"


def pair_masks(
    images: Sequence[Path], folder: Path, *, folders: bool = False
) -> tuple[dict[Path, Path], tuple[Path, ...]]:
    """Masks by image, found in ``folder`` by name, and the masks left over.

    A mask is a file ``NAME_mask.*`` or ``NAME.*``; with ``folders`` also a folder ``NAME`` of masks.

    Raises:
        DataError: two masks, or two images, claim the same name.
    """
    masks = find_images(folder) if folder.is_dir() else ()
    masks += list_folder(folder)[0] if folders else ()
    by_stem = _by_stem(masks)
    pairs: dict[Path, Path] = {}
    used: set[Path] = set()
    for suffix in (
        _SUFFIX,
        "",
    ):  # the marked name first: "a_mask.png" is of "a", even beside an image "a_mask"
        for stem, paths in _by_stem(image for image in images if image not in pairs).items():
            found = [mask for mask in by_stem.get(stem + suffix, ()) if mask not in used]
            if found:
                pairs[paths[0]] = _only_pair(paths, found)
                used.add(found[0])
    return pairs, tuple(mask for mask in masks if mask not in used)


def _only_pair(images: Sequence[Path], masks: Sequence[Path]) -> Path:
    if len(images) > 1:
        names = " and ".join(path.name for path in images)
        raise DataError(f"{images[0].parent}: {names} both claim the mask {masks[0].name}; rename one of them")
    if len(masks) > 1:
        names = " and ".join(path.name for path in masks)
        raise DataError(f"{masks[0].parent}: {names} are both masks of {images[0].name}; take one out")
    return masks[0]


def _by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Paths by name without suffix, in composed Unicode: macOS and others store the same name differently."""
    stems: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        name = path.name if path.is_dir() else path.stem
        stems[unicodedata.normalize("NFC", name)].append(path)
    return stems
