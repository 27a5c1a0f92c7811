"""The preprocessing that an export carries against the one that kizu has."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from kizu.exports._resize import preprocessed
from kizu.expressions import Expression
from kizu.graphs import Graph, Output
from kizu.images import Preprocessing, resize

WHOLE, CUT = Preprocessing(32), Preprocessing(32, resize=40)
ASPECT, ASPECT_CUT = Preprocessing(32, keep_aspect=True), Preprocessing(32, resize=37, keep_aspect=True)
KINDS = [WHOLE, CUT, ASPECT, ASPECT_CUT]


@cache
def session(preprocessing: Preprocessing) -> Any:
    graph = Graph()
    name = graph.input("image", TensorProto.UINT8, ["height", "width", 3])
    preprocessed(Expression(graph, name, np.dtype(np.uint8)), preprocessing).named("seen")
    side = preprocessing.image_size
    model = graph.serialised([Output("seen", (1, side, side, 3), TensorProto.UINT8)])
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def differences(preprocessing: Preprocessing, image: np.ndarray) -> np.ndarray:
    """In grey levels, at every pixel and channel."""
    (seen,) = session(preprocessing).run(None, {"image": image})
    expected = preprocessing.apply(image)
    assert seen.dtype == np.uint8
    assert seen.shape == (1, *expected.shape)
    return np.abs(seen[0].astype(int) - expected)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(KINDS), st.integers(8, 200), st.integers(8, 200), st.integers(0, 9))
def test_any_size(preprocessing: Preprocessing, height: int, width: int, seed: int) -> None:
    """At most one grey level off, at a few places, on processors whose OpenCV adds up in another way than x86's."""
    found = differences(preprocessing, noise(height, width, seed))
    assert found.max() <= 1
    assert (found > 0).mean() <= 1e-3


@settings(deadline=None, max_examples=60)
@given(st.integers(8, 32), st.integers(8, 32), st.integers(0, 9))
def test_growing_is_exact(height: int, width: int, seed: int) -> None:
    for preprocessing in (WHOLE, CUT):
        assert differences(preprocessing, noise(height, width, seed)).max() == 0


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 7])
def test_shrinking_by_whole_numbers_is_exact(rows: int, columns: int) -> None:
    """Halves among them, which are rounded up at 2 × 2 and to even elsewhere."""
    assert differences(WHOLE, noise(32 * rows, 32 * columns)).max() == 0
    if rows == columns:
        assert differences(ASPECT, noise(32 * rows, 64 * columns)).max() == 0


@pytest.mark.parametrize("size", [(64, 80), (80, 64), (64, 40), (128, 80), (192, 80), (240, 320), (256, 135)])
def test_halves_are_decided_as_opencv_decides_them(size: tuple[int, int]) -> None:
    """Up to a tenth of all means lie half-way between two grey levels here: the last bit of a sum decides."""
    exact = resize(noise(*size).astype(np.float64), (32, 32)) % 1
    if size not in ((240, 320), (256, 135)):
        assert (np.abs(exact - 0.5) < 1e-4).mean() > 0.01
    assert differences(WHOLE, noise(*size)).max() == 0


@pytest.mark.parametrize(
    "size", [(32, 8), (8, 32), (31, 33), (8, 300), (300, 8), (64, 31), (480, 640), (1080, 1920), (96, 20_000)]
)
@pytest.mark.parametrize("preprocessing", KINDS, ids=str)
def test_shapes_that_lines_have(preprocessing: Preprocessing, size: tuple[int, int]) -> None:
    found = differences(preprocessing, noise(*size))
    assert found.max() <= 1
    assert (found > 0).mean() <= 1e-3


def test_extremes_stay_extremes() -> None:
    for level in (0, 255):
        for size in ((8, 8), (33, 77), (500, 300)):
            image = np.full((*size, 3), level, np.uint8)
            assert differences(WHOLE, image).max() == 0


def test_channels_stay_apart() -> None:
    image = np.zeros((45, 70, 3), np.uint8)
    image[..., 1] = noise(45, 70)[..., 1]
    (seen,) = session(WHOLE).run(None, {"image": image})
    assert seen[..., [0, 2]].max() == 0
    assert seen[..., 1].max() > 0
