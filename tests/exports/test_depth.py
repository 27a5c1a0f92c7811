"""Exports of models with a window take the camera's samples, and round nothing on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

import kizu
from kizu import workflows
from workflows.test_depth import SETTINGS, save, texture


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("深さ")
    for number in range(12):
        save(folder / f"{number:02}.png", resized(texture(number), (111, 130)))
    return folder


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"resize": 80, "keep_aspect": True},
        {"roi": "20,10,60,70"},
        {"detector": {"name": "padim", "reduced_dims": 10}},
    ],
    ids=str,
)
@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_they_agree(folder: Path, tmp_path: Path, more: dict[str, Any], to: str) -> None:
    given = {**SETTINGS, "image_size": 64, **more}
    model = tmp_path / "m.kizu"
    kizu.fit(folder, window="auto", **given).save(model)
    out = tmp_path / {"onnx": "m.onnx", "openvino": "m.xml"}[to]
    found = workflows.export(model, out, to=to, colour="bgr")
    rounding = 1e-4 if "detector" in more else 1e-5  # covariances of a few images magnify it
    assert found.agreement.score < rounding
    assert found.agreement.map < 10 * rounding
    assert found.dtype == found.to_dict()["dtype"] == "float32"


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (192, 128), (40, 50), (40, 200), (97, 131), (300, 33)])
def test_of_images_that_shrink_and_grow(folder: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    model = tmp_path / "m.kizu"
    inspector = kizu.fit(folder, window="auto", **{**SETTINGS, "image_size": 64})
    inspector.save(model)
    workflows.export(model, tmp_path / "m.onnx")
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert tuple(json.loads(metadata["kizu.window"])) == inspector.config.window
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    image = np.dstack([resized(texture(300 + plane, defect=True), size) for plane in range(3)])
    inspector.detector.search_exactly()
    expected = inspector.inspect(image)
    score, found = session.run(["score", "anomaly_map"], {"image": image.astype(np.float32)})
    assert score == pytest.approx(expected.score, rel=1e-5)
    np.testing.assert_allclose(found, expected.anomaly_map, atol=1e-4 * np.ptp(expected.anomaly_map))
