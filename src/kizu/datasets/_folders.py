"""What the folder layouts share: finding folders by their names, and images in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kizu.datasets._sample import Label, Sample, Split
from kizu.datasets.masks import pair_masks
from kizu.errors import DataError
from kizu.images import is_image
from kizu.images.listing import list_folder
from kizu.wording import Wording

MASK_WORDS = ("mask", "masks", "ground_truth")


def child(folder: Path, words: Sequence[str]) -> Path | None:
    """The folder inside ``folder`` whose name is one of ``words``, in any case; None where there is none.

    Raises:
        DataError: there are two.
    """
    found = [inner for inner in list_folder(folder)[0] if inner.name.lower() in words]
    if len(found) > 1:
        names = " and ".join(f"{inner.name}/" for inner in found)
        raise DataError(f"{folder}: {names} mean the same; merge them, or take one out")
    return found[0] if found else None


def namesake(folder: Path | None, other: Path) -> Path | None:
    """The folder inside ``folder`` that has the name of ``other``; None where there is none."""
    inner = list_folder(folder)[0] if folder is not None else ()
    return next((path for path in inner if same_name(path, other)), None)


def same_name(one: Path, other: Path) -> bool:
    """Whether two names are the same text, in whatever form of Unicode a system has stored them."""
    return unicodedata.normalize("NFC", one.name) == unicodedata.normalize("NFC", other.name)


@dataclass
class Collector:
    """Gathers samples, and remarks on what was left out, while a layout walks its folders."""

    root: Path
    samples: list[Sample] = field(default_factory=list)
    remarks: list[Wording] = field(default_factory=list)

    def name(self, path: Path) -> str:
        """A folder's name within the data set, for remarks."""
        return f"{path.relative_to(self.root).as_posix()}/"

    def images(self, folder: Path) -> tuple[Path, ...]:
        """The images directly in a folder; notes folders inside it."""
        inner, files = list_folder(folder)
        if inner:
            self.ignore(folder, inner)
        return tuple(filter(is_image, files))

    def ignore(self, folder: Path, paths: Sequence[Path]) -> None:
        """Note files or folders that mean nothing where they are."""
        names = some([f"{path.name}/" if path.is_dir() else path.name for path in paths])
        if folder == self.root:
            self.remarks.append(Wording("ignored_in_data", {"names": names}))
        else:
            self.remarks.append(Wording("ignored_in_folder", {"folder": self.name(folder), "names": names}))

    def add(
        self,
        images: Iterable[Path],
        split: Split,
        label: Label,
        kind: str,
        masks: Path | None,
        *,
        mask_folders: bool = False,
    ) -> None:
        """Add samples, each with its mask, or folder of masks, out of the folder ``masks``; notes masks left over."""
        images = tuple(images)
        pairs, spare = ({}, ()) if masks is None else pair_masks(images, masks, folders=mask_folders)
        self.samples += [Sample(path, split, label, kind, pairs.get(path)) for path in images]
        if spare and masks is not None:
            names = some([path.name for path in spare])
            self.remarks.append(Wording("masks_without_image", {"folder": self.name(masks), "names": names}))


def some(names: Sequence[str]) -> str | Wording:
    """A few names for a message, and how many more there are.

    >>> print(some(["a", "b", "c", "d", "e"]))
    a, b, c and 2 more
    """
    shown = ", ".join(names[:3])
    return Wording("and_more", {"names": shown, "more": len(names) - 3}) if len(names) > 3 else shown
