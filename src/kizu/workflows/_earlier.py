"""What an earlier run has left in an output folder: told, or removed where it would mix with what is new."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from kizu.errors import KizuWarning


def warn_of_earlier(folder: Path, names: Collection[str]) -> None:
    """Tell of results ``names`` that are in ``folder`` though this run has not written them: they are of other images
    or another model. They stay, since they may be all there is of those.
    """
    left = [name for name in names if (folder / name).exists()]
    if left:
        are, them = ("is", "it") if len(left) == 1 else ("are", "them")
        warnings.warn(
            f"{folder}: {', '.join(left)} {are} of an earlier run, not of this one. Remove {them}, or give another "
            "folder.",
            KizuWarning,
            stacklevel=3,
        )


def listed_pictures(table: Path, folders: str) -> set[Path]:
    """The pictures that a table of an earlier run lists as its ``picture``, in ``folders`` (a pattern) beside it; as
    far as it can be read.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            listed = [Path(row["picture"]) for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, csv.Error, KeyError):  # TypeError: a line that is too short
        return set()
    return {
        table.parent / picture for picture in listed if len(picture.parts) == 2 and picture.match(f"{folders}/*.png")
    }


def remove(pictures: Collection[Path]) -> None:
    """Remove pictures, and folders of them that are empty then; what another program holds stays."""
    for picture in pictures:
        with suppress(OSError):
            picture.unlink(missing_ok=True)
    for folder in {picture.parent for picture in pictures}:
        with suppress(OSError):
            folder.rmdir()
