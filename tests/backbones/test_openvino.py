"""What is OpenVINO's alone; what every engine promises is in test_engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest

from capabilities import CAPABLE
from kizu.backbones import embedding_graph, open_engine
from kizu.backbones.efficientnet_lite import efficientnet_lite0
from kizu.backbones.engines import OpenVinoEngine
from kizu.backbones.engines import openvino as module
from kizu.errors import ParameterError


@pytest.fixture(scope="module")
def model() -> bytes:
    return embedding_graph(efficientnet_lite0, ["blocks.2", "blocks.4"], 80)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, 80, 80, 3), dtype=np.uint8)


def test_float32_is_float32_where_the_processor_has_bfloat16(model: bytes) -> None:
    """OpenVINO's own choice would be bfloat16 there."""
    assert OpenVinoEngine(model).precision == "f32"


@pytest.mark.skipif(not CAPABLE, reason="this processor does not compute in bfloat16")
def test_bfloat16_is_coarse_and_close(model: bytes, images: np.ndarray) -> None:
    engine = OpenVinoEngine(model, precision="bfloat16")
    assert engine.precision == "bf16"
    plain, coarse = OpenVinoEngine(model).embed(images), engine.embed(images)
    error = np.sqrt(np.mean((coarse - plain) ** 2)) / plain.std()
    assert 1e-4 < error < 0.1, error
    np.testing.assert_array_equal(engine.embed(images), coarse)


@pytest.mark.skipif(CAPABLE, reason="this processor computes in bfloat16")
def test_bfloat16_is_refused(model: bytes) -> None:
    with pytest.raises(ParameterError, match="does not compute in bfloat16"):
        OpenVinoEngine(model, precision="bfloat16")


def test_bfloat16_on_a_processor_without_it(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "capabilities", lambda core: ["FP32", "INT8"])
    with pytest.raises(ParameterError, match=r"does not compute in bfloat16\. Use --precision float32"):
        open_engine(model, engine="openvino", precision="bfloat16")
    assert open_engine(model, engine="openvino").channels == 152


def test_capabilities_are_those_of_the_processor() -> None:
    assert {"FP32", "INT8"} <= set(module.capabilities(openvino.Core()))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_as_asked_for(model: bytes, threads: int) -> None:
    engine = OpenVinoEngine(model, threads=threads)
    assert engine._compiled.get_property("INFERENCE_NUM_THREADS") == threads


HOME = """
import json, sys
from pathlib import Path
from kizu.backbones import embedding_graph, get, open_engine
engine = open_engine(embedding_graph(get("efficientnet_lite0"), ["blocks.2"], 64), engine="openvino")
import openvino
left = sorted(str(path) for path in Path(sys.argv[1]).rglob("*"))
print(json.dumps([left, "openvino_telemetry" in sys.modules, hasattr(openvino, "convert_model")]))
import openvino_telemetry
"""


def test_nobody_is_told(tmp_path: Path) -> None:
    """Importing OpenVINO leaves an identity in the home folder and sends an event, unless that is kept from it."""
    environment = {**os.environ, "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    environment.pop("CI", None)  # where it is set, OpenVINO keeps quiet itself
    command = [sys.executable, "-c", HOME, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(said.stdout) == [[], False, True]
    assert said.stderr == ""


MISSING = """
import sys
sys.modules["openvino"] = None
from kizu.backbones import embedding_graph, get, open_engine
from kizu.errors import MissingExtraError
graph = embedding_graph(get("efficientnet_lite0"), ["blocks.2"], 64)
for precision in ("float32", "bfloat16"):
    try:
        open_engine(graph, engine="openvino", precision=precision)
    except MissingExtraError as error:
        print(error)
"""


def test_without_the_package() -> None:
    said = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, text=True, check=True)
    install = 'OpenVINO is not installed. Run: pip install "kizu[openvino]"'
    assert said.stdout == f"{install}, or use --engine onnxruntime: it computes the same\n{install}\n"
