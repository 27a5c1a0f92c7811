"""``NAME.kizu``: a zip of JSON, ONNX and plain arrays. Reading one runs no code.

::

    manifest.json      schema, kizu version, config, detector, calibration, provenance, SHA-256 of every other entry
    backbone.onnx      the backbone: uint8 images in (float32 with a window), embeddings out
    detector/*.npy     what the detector learnt (``allow_pickle=False``)
    check/0.png …      good images that exports are checked on; none in schema 1
    area.png           the inspected area, white; none where all is inspected, nor before schema 4

Schema 5 is written for settings that schema 4 has not (`kizu.config.LATER`), and without them still 4.

Entries are stored uncompressed with a fixed date, so that the same fit gives the same bytes. A file is written
under a temporary name, synced and renamed: it is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from kizu._version import __version__
from kizu.config import LATER
from kizu.errors import ModelFileError, OutputError
from kizu.files import atomic_write, check_writable
from kizu.inspector._entries import AlteredEntryError, Entries, aligned

Array = npt.NDArray[Any]
T = TypeVar("T")
Parts = tuple[bytes | memoryview, ...]
"""What an entry holds, one after the other."""

SUFFIX = ".kizu"
SCHEMA = 5
MANIFEST = "manifest.json"
GRAPH = "backbone.onnx"
ARRAYS = "detector/"
CHECKS = "check/"
AREA = "area.png"
IDENTITY_DIGITS = 16

_EPOCH = (1980, 1, 1, 0, 0, 0)
_LARGEST_MANIFEST = 256 * 2**20
_UNREADABLE = (zipfile.BadZipFile, EOFError, ValueError, RuntimeError, OverflowError, struct.error)
"""What a damaged zip can make `zipfile` raise; NotImplementedError and RecursionError are RuntimeErrors."""

Known = Callable[[str], bytes | None]
"""A graph by its SHA-256; None where it is not in memory."""


def _unknown(_: str) -> bytes | None:
    return None


@dataclass(frozen=True)
class Content:
    """What a model file holds: the manifest, the backbone's graph, the detector's arrays by name, PNG files of check
    images, and that of the inspected ``area``.

    ``graph_id``: the graph's SHA-256. ``release`` gives back the memory of mapped arrays looked at so far. Arrays are
    not to be written to.
    """

    manifest: dict[str, Any]
    graph: bytes
    graph_id: str
    arrays: dict[str, Array]
    checks: tuple[bytes, ...]
    area: bytes | None
    release: Callable[[], None]


def write(
    path: Path,
    manifest: Mapping[str, Any],
    graph: bytes,
    arrays: Mapping[str, Array],
    checks: Sequence[bytes] = (),
    area: bytes | None = None,
) -> None:
    """Write a model file, wholly or not at all. Raises `OutputError`."""
    entries: dict[str, Parts] = {GRAPH: (graph,)}
    entries |= {f"{ARRAYS}{name}.npy": _npy(array) for name, array in arrays.items()}
    entries |= {f"{CHECKS}{number}.png": (data,) for number, data in enumerate(checks)}
    entries |= {} if area is None else {AREA: (area,)}
    document = {
        "schema": SCHEMA if any(name in manifest.get("config", ()) for name in LATER) else SCHEMA - 1,
        "kizu": __version__,
        **manifest,
        "entries": {name: _checksum(parts) for name, parts in entries.items()},
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    head = text.encode(errors="backslashreplace")  # a folder's name may be no valid Unicode; JSON has escapes for it

    _keep_others(path)

    def write_zip(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, parts in {MANIFEST: (head,), **entries}.items():
                _write_entry(archive, aligned(zipfile.ZipInfo(name, _EPOCH), file.tell()), parts)

    atomic_write(path, write_zip)


def read(path: Path, *, mapped: bool = False, known: Known = _unknown) -> Content:
    """Read and verify a model file. Raises `ModelFileError`: what is wrong with which file, and what to do.

    ``mapped``: leave arrays in the file, which must stay as it is (`kizu.inspector._entries`); those of models from
    before entries were aligned (docs/decisions/0024) are read into memory. ``known`` gives a graph by its SHA-256,
    where it is in memory already.
    """

    def read_archive(path: Path, file: BinaryIO, archive: zipfile.ZipFile) -> Content:
        manifest = _read_manifest(path, archive)
        _check_entries(path, archive, manifest["entries"])
        try:
            return _content(path, manifest, Entries(file, archive, manifest["entries"], mapped=mapped), known)
        except AlteredEntryError as error:
            reason = f"{error.name} was altered (its checksum differs)"
            raise ModelFileError(f"{path}: {reason}. Restore the file or fit again.") from None

    return _opened(path, read_archive)


def check_target(path: str | Path) -> None:
    """Make sure, before long work, that a model can be written at ``path``, as `kizu.files.check_writable` does.

    Raises `OutputError`, also where something else would be lost that is there.
    """
    check_writable(path)
    _keep_others(path)


def _keep_others(path: str | Path) -> None:
    target = Path(path)
    if target.suffix.lower() != SUFFIX and target.exists() and not _is_model(target):
        raise OutputError(
            f"{path}: is there, and is no kizu model: it would be lost. Give another name, such as "
            f"{target.with_suffix(SUFFIX)}."
        )


def _is_model(path: Path) -> bool:
    """Whether it is one, or was one before it was damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    except (OSError, *_UNREADABLE):
        return False


