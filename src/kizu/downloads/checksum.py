"""SHA-256 of files, and of their beginnings: publishers put the first digits of it into a file's name."""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHUNK = 2**20


def of(path: Path) -> str:
    """The SHA-256 of a file in lower-case hexadecimal digits. Raises ``OSError``."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def of_bytes(data: bytes) -> str:
    """The same of bytes."""
    return hashlib.sha256(data).hexdigest()


def agree(found: str, published: str) -> bool:
    """Whether a whole checksum is the one published, of which there may be the beginning only.

    >>> agree("f37072fd47e8" + 52 * "0", "f37072fd"), agree("f37072fd47e8" + 52 * "0", "0676ba61")
    (True, False)

    Raises:
        ValueError: fewer than eight digits are published, which say too little.
    """
    if len(published) < 8:
        raise ValueError(f"{published!r} is too short for a checksum")
    return found.startswith(published.lower())
