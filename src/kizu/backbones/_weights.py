"""Weight files: found without running the package that carries them, and checked before they are read."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from kizu.errors import BackboneError


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
    """The content of a weight file.

    Raises:
        BackboneError: the file cannot be read, or its checksum is not ``sha256``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BackboneError(f"{path}: the weight file cannot be read: {error.strerror or error}.") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BackboneError(
            f"{path}: the weight file is not the expected one (its SHA-256 is {found}, expected {sha256}). "
            "Reinstall the package or download the file again."
        )
    return data
