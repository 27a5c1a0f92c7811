"""The safetensors reader: reads what the format says, refuses all else, crashes on nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import resnets
from kizu.backbones.weights import _safetensors, _state_dict
from kizu.errors import BackboneError

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b.half": np.array([0.5, -2], np.float16),
    "c": np.array(7, np.int64),
    "empty": np.empty((0, 3), np.float32),
    "d": np.array([True, False]),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return resnets.write_safetensors(tmp_path_factory.mktemp("net") / "net", TENSORS).read_bytes()


def with_header(tmp_path: Path, **header: Any) -> bytes:
    return resnets.write_safetensors(tmp_path / "net", TENSORS, **header).read_bytes()


def test_reads_what_is_written(data: bytes) -> None:
    assert _safetensors.is_one(data)
    found = _state_dict.load(data, "net")
    assert list(found) == list(TENSORS)
    for key, value in found.items():
        np.testing.assert_array_equal(value, TENSORS[key], strict=True)
        assert value.flags.writeable


def test_bfloat16(tmp_path: Path) -> None:
    halves = TENSORS["a"].view(np.uint16).ravel()[1::2]  # the upper halves of little-endian numbers
    path = resnets.write_safetensors(tmp_path / "net", {"a": halves.view(np.float16)})
    data = path.read_bytes().replace(b'"F16"', b'"BF16"').replace(b": {", b":{", 1)
    np.testing.assert_array_equal(_safetensors.load(data, "net")["a"], TENSORS["a"].ravel(), strict=True)


def test_a_checkpoint_is_not_one() -> None:
    for name in ("checkpoint_zip.pth", "checkpoint_legacy.pth"):
        assert not _safetensors.is_one((Path(__file__).parents[2] / "golden" / name).read_bytes())


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, "another size than its shape"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}, "another size than its shape"),
        ({"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}, "lies outside the file"),
        ({"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}, "lies outside the file"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}, "lies outside the file"),
        ({"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}, "lies outside the file"),
        ({"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}, "KeyError: 'F8_E4M3'"),
        ({"dtype": "F32", "shape": [1]}, "KeyError: 'data_offsets'"),
        ({"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}, "TypeError"),
        ("text", "TypeError"),
    ],
)
def test_a_header_that_lies(tmp_path: Path, said: Any, problem: str) -> None:
    with pytest.raises(BackboneError, match=rf"net\.st: a damaged safetensors file, .*{problem}.*Download it again"):
        _safetensors.load(with_header(tmp_path, bad=said), "net.st")


@settings(max_examples=100, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated(data: bytes, share: float) -> None:
    with pytest.raises(BackboneError, match="damaged"):
        _state_dict.load(data[: int(share * len(data))], "net")


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_an_altered_byte_gives_arrays_or_our_error(data: bytes, position: int, value: int) -> None:
    altered = bytearray(data)
    altered[position % len(data)] = value
    try:
        found = _state_dict.load(bytes(altered), "net")
    except BackboneError:
        return
    assert all(isinstance(array, np.ndarray) for array in found.values())
