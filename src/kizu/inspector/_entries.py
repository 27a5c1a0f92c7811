"""Entries of a model file, verified as they are read: into memory, or left in the file and mapped.

**Mapped** arrays are read by the system page by page as they are looked at, shared between processes, and given back
when memory is short. The price is that the file must stay as it is: who writes *into* it (``cp`` over it, say) ends
every process that has it mapped, with no error Python could raise (SIGBUS). kizu itself never does: it writes a new
file and renames it, and what is mapped stays the old one. Windows refuses to replace a file that is mapped. So a
program that serves many models asks for mapping; by default arrays are read into memory.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ALIGNMENT = 64
"""Bytes that entries start at a multiple of: NumPy's own for arrays in files, so that they can be used in place."""

_LOCAL_HEADER = struct.Struct("<26xHH")
_PADDING = struct.Struct("<HH")
_PADDING_ID = 0xD935
"""Extra field that Android's zipalign pads with; readers skip what they do not know."""

_CHUNK = 2**20


class AlteredEntryError(Exception):
    """The checksum of entry ``name`` differs."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Entries:
    """The entries of an open ``archive`` in ``file``, with the SHA-256 ``expected`` of each."""

    def __init__(
        self, file: BinaryIO, archive: zipfile.ZipFile, expected: Mapping[str, str], *, mapped: bool = False
    ) -> None:
        self._file, self._archive, self._expected = file, archive, expected
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped else None

    def data(self, name: str) -> bytes:
        """All bytes of an entry. Raises `AlteredEntryError`, and what `zipfile` raises."""
        data = self._archive.read(name)
        if hashlib.sha256(data).hexdigest() != self._expected[name]:
            raise AlteredEntryError(name)
        return data

    def verify(self, name: str) -> None:
        """As `data`, keeping nothing."""
        digest = hashlib.sha256()
        with self._archive.open(name) as entry:
            while chunk := entry.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != self._expected[name]:
            raise AlteredEntryError(name)

    def array(self, name: str) -> Array:
        """The array in an ``.npy`` entry, not to be written to; as `data`, and whatever a damaged header makes NumPy
        raise.
        """
        if self._map is None:
            data = self.data(name)
            return array_in(data, 0, len(data))
        self.verify(name)
        entry = self._archive.getinfo(name)
        start = _start(self._file, entry)
        if start + entry.file_size > len(self._map) or len(self._map) != os.fstat(self._file.fileno()).st_size:
            raise EOFError("the file became shorter while it was read")
        return array_in(self._map, start, entry.file_size)

    def release(self) -> None:
        """Give back the memory of what has been looked at so far; it is read again where it is wanted."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def array_in(data: bytes | mmap.mmap, start: int, size: int) -> Array:
    """The array that ``size`` bytes of ``data`` from ``start`` hold as an ``.npy`` file: nothing copied where its
    layout and its place allow.
    """
    head = io.BytesIO(data[start : start + min(size, 2**16)])
    version = np.lib.format.read_magic(head)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is not None:
        shape, fortran, dtype = read(head)
        count = int(np.prod(shape, dtype=np.int64))
        place = start + head.tell()
        plain = not dtype.hasobject and not fortran and count > 0 and head.tell() + count * dtype.itemsize <= size
        if plain and place % max(dtype.alignment, 1) == 0:
            array: Array = np.frombuffer(data, dtype, count, place).reshape(shape)
            if array.flags.aligned:
                return array
    whole: Array = np.lib.format.read_array(io.BytesIO(data[start : start + size]), allow_pickle=False)
    return whole


def aligned(entry: zipfile.ZipInfo, at: int) -> zipfile.ZipInfo:
    """``entry`` padded so that what it holds starts at a multiple of `ALIGNMENT`, written at position ``at``."""
    end = at + _LOCAL_HEADER.size + len(entry.filename.encode()) + _PADDING.size
    padding = -end % ALIGNMENT
    entry.extra = _PADDING.pack(_PADDING_ID, padding) + bytes(padding)
    return entry


def _start(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where in the file an entry's bytes start, by the header before them."""
    file.seek(entry.header_offset)
    name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    start: int = entry.header_offset + _LOCAL_HEADER.size + name + extra
    return start
