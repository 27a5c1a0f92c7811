"""Masks that do not match: of another size, missing, left over, empty, all marked, or on a good image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kizu.checks._finding import Finding, plural
from kizu.checks.looks import Look, MaskLook
from kizu.datasets import Dataset
from kizu.datasets._folders import MASK_WORDS
from kizu.images import find_images
from kizu.images.listing import list_folder

ALL_MARKED = 0.99
"""Share of marked pixels from which a mask says nothing."""


def wrong_masks(looks: Sequence[Look]) -> Iterator[Finding]:
    """A finding for each mask that is not what it should be, and one for the defects that have none."""
    for look in looks:
        if look.mask is not None and look.sample.mask is not None:
            found = _of(look, look.mask)
            if found is not None:
                kind, message, advice = found
                severity = "problem" if kind in ("mask_unreadable", "mask_size") else "warning"
                yield Finding(kind, severity, (look.sample.mask, look.sample.path), message, advice)  # type: ignore[arg-type]
    yield from _missing(looks)


def _of(look: Look, mask: MaskLook) -> tuple[str, str, str] | None:
    """Kind, message and advice for one mask; None when it is as it should be."""
    if mask.problem is not None:
        return "mask_unreadable", f"{mask.problem.rstrip('.')}.", "Save the mask anew, or take it out."
    if mask.size != look.size:
        sizes = f"the mask is {mask.size[1]}×{mask.size[0]} pixels, its image {look.size[1]}×{look.size[0]}."
        return "mask_size", sizes, "Save the mask at the size of the image, as it is shown; evaluating stops here."
    if look.sample.label == "good":
        marked = f"a good image with {mask.marked:.1%} of it marked as defective."
        return ("mask_on_good", marked, "Find out whether image or mask is wrong.") if mask.marked else None
    if not mask.marked:
        return "mask_empty", "nothing is marked on an image of a defect.", "Mark the defect, or take the mask out."
    if mask.marked >= ALL_MARKED:
        what = f"{mask.marked:.0%} of the image is marked."
        return "mask_full", what, "Check whether black and white are swapped; mark the defect alone."
    return None


def _missing(looks: Sequence[Look]) -> Iterator[Finding]:
    defects = [look.sample for look in looks if look.sample.label == "bad"]
    without = tuple(sample.path for sample in defects if sample.mask is None)
    if without and len(without) < len(defects):
        message = f"{len(without):,} of {plural(len(defects), 'image')} of defects have no mask, the others do."
        yield Finding("mask_missing", "warning", without, message, "Mark them too: pixel figures leave them out.")


def left_over(dataset: Dataset) -> Iterator[Finding]:
    """Mask files that belong to no image."""
    used = {sample.mask for sample in dataset.samples}
    spare = tuple(path for folder in _folders(dataset) for path in find_images(folder, True) if path not in used)
    if spare:
        message = f"{plural(len(spare), 'mask')} without an image: masks belong to images by name."
        yield Finding(
            "mask_left_over", "warning", spare, message, "Name a mask as its image, or NAME_mask, or remove it."
        )


def _folders(dataset: Dataset) -> list[Path]:
    if not dataset.root.is_dir():
        return []
    return [folder for folder in list_folder(dataset.root)[0] if folder.name.lower() in MASK_WORDS]
