"""Model files taken apart and put together again, differently."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Entries = dict[str, bytes]


def unpacked(path: Path) -> Entries:
    """What a model file holds, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Path:
    """A zip of these entries, in this order."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return path


def rewritten(
    model: Path, path: Path, changes: dict[str, bytes | None], manifest: Callable[[dict[str, Any]], object] = len
) -> Path:
    """A copy with entries replaced, added or (None) left out, its checksums right, its manifest edited."""
    entries = {**unpacked(model), **changes}
    document = json.loads(entries.pop("manifest.json") or b"")
    kept = {name: data for name, data in entries.items() if data is not None}
    document["entries"] = {name: hashlib.sha256(data).hexdigest() for name, data in kept.items()}
    manifest(document)
    return packed(path, [("manifest.json", json.dumps(document).encode()), *kept.items()])