def identity(path: Path) -> str:
    """The id of a model: the first 16 hexadecimal digits of the SHA-256 of its manifest.

    The manifest holds the checksums of all else, so models of one id are the same to the last bit. Only the manifest
    is read. Raises `ModelFileError`.
    """
    return _opened(path, _identity)


def _identity(path: Path, file: BinaryIO, archive: zipfile.ZipFile) -> str:
    _read_manifest(path, archive)
    return hashlib.sha256(archive.read(MANIFEST)).hexdigest()[:IDENTITY_DIGITS]


def _opened(path: Path, use: Callable[[Path, BinaryIO, zipfile.ZipFile], T]) -> T:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for without an end
            raise ModelFileError(f"{path}: is not an ordinary file. Give the path of a .kizu file.")
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            _check_sizes(path, archive, file.seek(0, io.SEEK_END))
            return use(path, file, archive)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file. Check the path, or make one with `kizu fit`.") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path}: is a folder, not a model file. Give the path of a .kizu file.") from None
    except _UNREADABLE as error:
        raise _damaged(path, " ".join(str(error).split())) from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror or error}. Check disk and network.") from None


def _content(path: Path, manifest: dict[str, Any], entries: Entries, known: Known) -> Content:
    names, graph_id = manifest["entries"], manifest["entries"][GRAPH]
    graph = known(graph_id)
    if graph is None:
        graph = entries.data(GRAPH)
    else:
        entries.verify(GRAPH)
    checks = sorted((name for name in names if name.startswith(CHECKS)), key=lambda name: int(Path(name).stem))
    arrays = {Path(name).stem: _array(path, name, entries) for name in names if name.startswith(ARRAYS)}
    images = tuple(entries.data(name) for name in checks)
    area = entries.data(AREA) if AREA in names else None
    return Content(manifest, graph, graph_id, arrays, images, area, entries.release)


def _check_sizes(path: Path, archive: zipfile.ZipFile, size: int) -> None:
    """Entries as they are, uncompressed and within the file, before the first is read: no zip bomb."""
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise _damaged(path, "an entry is compressed")
        inside = entry.header_offset >= 0 and entry.header_offset + entry.compress_size <= size
        if not inside or entry.file_size != entry.compress_size:
            raise _damaged(path, "an entry does not fit into the file")


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    if MANIFEST not in archive.namelist() or archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
        raise ModelFileError(f"{path}: not a kizu model file (no usable {MANIFEST}). Give a file made by `kizu fit`.")
    try:
        manifest = json.loads(archive.read(MANIFEST))
        schema = manifest["schema"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path, f"{MANIFEST} is not readable") from None
    if type(schema) is not int or schema < 1:
        raise _damaged(path, f"{MANIFEST} has no schema number")
    if schema > SCHEMA:
        raise ModelFileError(
            f"{path}: written by a newer kizu (schema {schema}, this one reads up to {SCHEMA}). "
            "Update with `pip install -U kizu`."
        )
    if not isinstance(manifest.get("entries"), dict) or GRAPH not in manifest["entries"]:
        raise _damaged(path, f"{MANIFEST} names no entries")
    return manifest  # type: ignore[no-any-return]


def _check_entries(path: Path, archive: zipfile.ZipFile, expected: Mapping[str, str]) -> None:
    """Only names a model file may hold, each once: no ``../``, no surprise."""
    names = archive.namelist()
    for name in names:
        plain = name in (MANIFEST, GRAPH, AREA) or (name.startswith(ARRAYS) and name.endswith(".npy"))
        image = re.fullmatch(rf"{CHECKS}\d{{1,4}}\.png", name, re.ASCII)
        if not (plain or image) or ".." in name or "\\" in name or name.count("/") > 1:
            raise ModelFileError(f"{path}: unsafe entry {name!r}; not a file kizu wrote. Do not use it.")
    if len(names) != len(set(names)) or set(names) != {MANIFEST, *expected}:
        raise _damaged(path, "entries are missing, added or doubled")


def _damaged(path: Path, problem: str) -> ModelFileError:
    return ModelFileError(f"{path}: truncated or damaged ({problem}). Restore it from a copy or fit again.")


def _npy(array: Array) -> Parts:
    """What NumPy writes for an array: a header, and the memory it lies in, copied only where it has gaps."""
    if array.dtype.hasobject:
        raise ValueError("arrays of Python objects are not written")
    array, header = np.asarray(array, order="C"), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue(), array.reshape(-1).view(np.uint8).data


def _checksum(parts: Parts) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _write_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, parts: Parts) -> None:
    """As ``archive.writestr``, of bytes that lie in more than one place."""
    entry.file_size = sum(map(len, parts))
    with archive.open(entry, "w") as file:
        for part in parts:
            file.write(part)


def _array(path: Path, name: str, entries: Entries) -> Array:
    try:
        return entries.array(name)
    except (AlteredEntryError, OSError, zipfile.BadZipFile, EOFError):
        raise
    except Exception as error:  # a damaged header makes NumPy raise whatever its parsers do, SyntaxError among it
        raise _damaged(path, f"{name}: {' '.join(str(error).split())}") from None
