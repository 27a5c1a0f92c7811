"""Masks that do not match: of another size, missing, left over, empty, all marked, or on a good image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kizu.checks._finding import Finding, Severity
from kizu.checks.looks import Look, MaskLook
from kizu.datasets import MASK_WORDS, Dataset, visa
from kizu.images import find_images
from kizu.images.listing import list_folder
from kizu.wording import Figures, Wording

ALL_MARKED = 0.99
"""Share of marked pixels from which a mask says nothing."""


def wrong_masks(looks: Sequence[Look]) -> Iterator[Finding]:
    """A finding for each mask that is not what it should be, and one for the defects that have none."""
    for look in looks:
        if look.mask is not None and look.sample.mask is not None:
            found = _of(look, look.mask)
            if found is not None:
                kind, figures, advice = found
                severity: Severity = "problem" if kind in ("mask_unreadable", "mask_size") else "warning"
                paths = (look.sample.mask, look.sample.path)
                yield Finding(kind, severity, paths, Wording(kind, figures), advice)
    yield from _missing(looks)


def _of(look: Look, mask: MaskLook) -> tuple[str, Figures, str] | None:
    """Kind, which is the key of its wording too, figures and advice for one mask; None when it is as it should be."""
    if mask.problem is not None:
        return "mask_unreadable", {"problem": mask.problem}, "Save the mask anew, or take it out."
    if mask.size != look.size:
        (mask_height, mask_width), (height, width) = mask.size, look.size
        sizes = {"mask_width": mask_width, "mask_height": mask_height, "width": width, "height": height}
        return "mask_size", sizes, "Save the mask at the size of the image, as it is shown; evaluating stops here."
    if look.sample.label == "good":
        advice = "Find out whether image or mask is wrong."
        return ("mask_on_good", {"percent": 100 * mask.marked}, advice) if mask.marked else None
    if not mask.marked:
        return "mask_empty", {}, "Mark the defect, or take the mask out."
    if mask.marked >= ALL_MARKED:
        advice = "Check whether black and white are swapped; mark the defect alone."
        return "mask_full", {"percent": 100 * mask.marked}, advice
    return None


def _missing(looks: Sequence[Look]) -> Iterator[Finding]:
    defects = [look.sample for look in looks if look.sample.label == "bad"]
    without = tuple(sample.path for sample in defects if sample.mask is None)
    if without and len(without) < len(defects):
        wording = Wording("mask_missing", {"without": len(without), "defects": len(defects)})
        yield Finding("mask_missing", "warning", without, wording, "Mark them too: pixel figures leave them out.")


def left_over(dataset: Dataset) -> Iterator[Finding]:
    """Mask files that belong to no image."""
    used = {sample.mask for sample in dataset.samples}
    spare = tuple(
        path for folder in _folders(dataset) for path in find_images(folder, True) if not used & {path, path.parent}
    )
    if spare:
        advice = "Name a mask as its image, or NAME_mask, or remove it."
        yield Finding("mask_left_over", "warning", spare, Wording("mask_left_over", {"n": len(spare)}), advice)


def _folders(dataset: Dataset) -> list[Path]:
    if not dataset.root.is_dir():
        return []
    found = [folder for folder in list_folder(dataset.root)[0] if folder.name.lower() in MASK_WORDS]
    if dataset.layout == visa.LAYOUT:  # deeper inside
        found += sorted({sample.mask.parent for sample in dataset.samples if sample.mask})
    return found
