"""Weights for ResNets that are the same everywhere and cost no download, and files that hold weights."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

PERIOD = 65_521
"""Numbers drawn for a parameter, repeated to fill it; a prime, so that no two channels of a kernel are alike."""


def random_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Float32 parameters of these shapes from their names alone, with lively batch-norm statistics.

    Drawn with NumPy's frozen generator, whose numbers never change between versions.
    """
    return {key: _values(key, shape) for key, shape in shapes.items()}


def _values(key: str, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    drawn = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(min(size, PERIOD))
    if len(shape) == 4:
        values = np.resize(drawn, size) * np.sqrt(2 / np.prod(shape[1:]))
    elif key.endswith("running_var"):
        values = np.exp(0.3 * drawn)
    elif key.endswith(".weight"):
        values = (0.3 if ends_a_block(key) else 1.0) * (1 + 0.1 * drawn)
    else:
        values = 0.1 * drawn
    return values.reshape(shape).astype(np.float32)


def ends_a_block(key: str) -> bool:
    """Whether it may be the last normalisation of a block: kept small, or deep networks run away."""
    return key.startswith("layer") and (".bn2." in key or ".bn3." in key)


def images(size: int, batch: int = 1) -> np.ndarray:
    """``(batch, size, size, 3)`` uint8, the same everywhere."""
    rng = np.random.RandomState(size)
    return rng.randint(0, 256, (batch, size, size, 3)).astype(np.uint8)


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray], **header: Any) -> Path:
    """A safetensors file, by its specification; ``header`` puts other words into the header."""
    names = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8", "bool": "BOOL"}
    said: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for key, value in tensors.items():
        said[key] = {
            "dtype": names[str(value.dtype)],
            "shape": list(value.shape),
            "data_offsets": [offset, offset + value.nbytes],
        }
        offset += value.nbytes
    head = json.dumps({**said, **header}).encode()
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for value in tensors.values():
            file.write(np.ascontiguousarray(value).tobytes())
    return path
