"""PyTorch checkpoints without PyTorch, and without trusting them.

A checkpoint is a pickle, and a pickle may ask for any function to be run. The unpickler here knows
``collections.OrderedDict``, PyTorch's tensor record and its storage types, and refuses all else by name. Both
formats are read: the old one (torch < 1.6: five pickles one after the other, then the storages' bytes) and
the new one (a zip with ``data.pkl`` and one entry ``data/KEY`` a storage).

Formats: ``_legacy_load`` and ``_load`` in
https://github.com/pytorch/pytorch/blob/main/torch/serialization.py.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from kizu.errors import BackboneError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_OPERATIONS = frozenset(
    "PROTO FRAME STOP MARK GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID NONE NEWTRUE NEWFALSE "  # noqa: SIM905
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE "
    "EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET".split()
)


class _StorageType(NamedTuple):
    """Stands for ``torch.FloatStorage`` and its like; not callable, so a pickle can only name it."""

    dtype: np.dtype[Any]


class _Storage(NamedTuple):
    """``numel`` values of ``dtype``; ``key`` says where their bytes are."""

    key: str
    dtype: np.dtype[Any]
    numel: int


class _Tensor(NamedTuple):
    """A view on a storage; offset and strides count values, not bytes. A tuple: no pickle can alter it."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _RebuildTensor:
    """Stands for ``torch._utils._rebuild_tensor_v2``; without a dictionary, so a pickle cannot alter it."""

    __slots__ = ()

    def __call__(self, storage: object, offset: object, size: object, stride: object, *_: object) -> _Tensor:
        if not isinstance(storage, _Storage) or not isinstance(offset, int) or offset < 0:
            raise ValueError("a tensor without a storage or with a wrong offset")
        if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
            raise ValueError("a tensor whose sizes and strides do not belong together")
        if not _counts(size) or not _counts(stride):
            raise ValueError("a tensor with a negative or non-integer size or stride")
        return _Tensor(storage, offset, size, stride)


class _RebuildParameter:
    """Stands for ``torch._utils._rebuild_parameter``, which marks a tensor as one to train."""

    __slots__ = ()

    def __call__(self, tensor: object, *_: object) -> _Tensor:
        if not isinstance(tensor, _Tensor):
            raise ValueError("a parameter without a tensor")
        return tensor


class _Unpickler(pickle.Unpickler):
    """Builds tensors in dictionaries and nothing else."""

    def __init__(self, file: io.BytesIO, name: str) -> None:
        super().__init__(file, encoding="utf-8")
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        return _meant(module, name, self._name)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _, numel, *view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType) or not _counts((numel,)):
            raise ValueError("an unknown kind of storage")
        if not isinstance(key, str) or any(part is not None for part in view):
            raise ValueError("a storage that is a view of another")
        return _Storage(key, storage_type.dtype, numel)


def _meant(module: str, name: str, file: str) -> Any:
    """What stands here for a global of a pickle. Raises `BackboneError`: most are refused, by name."""
    if (module, name) == ("collections", "OrderedDict"):
        return OrderedDict
    if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
        return _RebuildTensor()
    if (module, name) == ("torch._utils", "_rebuild_parameter"):
        return _RebuildParameter()
    if module == "torch" and name in _DTYPES:
        return _StorageType(np.dtype(_DTYPES[name]))
    raise BackboneError(
        f"{file}: refused: the checkpoint wants to run '{module}.{name}'; kizu reads tensors and "
        "nothing else. Use a checkpoint that holds plain tensors (saved with torch.save(model.state_dict(), path)), "
        "from a source you trust."
    )


