"""The safetensors format: the length of a header, a JSON header, and the tensors' bytes. It can hold no code.

Format: https://huggingface.co/docs/safetensors/index#format.
"""

from __future__ import annotations

import json
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kizu.errors import BackboneError

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def is_one(data: bytes) -> bool:
    """Whether ``data`` begins as the format does. PyTorch's own formats do not."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def load(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The tensors by key, as arrays of their own in C order. ``name`` (a path) is used in messages only.

    Raises:
        BackboneError: the file is truncated, inconsistent, or holds a type kizu does not read.
    """
    try:
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        content = memoryview(data)[start:]
        return {key: _array(key, said, content) for key, said in header.items() if key != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BackboneError(
            f"{name}: a damaged safetensors file, or of a kind kizu does not read ({reason}). Download it again."
        ) from error


def _array(key: str, said: dict[str, Any], content: memoryview) -> NDArray[Any]:
    dtype, (begin, end) = np.dtype(_DTYPES[said["dtype"]]), said["data_offsets"]
    shape = tuple(said["shape"])
    if any(type(n) is not int or n < 0 for n in (*shape, begin, end)) or end > len(content):
        raise ValueError(f"{key} lies outside the file")
    if end - begin != prod(shape) * dtype.itemsize:
        raise ValueError(f"{key} has another size than its shape")
    values = np.frombuffer(content[begin:end], dtype).reshape(shape)
    if said["dtype"] == "BF16":
        return (values.astype("<u4") << 16).view("<f4")
    return values.copy()
