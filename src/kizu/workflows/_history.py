"""The versions of a model: what its updates added, what is kept, and going back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kizu.errors import KizuWarning, ModelFileError
from kizu.inspector import Inspector, identity, versions
from kizu.wording import plural


@dataclass(frozen=True)
class Step:
    """One update, as the model's provenance tells it: ``id`` of the version before it, and what was added to that.

    ``digests`` are those of the images' pixels (`kizu.workflows._reading.Reader`); ``calibrating`` of them calibrate.
    """

    id: str
    names: tuple[str, ...]
    digests: tuple[str, ...]
    calibrating: int

    def to_dict(self) -> dict[str, Any]:
        """As a model file holds it."""
        return {
            "id": self.id,
            "added": len(self.names),
            "calibrating": self.calibrating,
            "names": list(self.names),
            "digests": list(self.digests),
        }


def steps_of(provenance: Mapping[str, Any], path: Path) -> tuple[Step, ...]:
    """The updates of a model, oldest first. Raises `ModelFileError`."""
    try:
        return tuple(
            Step(
                str(one["id"]),
                tuple(map(str, one["names"])),
                tuple(map(str, one["digests"])),
                int(one["calibrating"]),
            )
            for one in provenance.get("history", ())
        )
    except (LookupError, TypeError, ValueError):
        raise _damaged(path) from None


def digests_of(provenance: Mapping[str, Any], path: Path) -> set[str]:
    """Those of all images that a model has seen, as far as it was told. Raises `ModelFileError`."""
    try:
        return {*provenance.get("images", ()), *(d for step in steps_of(provenance, path) for d in step.digests)}
    except TypeError:
        raise _damaged(path) from None


def warn_of_known(inspector: Inspector, digests: Sequence[str], name: str = "the model") -> None:
    """Say so where images judged, by the ``digests`` of their pixels, are among those that a model has learnt."""
    known = digests_of(inspector.provenance, Path(name))
    count = sum(digest in known for digest in digests)
    if count:
        warnings.warn(
            f"{name} has learnt {count:,} of the {plural(len(digests), 'image')} judged, so figures are too good. "
            "Give test images of their own, as test/good and test/DEFECT.",
            KizuWarning,
            stacklevel=3,
        )


def _damaged(path: Path) -> ModelFileError:
    return ModelFileError(f"{path}: the model file is damaged: its history cannot be read. Restore it or fit again.")


@dataclass(frozen=True)
class Version:
    """One version of a model.

    ``names``: the images its update added; None: as fitted, or not known. ``path``: where it is kept, None: nowhere.
    ``current``: it is the model. ``aside``: it is not one that the model came from, as after an undo.
    """

    id: str
    names: tuple[str, ...] | None
    path: Path | None
    current: bool = False
    aside: bool = False

    @property
    def size(self) -> int | None:
        """Bytes it takes, if it is kept."""
        return None if self.path is None else self.path.stat().st_size

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "id": self.id,
            "current": self.current,
            "aside": self.aside,
            "added": None if self.names is None else list(self.names),
            "path": None if self.path is None else str(self.path),
            "bytes": self.size,
        }


def history(model: str | Path) -> list[Version]:
    """Every version of a model that it knows of or that is kept: it first, then what it came from, then others.

    Raises `ModelFileError`.
    """
    path = Path(model)
    steps = steps_of(Inspector.look(path).provenance, path)
    ids = [*(step.id for step in steps), identity(path)]
    kept = versions.kept(path)
    line = [
        Version(
            one, steps[place - 1].names if place else None, path if one == ids[-1] else kept.get(one), one == ids[-1]
        )
        for place, one in enumerate(ids)
    ]
    others = [Version(one, None, file, aside=True) for one, file in kept.items() if one not in ids]
    return [*reversed(line), *others]


@dataclass(frozen=True)
class Restored:
    """A model as it was: its ``id``, and the ``replaced`` one's, which is kept (None: there was no model)."""

    path: Path
    id: str
    replaced: str | None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"model": str(self.path), "id": self.id, "replaced": self.replaced}


def undo(model: str | Path) -> Restored:
    """Put the version before the last update back, to the last bit. The one undone is kept too: see `restore`.

    Raises `ModelFileError` when there is none, or it is not kept; `OutputError`.
    """
    path = Path(model)
    steps = steps_of(Inspector.look(path).provenance, path)
    if not steps:
        raise ModelFileError(f"{path}: has not been updated, so there is nothing to undo.")
    if steps[-1].id not in versions.kept(path):
        missing = versions.folder_of(path) / f"{steps[-1].id}.kizu"
        raise ModelFileError(
            f"{path}: its previous version is not kept ({missing} is not there). Put that file back from a copy, or "
            "fit again."
        )
    return restore(path, steps[-1].id)


def restore(model: str | Path, version: str) -> Restored:
    """Put a version that is kept in the place of the model, which is kept in turn; ``version`` is an id or its start.

    Raises `ModelFileError` when there is no such version or it was altered; `OutputError`.
    """
    path = Path(model)
    replaced = identity(path) if path.exists() else None
    found = versions.restore(path, version)
    return Restored(path, found.stem, replaced)