def load(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The tensors of a checkpoint, by key, as arrays of their own in C order.

    They are all there is in it, or all there is in its one entry ``state_dict``.
    ``name`` (a path) is used in messages only.

    Raises:
        BackboneError: the checkpoint is not one, is truncated or inconsistent, or holds more than tensors.
    """
    try:
        read = _read_zip if data[:4] == b"PK\x03\x04" else _read_legacy
        tensors, bytes_of = read(data, name)
        return {key: _array(tensor, bytes_of(tensor.storage)) for key, tensor in tensors.items()}
    except BackboneError:
        raise
    except Exception as error:  # an altered pickle can fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise _damaged(name, reason) from error


_Read = tuple[dict[str, _Tensor], Callable[[_Storage], memoryview]]


def _read_legacy(data: bytes, name: str) -> _Read:
    file = io.BytesIO(data)
    magic, protocol, system = (_unpickle(file, name) for _ in range(3))
    if magic != MAGIC or protocol != PROTOCOL:
        raise ValueError("not a PyTorch checkpoint")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("written on a big-endian machine")
    tensors = _only_tensors(_unpickle(file, name), name)
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    spans: dict[str, tuple[int, int]] = {}
    for key in _unpickle(file, name):
        spans[key] = _legacy_span(file, storages[key], len(data))
    view = memoryview(data)
    return tensors, lambda storage: view[slice(*spans[storage.key])]


def _legacy_span(file: io.BytesIO, storage: _Storage, end: int) -> tuple[int, int]:
    """Where a storage's bytes lie: after an eight-byte count of its values."""
    numel = int.from_bytes(file.read(8), "little", signed=True)
    start = file.tell()
    stop = start + numel * storage.dtype.itemsize
    if numel != storage.numel or stop > end:
        raise ValueError(f"storage {storage.key} is truncated or of another size")
    file.seek(stop)
    return start, stop


def _read_zip(data: bytes, name: str) -> _Read:
    archive = zipfile.ZipFile(io.BytesIO(data))
    entries = {info.filename: info for info in archive.infolist()}
    root = next((entry for entry in entries if entry.count("/") == 1 and entry.endswith("/data.pkl")), None)
    if root is None or any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
        raise ValueError("a zip, but not a PyTorch checkpoint")
    prefix = root.removesuffix("data.pkl")
    if prefix + "byteorder" in entries and archive.read(prefix + "byteorder") != b"little":
        raise ValueError("written on a big-endian machine")
    tensors = _only_tensors(_unpickle(io.BytesIO(archive.read(root)), name), name)
    return tensors, lambda storage: memoryview(archive.read(f"{prefix}data/{storage.key}"))


def _unpickle(file: io.BytesIO, name: str) -> Any:
    start = file.tell()
    _check_operations(file, name)
    file.seek(start)
    return _Unpickler(file, name).load()


def _check_operations(file: io.BytesIO, name: str) -> None:
    """Refuse what no checkpoint needs, and memo numbers for which the unpickler would take gigabytes.

    Globals are looked at here already: of a whole model, the name of its class says more than an operation's.
    """
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if operation.name == "GLOBAL":
            module, _, attribute = str(argument).partition(" ")
            _meant(module, attribute, name)
        if operation.name not in _OPERATIONS:
            raise ValueError(f"pickle operation {operation.name}")
        if operation.name == "LONG_BINPUT" and int(argument or 0) > count:
            raise ValueError(f"memo number {argument}")


def _only_tensors(content: object, name: str) -> dict[str, _Tensor]:
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__} instead of named tensors")
    items = dict.items(content)  # the class's own: a pickle may have put an `items` on the object
    if [key for key, _ in items] == ["state_dict"] and isinstance(inner := dict(items)["state_dict"], dict):
        items = dict.items(inner)
    for key, value in items:
        if not isinstance(key, str) or not isinstance(value, _Tensor):
            _refuse_value(key, value, name)
    return dict(items)


def _refuse_value(key: object, value: object, name: str) -> NoReturn:
    raise BackboneError(
        f"{name}: refused: {key!r} holds a {type(value).__name__}, not a tensor. Save the weights alone, "
        "with torch.save(model.state_dict(), path)."
    )


def _array(tensor: _Tensor, content: memoryview) -> NDArray[Any]:
    storage, step = tensor.storage, tensor.storage.dtype.itemsize
    if len(content) != storage.numel * step:
        raise ValueError(f"storage {storage.key} is truncated or of another size")
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.size, tensor.stride, strict=True))
    count = prod(tensor.size)
    if count > storage.numel or (count and last >= storage.numel):
        raise ValueError(f"a tensor of size {tensor.size} reaches outside its storage of {storage.numel} values")
    if not count:
        return np.empty(tensor.size, storage.dtype)
    strides = tuple(s * step for s in tensor.stride)
    view = np.ndarray(tensor.size, storage.dtype, content, tensor.offset * step, strides)
    return np.array(view, order="C")


def _counts(values: tuple[object, ...]) -> bool:
    """True where each value is a whole number and none is negative."""
    return all(type(value) is int and value >= 0 for value in values)


def _damaged(name: str, problem: str) -> BackboneError:
    return BackboneError(
        f"{name}: not a readable PyTorch checkpoint, or a damaged one ({problem}). Download or install it again."
    )
