import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from kizu.backbones import OnnxRuntimeEngine, embedding_graph
from kizu.backbones.efficientnet_lite import efficientnet_lite0
from kizu.errors import ModelFileError, ParameterError
from kizu.graphs import Graph, Output


@pytest.fixture(scope="module")
def model() -> bytes:
    return embedding_graph(efficientnet_lite0, ["blocks.2", "blocks.4"], 80)


@pytest.fixture(scope="module")
def engine(model: bytes) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(model, threads=2)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, 80, 80, 3), dtype=np.uint8)


def test_properties(engine: OnnxRuntimeEngine) -> None:
    assert engine.image_size == 80
    assert engine.grid == (10, 10)
    assert engine.channels == 152
    assert engine.providers == ("CPUExecutionProvider",)


def test_embed(engine: OnnxRuntimeEngine, images: np.ndarray) -> None:
    found = engine.embed(images)
    assert found.shape == (4, 10, 10, 152)
    assert found.dtype == np.float32


def test_batch_invariance(engine: OnnxRuntimeEngine, images: np.ndarray) -> None:
    together = engine.embed(images)
    for i, alone in enumerate(images):
        np.testing.assert_allclose(engine.embed(alone[None])[0], together[i], atol=1e-5, rtol=1e-6)


def test_deterministic(engine: OnnxRuntimeEngine, model: bytes, images: np.ndarray) -> None:
    first = engine.embed(images)
    np.testing.assert_array_equal(engine.embed(images), first)
    np.testing.assert_array_equal(OnnxRuntimeEngine(model, threads=2).embed(images), first)


def test_views_are_welcome(engine: OnnxRuntimeEngine, images: np.ndarray) -> None:
    flipped = images[:, :, ::-1]
    np.testing.assert_array_equal(engine.embed(flipped), engine.embed(flipped.copy()))


def test_no_images(engine: OnnxRuntimeEngine, images: np.ndarray) -> None:
    assert engine.embed(images[:0]).shape == (0, 10, 10, 152)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((80, 80, 3), np.uint8),
        np.zeros((1, 64, 80, 3), np.uint8),
        np.zeros((1, 3, 80, 80), np.uint8),
        np.zeros((1, 80, 80, 4), np.uint8),
        np.zeros((1, 80, 80, 3), np.float32),
        [[0]],
    ],
)
def test_wrong_images(engine: OnnxRuntimeEngine, wrong: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"`images` must be an array \(B, 80, 80, 3\) of uint8; got "):
        engine.embed(wrong)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_damaged_model(model: bytes, keep: float) -> None:
    end = int(len(model) * keep) if 0 < keep < 1 else int(keep)
    with pytest.raises(ModelFileError, match=r"ONNX graph .* Fit the model again\."):
        OnnxRuntimeEngine(model[:end])


def test_a_damaged_model_prints_nothing(model: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelFileError):
        OnnxRuntimeEngine(model.replace(b"AveragePool", b"Average\xffool"))
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_does_not_start(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: known)
    started = SimpleNamespace(get_providers=lambda: known[1:])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: started)
    with pytest.raises(ParameterError, match="'CUDAExecutionProvider' did not start here"):
        OnnxRuntimeEngine(model, providers=known)


def test_another_graph() -> None:
    with pytest.raises(ModelFileError, match="not a kizu backbone"):
        OnnxRuntimeEngine(efficientnet_lite0.build(["blocks.0"], 64))
    graph = Graph()
    x = graph.images(64, mean=0, scale=1)
    graph.node("ReduceMean", [x.name], "embedding", keepdims=0)
    with pytest.raises(ModelFileError):
        OnnxRuntimeEngine(graph.serialised([Output("embedding", ("batch", 3))]))


def test_unknown_provider(model: bytes) -> None:
    available = onnxruntime.get_available_providers()
    with pytest.raises(ParameterError, match="unknown execution provider 'GPU'") as caught:
        OnnxRuntimeEngine(model, providers=["GPU"])
    assert all(name in str(caught.value) for name in available)
    with pytest.raises(ParameterError, match="`providers` must be"):
        OnnxRuntimeEngine(model, providers=[])


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_threads_out_of_range(model: bytes, threads: int) -> None:
    with pytest.raises(ParameterError, match="`threads` must be"):
        OnnxRuntimeEngine(model, threads=threads)


def test_onnx_runtime_keeps_quiet() -> None:
    code = (
        "from kizu.backbones import OnnxRuntimeEngine, embedding_graph, get\n"
        "import numpy as np\n"
        "m = embedding_graph(get('efficientnet_lite0'), ['blocks.2'], 64)\n"
        "OnnxRuntimeEngine(m).embed(np.zeros((1, 64, 64, 3), np.uint8))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
