import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from capabilities import quantises
from kizu.backbones import Backbone, BackboneCard, Engine, Layer, embedding_graph, open_engine
from kizu.backbones.efficientnet_lite import efficientnet_lite0
from kizu.backbones.quantise import Quantised, error, strange
from kizu.errors import BackboneError, MissingExtraError, ParameterError
from kizu.graphs import Graph, Map
from workflows.tiles import tile

pytestmark = quantises

SIDE = 96
LAYERS = ["blocks.1", "blocks.2", "blocks.4"]


def tiles(first: int, count: int, scratched: bool = False) -> np.ndarray:
    return np.stack([tile(number, scratched) for number in range(first, first + count)])


@pytest.fixture(scope="module")
def plain() -> Engine:
    return open_engine(embedding_graph(efficientnet_lite0, LAYERS, SIDE))


@pytest.fixture(scope="module")
def graph() -> bytes:
    return embedding_graph(Quantised(efficientnet_lite0, tiles(0, 8)), LAYERS, SIDE)


@pytest.fixture(params=["onnxruntime", "openvino"])
def coarse(request: pytest.FixtureRequest, graph: bytes) -> Engine:
    return open_engine(graph, engine=request.param, precision="int8")


def test_every_convolution_is_quantised_and_nothing_of_the_head(graph: bytes) -> None:
    model = onnx.load_from_string(graph)
    maker = {name: node.op_type for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 30
    assert all(maker[name] == "DequantizeLinear" for node in convolutions for name in node.input[:2])
    pools = [node for node in model.graph.node if node.op_type == "AveragePool"]
    assert len(pools) == len(LAYERS)
    assert "DequantizeLinear" not in {maker[node.input[0]] for node in pools}
    assert "DequantizeLinear" not in {maker[node.input[0]] for node in model.graph.node if node.op_type == "Identity"}


def test_it_is_smaller(graph: bytes) -> None:
    assert len(graph) < 0.4 * len(embedding_graph(efficientnet_lite0, LAYERS, SIDE))


@pytest.mark.parametrize("scratched", [False, True])
def test_other_images_look_nearly_the_same(plain: Engine, coarse: Engine, scratched: bool) -> None:
    images = tiles(50, 8, scratched)
    found = error(coarse.embed(images), plain.embed(images))
    assert 0.01 < found < 0.2, found


def test_both_engines_compute_the_same(graph: bytes) -> None:
    """Borders too, where OpenVINO 2026.4 goes wrong by several times the spread if 8-bit maps are averaged."""
    one, other = (
        open_engine(graph, engine=name, precision="int8").embed(tiles(50, 4)) for name in ("onnxruntime", "openvino")
    )
    assert error(other, one) < 0.1
    border = np.ones(one.shape[1:3], bool)
    border[1:-1, 1:-1] = False
    assert error(other[:, border][:, None], one[:, border][:, None]) < 0.1


def test_defects_are_not_cut_off(plain: Engine, coarse: Engine) -> None:
    """On parts that are all alike, ranges of good images alone took a third off the distance of a scratch."""
    good, bad = tiles(0, 8), tiles(100, 6, scratched=True)

    def distances(engine: Engine) -> np.ndarray:
        bank = engine.embed(good)
        apart = [np.linalg.norm(bank - found, axis=-1).min(axis=0).max() for found in engine.embed(bad)]
        return np.array(apart)

    assert np.all(np.abs(distances(coarse) / distances(plain) - 1) < 0.1)


DIGEST = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from backbones.test_quantise import *
made = embedding_graph(Quantised(efficientnet_lite0, tiles(0, 8)), LAYERS, SIDE)
print(hashlib.sha256(made).hexdigest(), logging.getLogger().handlers)
"""


def test_the_same_images_give_the_same_bytes(graph: bytes) -> None:
    tests = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", DIGEST, tests]
    said = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "7"}
    )
    assert said.stdout.strip() == f"{hashlib.sha256(graph).hexdigest()} []"
    assert said.stderr == ""
    assert embedding_graph(Quantised(efficientnet_lite0, tiles(0, 8), seed=1), LAYERS, SIDE) != graph
    assert embedding_graph(Quantised(efficientnet_lite0, tiles(20, 8)), LAYERS, SIDE) != graph


def test_every_image_is_counted_and_nothing_printed(capfd: pytest.CaptureFixture[str]) -> None:
    counted: list[int] = []
    before = list(logging.getLogger().handlers)  # pytest's; without any, a process shows it: DIGEST
    Quantised(efficientnet_lite0, tiles(0, 3), advance=lambda steps=1: counted.append(steps)).build(
        ["blocks.0"], SIDE
    )
    assert counted == [1] * 6
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize("images", [np.zeros((0, SIDE, SIDE, 3), np.uint8), np.zeros((2, 64, 64, 3), np.uint8)])
def test_images_it_cannot_use(images: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"`images` must be an array \(B, 96, 96, 3\)"):
        Quantised(efficientnet_lite0, images).build(["blocks.0"], SIDE)


class Small:
    """A backbone of a few nodes, ``write`` being what they are."""

    def __init__(self, write: str) -> None:
        self.write = write
        self.card = BackboneCard(
            name="small",
            layers=(Layer("out", 3, 1),),
            default_layers=("out",),
            default_image_size=64,
            licence="",
            weights="",
            sha256="",
            preprocessing="",
            description="",
        )

    def build(self, layers: list[str], image_size: int) -> bytes:
        graph = Graph()
        return graph.layers(
            getattr(self, self.write)(graph, graph.images(image_size, mean=127, scale=1 / 128)), layers
        )

    def _conv(self, graph: Graph, x: Map) -> Map:
        rng = np.random.default_rng(0)
        weight = rng.normal(0, 0.4, (3, 3, 3, 3)).astype(np.float32)
        return graph.conv(x, weight, np.full(3, 0.7, np.float32))

    def nothing(self, graph: Graph, x: Map) -> Iterator[tuple[str, Map]]:
        yield "out", Map(graph.node("Sqrt", [graph.node("Abs", [x.name])]), 3, x.size)

    def convolution(self, graph: Graph, x: Map) -> Iterator[tuple[str, Map]]:
        yield "out", self._conv(graph, self._conv(graph, x))

    def activation(self, graph: Graph, x: Map) -> Iterator[tuple[str, Map]]:
        yield "out", graph.relu6(self._conv(graph, graph.relu6(self._conv(graph, x))))

    def pooled(self, graph: Graph, x: Map) -> Iterator[tuple[str, Map]]:
        """An average over windows inside the network."""
        y = self._conv(graph, x)
        attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}
        pooled = Map(graph.node("AveragePool", [y.name], **attributes), 3, x.size)
        yield "out", self._conv(graph, pooled)

    def residual(self, graph: Graph, x: Map) -> Iterator[tuple[str, Map]]:
        y = self._conv(graph, x)
        y = graph.add(self._conv(graph, y), y)
        yield "out", graph.add(self._conv(graph, y), y)


@pytest.mark.parametrize("write", ["convolution", "activation", "pooled", "residual"])
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_networks_that_end_in_other_ways(write: str, name: str) -> None:
    backbone: Backbone = Small(write)
    images = tiles(0, 4)
    plain = open_engine(embedding_graph(backbone, ["out"], SIDE)).embed(images)
    graph = embedding_graph(Quantised(backbone, images), ["out"], SIDE)
    found = open_engine(graph, engine=name, precision="int8").embed(images)
    assert error(found, plain) < 0.1


def test_a_network_with_nothing_to_quantise() -> None:
    with pytest.raises(BackboneError, match=r"small has no convolution .* Use --precision float32\."):
        Quantised(Small("nothing"), tiles(0, 2)).build(["out"], SIDE)


def test_an_onnxruntime_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.20.1")
    with pytest.raises(MissingExtraError, match=r"needs onnxruntime 1\.21 or later; this is 1\.20\.1\. Run: pip"):
        Quantised(efficientnet_lite0, tiles(0, 2)).build(["blocks.0"], SIDE)


def test_strange_images_are_copies_with_rectangles() -> None:
    images = tiles(0, 3)
    before = images.copy()
    found = strange(images, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    changed = (found != images).any(axis=-1).mean(axis=(1, 2))
    assert np.all((changed > 0.02) & (changed < 0.95)), changed
    np.testing.assert_array_equal(found, strange(images, np.random.default_rng(0)))


def test_error_is_a_share_of_the_spread() -> None:
    plain = np.random.default_rng(0).normal(5, 2, (2, 8, 8, 4)).astype(np.float32)
    assert error(plain, plain) == 0
    assert error(np.broadcast_to(plain.mean(axis=(0, 1, 2)), plain.shape), plain) == pytest.approx(1, abs=1e-3)
    assert error(np.zeros_like(plain) + 1, np.zeros_like(plain)) == 0
