"""Exports to OpenVINO, run by OpenVINO alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

import kizu
from exports.test_onnx import assert_same, inputs
from kizu.exports import format_of


def run(path: Path, image: np.ndarray) -> dict[str, Any]:
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({"image": image})
    return {name: found[output] for output in compiled.outputs for name in output.get_names()}


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_openvino_gives_what_kizu_gives(each_model: Path, tmp_path: Path, colour: str) -> None:
    made = kizu.export(each_model, tmp_path / "傷.xml", to="openvino", colour=colour)
    assert made.files == (tmp_path / "傷.xml", tmp_path / "傷.bin")
    assert sorted(tmp_path.iterdir()) == sorted(made.files)
    inspector = kizu.load(each_model, exact=True)
    for image in inputs():
        given = image if colour == "rgb" else np.ascontiguousarray(image[..., ::-1])
        assert_same(run(made.files[0], given), inspector.predict(image), inspector)


@pytest.mark.parametrize("budget", [0.0, 0.05])
def test_thresholds_that_are_equal(model: Path, tmp_path: Path, budget: float) -> None:
    """OpenVINO makes one output of constants that are equal; it has both names."""
    kizu.decide(model, false_alarms=0.2, review_budget=budget, out=tmp_path / "a.kizu")
    inspector = kizu.load(tmp_path / "a.kizu", exact=True)
    made = kizu.export(tmp_path / "a.kizu", tmp_path / "a.xml", to="openvino")
    for image in inputs()[:2]:
        assert_same(run(made.files[0], image), inspector.predict(image), inspector)


def test_what_the_files_say_of_themselves(model: Path, tmp_path: Path) -> None:
    made = kizu.export(model, tmp_path / "a.xml", to="openvino")
    read = openvino.Core().read_model(made.files[0])
    assert read.get_rt_info(["kizu", "version"]).value == kizu.__version__
    assert json.loads(read.get_rt_info(["kizu", "checked"]).value)["images"] == 6
    assert read.get_rt_info(["kizu", "search"]).value == "exact"


def test_weights_are_not_halved(model: Path, tmp_path: Path) -> None:
    """OpenVINO's own way is to store float16."""
    made = kizu.export(model, tmp_path / "a.xml", to="openvino")
    bank = kizu.load(model).detector.state()["bank"]
    assert made.files[1].stat().st_size > bank.nbytes + 4 * 1_000_000


def test_an_unknown_form() -> None:
    with pytest.raises(kizu.KizuError, match=r"unknown form of export 'openvin'\. Did you mean 'openvino'"):
        format_of("openvin")
