import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from kizu.backbones import Engine, OnnxRuntimeEngine, embedding_graph, open_engine
from kizu.backbones.efficientnet_lite import efficientnet_lite0
from kizu.backbones.engines import OpenVinoEngine
from kizu.errors import DataError, ModelFileError, ParameterError
from kizu.graphs import Graph, Output
from kizu.threads import side_by_side


@pytest.fixture(scope="module")
def model() -> bytes:
    return embedding_graph(efficientnet_lite0, ["blocks.2", "blocks.4"], 80)


ENGINES = ("onnxruntime", "openvino")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, model: bytes) -> Engine:
    return open_engine(model, engine=request.param, threads=2)


def kind(engine: Engine) -> str:
    return {OnnxRuntimeEngine: "onnxruntime", OpenVinoEngine: "openvino"}[type(engine)]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, 80, 80, 3), dtype=np.uint8)


def test_the_programs_streams_stay_its_own(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread prints while an engine is opened must not be lost."""
    seen: list[object] = []
    real = onnxruntime.InferenceSession

    def opened(*given: Any, **more: Any) -> Any:
        seen.append(sys.stdout)
        return real(*given, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    OnnxRuntimeEngine(model)
    assert seen == [sys.stdout]


@pytest.mark.parametrize("threads", [None, 2])
def test_one_of_several_threads_keeps_to_one_core(
    model: bytes, images: np.ndarray, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = onnxruntime.InferenceSession

    def opened(model: bytes, options: Any, **more: Any) -> Any:
        asked.append(options.intra_op_num_threads)
        return real(model, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    engine = OnnxRuntimeEngine(model, threads=threads)
    alone = [engine.embed(image[None]) for image in images]
    assert asked == [threads or 0]
    several = list(side_by_side(lambda image: engine.embed(image[None]), images, threads=2))
    assert asked == ([0, 1] if threads is None else [threads])  # opened once; who chose a number gets it
    np.testing.assert_array_equal(np.concatenate(several), np.concatenate(alone))


@pytest.mark.parametrize(
    ("version", "settings"),
    [
        ("1.18.1", {"allow_spinning": "0"}),
        ("1.25.1", {"allow_spinning": "0"}),
        ("1.26.0", {"allow_spinning": "1", "spin_duration_us": "10"}),
        ("2.0.0rc1", {"allow_spinning": "1", "spin_duration_us": "10"}),
    ],
)
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_idle_threads_never_stay_awake_for_long(
    model: bytes, version: str, settings: dict[str, str], threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default they would for tens of milliseconds, and what runs next would have half the cores."""
    asked: list[Any] = []
    real = onnxruntime.InferenceSession

    def opened(model: bytes, options: Any, **more: Any) -> Any:
        asked.append(options)
        return real(model, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    monkeypatch.setattr(onnxruntime, "__version__", version)
    OnnxRuntimeEngine(model, threads=threads)
    (options,) = asked
    for name, value in settings.items():
        assert options.get_session_config_entry(f"session.intra_op.{name}") == value
    if "spin_duration_us" not in settings:
        with pytest.raises(RuntimeError, match="does not have"):
            options.get_session_config_entry("session.intra_op.spin_duration_us")


def test_properties(engine: Engine) -> None:
    assert engine.image_size == 80
    assert engine.grid == (10, 10)
    assert engine.channels == 152


def test_the_default_provider(model: bytes) -> None:
    assert OnnxRuntimeEngine(model).providers == ("CPUExecutionProvider",)


def test_embed(engine: Engine, images: np.ndarray) -> None:
    found = engine.embed(images)
    assert found.shape == (4, 10, 10, 152)
    assert found.dtype == np.float32


def test_batch_invariance(engine: Engine, images: np.ndarray) -> None:
    together = engine.embed(images)
    for i, alone in enumerate(images):
        np.testing.assert_allclose(engine.embed(alone[None])[0], together[i], atol=1e-5, rtol=1e-6)


def test_deterministic(engine: Engine, model: bytes, images: np.ndarray) -> None:
    first = engine.embed(images)
    np.testing.assert_array_equal(engine.embed(images), first)
    again = open_engine(model, engine=kind(engine), threads=2)
    np.testing.assert_array_equal(again.embed(images), first)


def test_engines_agree(model: bytes, images: np.ndarray) -> None:
    one, other = (open_engine(model, engine=name).embed(images) for name in ENGINES)
    np.testing.assert_allclose(other, one, atol=1e-4 * np.abs(one).max())


def test_results_are_the_callers_own(engine: Engine, images: np.ndarray) -> None:
    first = engine.embed(images[:1])
    kept = first.copy()
    engine.embed(images[1:2])
    np.testing.assert_array_equal(first, kept)


def test_callers_in_several_threads(engine: Engine, images: np.ndarray) -> None:
    alone = [engine.embed(image[None]) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda number: engine.embed(images[number % 4][None]), range(40)))
    for number, found in enumerate(together):
        np.testing.assert_allclose(found, alone[number % 4], atol=1e-5, rtol=1e-6)


def test_views_are_welcome(engine: Engine, images: np.ndarray) -> None:
    flipped = images[:, :, ::-1]
    np.testing.assert_array_equal(engine.embed(flipped), engine.embed(flipped.copy()))


def test_no_images(engine: Engine, images: np.ndarray) -> None:
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
def test_wrong_images(engine: Engine, wrong: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"`images` must be an array \(B, 80, 80, 3\) of uint8; got "):
        engine.embed(wrong)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_damaged_model(model: bytes, name: str, keep: float) -> None:
    end = int(len(model) * keep) if 0 < keep < 1 else int(keep)
    with pytest.raises(ModelFileError, match=r"ONNX graph .* Fit the model again\."):
        open_engine(model[:end], engine=name)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("operator", [b"Average\xffool", b"AveragePoor"])
def test_a_damaged_model_prints_nothing(
    model: bytes, name: str, operator: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelFileError) as caught:
        open_engine(model.replace(b"AveragePool", operator), engine=name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_does_not_start(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: known)
    started = SimpleNamespace(get_providers=lambda: known[1:])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: started)
    with pytest.raises(ParameterError, match="'CUDAExecutionProvider' did not start here"):
        OnnxRuntimeEngine(model, providers=known)


@pytest.mark.parametrize("name", ENGINES)
def test_another_graph(name: str) -> None:
    with pytest.raises(ModelFileError, match="not a kizu backbone"):
        open_engine(efficientnet_lite0.build(["blocks.0"], 64), engine=name)
    graph = Graph()
    x = graph.images(64, mean=0, scale=1)
    graph.node("ReduceMean", [x.name], "embedding", keepdims=0)
    with pytest.raises(ModelFileError, match="not a kizu backbone"):
        open_engine(graph.serialised([Output("embedding", ("batch", 3))]), engine=name)


def test_unknown_provider(model: bytes) -> None:
    available = onnxruntime.get_available_providers()
    with pytest.raises(ParameterError, match="unknown execution provider 'GPU'") as caught:
        OnnxRuntimeEngine(model, providers=["GPU"])
    assert all(name in str(caught.value) for name in available)
    with pytest.raises(ParameterError, match="`providers` must be"):
        OnnxRuntimeEngine(model, providers=[])


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_threads_out_of_range(model: bytes, name: str, threads: int) -> None:
    with pytest.raises(ParameterError, match="`threads` must be"):
        open_engine(model, engine=name, threads=threads)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"engine": "onnx-runtime"}, r"unknown engine 'onnx-runtime'\. Did you mean 'onnxruntime'\?"),
        ({"precision": "bf16"}, r"unknown precision 'bf16'\. .*Known: float32, bfloat16, int8\."),
        ({"precision": "bfloat16"}, r"ONNX Runtime does not compute in bfloat16 .* Use --engine openvino"),
        ({"precision": "int8"}, r"not quantised.* Fit with --precision int8\."),
        ({"engine": "openvino", "precision": "int8"}, r"not quantised.* Fit with --precision int8\."),
        ({"engine": "openvino", "providers": ["CPUExecutionProvider"]}, r"use --engine onnxruntime\."),
    ],
)
def test_choices_that_cannot_be(model: bytes, choice: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        open_engine(model, **choice)


@pytest.mark.parametrize("name", ENGINES)
def test_engines_keep_quiet(name: str) -> None:
    code = (
        "from kizu.backbones import open_engine, embedding_graph, get\n"
        "import numpy as np\n"
        "m = embedding_graph(get('efficientnet_lite0'), ['blocks.2'], 64)\n"
        f"open_engine(m, engine='{name}').embed(np.zeros((1, 64, 64, 3), np.uint8))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", ENGINES)
def test_what_is_no_number_is_refused(name: str) -> None:
    """As of a network that divides by the length of its features, of a black image."""
    graph = Graph()
    images = graph.images(64, mean=0, scale=1)
    pooled = graph.node("AveragePool", [images.name], kernel_shape=[8, 8], strides=[8, 8])
    length = graph.node("ReduceL2", [pooled, graph.constant(np.array([1]))], keepdims=1)
    divided = graph.node("Div", [pooled, length])
    graph.node("Transpose", [divided], "embedding", perm=[0, 2, 3, 1])
    engine = open_engine(graph.serialised([Output("embedding", ("batch", 8, 8, 3))]), engine=name)
    image = np.full((1, 64, 64, 3), 7, np.uint8)
    assert engine.embed(image).max() == pytest.approx(1 / np.sqrt(3))
    image[0, :32] = 0
    with pytest.raises(DataError, match="makes NaN or infinite numbers of this image: it cannot be judged"):
        engine.embed(image)
