"""Any ONNX file as a backbone: held against ONNX Runtime running the file itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import kizu
from backbones import networks
from backbones.networks import MEAN, STD, convolutions, saved, transformer
from kizu.backbones import embedding_graph, get, open_engine
from kizu.backbones.foreign import _onnx_network, _rebuilding
from kizu.errors import BackboneError, ParameterError
from workflows.tiles import SMALL

GIVEN = {"mean": MEAN, "std": STD}


def pictures(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def built(path: Path, layers: list[str], images: np.ndarray) -> list[np.ndarray]:
    """The maps that the backbone's graph gives."""
    model = get(f"onnx:{path}", **GIVEN).build(layers, images.shape[1])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_outputs()] == layers
    maps = session.run(layers, {"images": images})
    for value, found in zip(session.get_outputs(), maps, strict=True):
        assert list(found.shape[1:]) == value.shape[1:]
        assert found.dtype == np.float32
    return maps


def expected(network: Any, layers: list[str], images: np.ndarray, dtype: Any = np.float32) -> list[np.ndarray]:
    """The file's own tensors, one image at a time, normalised by hand."""
    whole = onnx.ModelProto()
    whole.CopyFrom(network)
    del whole.graph.output[:]
    whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in layers)
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    floats = ((images / 255 - MEAN) / STD).astype(dtype)
    if source.shape[1] == 3:
        floats = floats.transpose(0, 3, 1, 2)
    each = [session.run(layers, {source.name: image[None]}) for image in floats]
    return [np.concatenate(tensors) for tensors in zip(*each, strict=True)]


@pytest.mark.parametrize("opset", [11, 13, 18, 20])
@pytest.mark.parametrize("image", [None, [1, 3, 64, 64]], ids=["open", "fixed"])
def test_maps_equal_the_files_own(tmp_path: Path, opset: int, image: list[int] | None) -> None:
    network = convolutions(image=image, opset=opset)
    layers, images = ["three", "one_raw"], pictures(3, 64)
    path = saved(network, tmp_path / "網.onnx")
    for found, own in zip(built(path, layers, images), expected(network, layers, images), strict=True):
        np.testing.assert_allclose(found, own, rtol=0, atol=1e-5)


def test_half_precision(tmp_path: Path) -> None:
    network = convolutions(dtype=np.float16)
    images = pictures(2, 64)
    (found,) = built(saved(network, tmp_path / "net.onnx"), ["two"], images)
    (own,) = expected(network, ["two"], images, np.float16)
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-2 * np.ptp(own))


def test_operators_of_onnx_runtimes_own(tmp_path: Path) -> None:
    """As in files that its optimiser wrote; ONNX itself does not know what they give."""
    network = convolutions()
    network.graph.node[1].domain, network.graph.node[1].op_type = "com.microsoft", "QuickGelu"
    network.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    images = pictures(2, 64)
    (found,) = built(saved(network, tmp_path / "net.onnx"), ["two"], images)
    np.testing.assert_allclose(found, expected(network, ["two"], images)[0], rtol=0, atol=1e-5)


def test_a_part_that_needs_images_alone(tmp_path: Path) -> None:
    """As in networks of images and texts."""
    network = convolutions()
    network.graph.input.append(helper.make_tensor_value_info("words", TensorProto.INT64, ["n", 8]))
    network.graph.node.append(helper.make_node("Shape", ["words"], ["length"]))
    network.graph.node.append(helper.make_node("Reshape", ["one", "length"], ["both"]))
    backbone = get(f"onnx:{saved(network, tmp_path / 'net.onnx')}", **GIVEN)
    assert [layer.name for layer in backbone.card.layers] == [
        f"{name}{raw}" for name in ("one", "two", "three", "four") for raw in ("_raw", "")
    ]
    assert backbone.build(["one"], 64) == get(f"onnx:{saved(convolutions(), tmp_path / 'b.onnx')}", **GIVEN).build(
        ["one"], 64
    )


@pytest.mark.parametrize("side", ["side", 32])
def test_channels_last(tmp_path: Path, side: int | str) -> None:
    network = networks.channels_last(side)
    images = pictures(2, 32)
    nchw, nhwc = built(saved(network, tmp_path / "net.onnx"), ["nchw", "nhwc"], images)
    own, transposed = expected(network, ["nchw", "nhwc"], images)
    np.testing.assert_allclose(nchw, own, rtol=0, atol=1e-5)
    np.testing.assert_allclose(nhwc, transposed.transpose(0, 3, 1, 2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_become_grids_and_any_number_of_images_goes(tmp_path: Path, prefix: int) -> None:
    network = transformer(prefix=prefix)
    images = pictures(3, 64)
    (found,) = built(saved(network, tmp_path / "net.onnx"), ["block2"], images)
    (tokens,) = expected(network, ["block2"], images)
    own = tokens[:, prefix:].transpose(0, 2, 1).reshape(3, 12, 8, 8)
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-4)


def test_an_open_size_is_free(tmp_path: Path) -> None:
    backbone = get(f"onnx:{saved(convolutions(), tmp_path / 'net.onnx')}", **GIVEN)
    assert backbone.card.default_image_size == 224
    assert [(layer.name, layer.channels, layer.stride) for layer in backbone.card.layers][::2] == [
        ("one_raw", 4, 2),
        ("two_raw", 8, 4),
        ("three_raw", 12, 8),
        ("four_raw", 16, 16),
    ]
    assert backbone.card.default_layers == ("three", "four")
    for size in (64, 75):
        engine = open_engine(embedding_graph(backbone, ["three", "four"], size))
        images = pictures(2, size)
        assert engine.embed(images).shape == (2, -(-size // 8), -(-size // 8), 28)
        floats = open_engine(embedding_graph(backbone, ["three", "four"], size, dtype="float32"))
        np.testing.assert_array_equal(floats.embed(images.astype(np.float32)), engine.embed(images))


def test_nothing_behind_the_deepest_layer_and_nothing_of_the_machine(tmp_path: Path) -> None:
    path = saved(convolutions(), tmp_path / "net.onnx")
    built_once = get(f"onnx:{path}", **GIVEN).build(["two", "one"], 64)
    model = onnx.load_from_string(built_once)
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 2
    shapes = sorted(tuple(tensor.dims) for tensor in model.graph.initializer if len(tensor.dims) == 4)
    assert shapes == [(1, 3, 1, 1), (1, 3, 1, 1), (4, 3, 3, 3), (8, 4, 3, 3)]
    for word in (b"somebody", b"secret", b"classifier", b"logits", str(tmp_path).encode()):
        assert word not in built_once
    assert get(f"onnx:{path}", **GIVEN).build(["two", "one"], 64) == built_once


def test_layers_may_be_called_as_kizus_own_nodes_are(tmp_path: Path) -> None:
    names = ("transpose_0", "sub_2", "mul_3", "constant_0")
    network = convolutions(names=names)
    images = pictures(2, 64)
    found = built(saved(network, tmp_path / "net.onnx"), list(names), images)
    for ours, own in zip(found, expected(network, list(names), images), strict=True):
        np.testing.assert_allclose(ours, own, rtol=0, atol=1e-5)


def test_branches_that_read_from_outside(tmp_path: Path) -> None:
    network = networks.branching()
    images = pictures(2, 32)
    (found,) = built(saved(network, tmp_path / "net.onnx"), ["out"], images)
    np.testing.assert_allclose(found, expected(network, ["out"], images)[0], rtol=0, atol=1e-5)


def test_functions_of_the_file(tmp_path: Path) -> None:
    twice = helper.make_function(
        "own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [helper.make_opsetid("", 18)]
    )
    network = networks.model(
        [
            helper.make_node("MaxPool", ["image"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
            helper.make_node("Twice", ["small"], ["out"], domain="own"),
        ],
        [],
        image=["n", 3, 32, 32],
        outputs=["out"],
    )
    network.functions.append(twice)
    network.opset_import.append(helper.make_opsetid("own", 1))
    images = pictures(2, 32)
    (found,) = built(saved(network, tmp_path / "net.onnx"), ["out"], images)
    np.testing.assert_allclose(found, expected(network, ["out"], images)[0], rtol=0, atol=1e-5)


def test_arrays_in_a_file_beside_it(tmp_path: Path) -> None:
    network = convolutions()
    options = {"save_as_external_data": True, "location": "重み.bin", "size_threshold": 0}
    path = saved(network, tmp_path / "net.onnx", **options)
    images = pictures(1, 64)
    (found,) = built(path, ["two"], images)
    np.testing.assert_allclose(found, expected(convolutions(), ["two"], images)[0], rtol=0, atol=1e-5)
    (tmp_path / "重み.bin").unlink()
    onnx.save(onnx.load(path, load_external_data=False), path)  # another time stamp
    with pytest.raises(
        BackboneError, match=r"arrays lie in another file, which cannot be read.*Keep the files together"
    ):
        get(f"onnx:{path}", **GIVEN)


@pytest.mark.parametrize("style", ["0.5,0.4,0.3", "[0.5, 0.4, 0.3]"])
def test_normalisation_and_size_from_the_file(tmp_path: Path, style: str) -> None:
    metadata = {"mean": style, "std": "0.2, 0.25, 0.3", "image_size": "96"}
    path = saved(convolutions(**metadata), tmp_path / "net.onnx")
    backbone = get(f"onnx:{path}")
    assert backbone.card.default_image_size == 96
    assert backbone.build(["two"], 64) == get(f"onnx:{path}", **GIVEN).build(["two"], 64)
    other = get(f"onnx:{path}", mean=(0.1, 0.1, 0.1))
    assert other.card.preprocessing == "(x / 255 - (0.1, 0.1, 0.1)) / (0.2, 0.25, 0.3) on 0 to 255 RGB"
    assert other.build(["two"], 64) != backbone.build(["two"], 64)


def test_without_normalisation_it_is_refused(tmp_path: Path) -> None:
    path = saved(convolutions(mean="0.5,0.5,0.5"), tmp_path / "net.onnx")
    backbone = get(f"onnx:{path}")
    assert backbone.card.layers  # which `kizu backbones info` shows
    with pytest.raises(ParameterError, match=r"does not say how its images are normalised.* --set mean=0\.485,"):
        backbone.build(["two"], 64)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mean": (123.7, 116.3, 103.5), "std": STD}, r"`mean` must be .*divided by 255"),
        ({"mean": MEAN, "std": (58.4, 57.1, 57.4)}, r"`std` must be .*divided by 255"),
        ({"mean": MEAN, "std": (0.2, 0.0, 0.2)}, r"`std` must be three numbers from 0 to 1, none of them 0"),
        ({"mean": (0.5, 0.5), "std": STD}, r"`mean` must be three numbers"),
        ({**GIVEN, "weights": "none"}, r"leave `weights` out"),
    ],
)
def test_wrong_arguments(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    path = saved(convolutions(), tmp_path / "net.onnx")
    with pytest.raises(ParameterError, match=message):
        get(f"onnx:{path}", **given)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"mean": "a,b,c"}, r"its metadata say mean 'a,b,c'; expected three numbers"),
        ({"mean": "0,0,0", "std": "[1,1"}, r"its metadata say std '\[1,1'"),
        ({"image_size": "64x64"}, r"its metadata say image_size '64x64'"),
        ({"image_size": "9"}, r"expected a whole number of pixels from 32"),
    ],
)
def test_wrong_metadata(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    path = saved(convolutions(**metadata), tmp_path / "net.onnx")
    with pytest.raises(BackboneError, match=message):
        get(f"onnx:{path}")


def _sparse() -> Any:
    network = convolutions()
    network.graph.initializer.remove(next(t for t in network.graph.initializer if t.name == "weight0"))
    values = numpy_helper.from_array(np.ones(2, np.float32), "weight0")
    indices = numpy_helper.from_array(np.array([0, 5]), "where")
    network.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 3, 3, 3]))
    return network


def _custom() -> Any:
    network = convolutions()
    network.graph.node[1].domain = "vendor.secret"
    network.opset_import.append(helper.make_opsetid("vendor.secret", 1))
    return network


def _two_inputs() -> Any:
    mask = helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 3, "h", "w"])
    node = helper.make_node("Mul", ["image", "mask"], ["out"])
    return networks.model([node], [], image=["n", 3, "h", "w"], outputs=["out"], others=(mask,))


def _bytes() -> Any:
    node = helper.make_node("Cast", ["image"], ["out"], to=TensorProto.FLOAT)
    return networks.model([node], [], image=["n", 64, 64, 3], outputs=["out"], dtype=TensorProto.UINT8)


def _no_map() -> Any:
    node = helper.make_node("GlobalAveragePool", ["image"], ["out"])
    return networks.model([node], [], image=["n", 3, "h", "w"], outputs=["out"])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (_sparse, r"sparse array"),
        (_custom, r"ONNX Runtime cannot run it on an image of 224×224 pixels: .*vendor\.secret"),
        (_two_inputs, r"everything in it needs more than images: mask\."),
        (_bytes, r"no input takes float images in three channels; its inputs: image \(uint8 n × 64 × 64 × 3\)"),
        (_no_map, r"none of its 1 tensors is a square map"),
        (
            lambda: convolutions(image=["n", 1, 64, 64]),
            r"image \(float n × 1 × 64 × 64\) does not take three channels",
        ),
        (lambda: convolutions(image=["n", 3, 64, 96]), r"images of 64×96 pixels; kizu needs square ones"),
        (lambda: convolutions(image=["n", 3, 16, 16]), r"takes images of 16 pixels; kizu works with 32 to 8192"),
    ],
)
def test_networks_that_cannot_be_used(tmp_path: Path, network: Any, message: str) -> None:
    path = saved(network(), tmp_path / "net.onnx")
    with pytest.raises(BackboneError, match=message) as caught:
        get(f"onnx:{path}", **GIVEN)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    network = saved(convolutions(), tmp_path / "net.onnx").read_bytes()
    for name, content in {"cut": network[:-500], "text": b"no network", "empty": b"", "png": b"\x89PNG\r\n"}.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        with pytest.raises(BackboneError, match=r"not an ONNX file, or a damaged one .*again\.$"):
            get(f"onnx:{path}", **GIVEN)
    with pytest.raises(BackboneError, match=r"is no file"):
        get(f"onnx:{tmp_path}", **GIVEN)


def test_a_windows_path() -> None:
    with pytest.raises(BackboneError, match=r"C:\\nets\\x\.onnx: the ONNX file cannot be read: .* Check the path"):
        get("onnx:C:\\nets\\x.onnx", **GIVEN)


def test_an_unknown_layer_among_hundreds(tmp_path: Path) -> None:
    path = saved(transformer(depth=12), tmp_path / "net.onnx")
    with pytest.raises(
        BackboneError, match=r"unknown layer 'blok3'\. Did you mean 'block3'.*The nearest of "
    ) as caught:
        get(f"onnx:{path}", **GIVEN).build(["blok3"], 64)
    assert len(str(caught.value)) < 700


def test_a_size_it_cannot_see(tmp_path: Path) -> None:
    backbone = get(f"onnx:{saved(transformer(), tmp_path / 'net.onnx')}", **GIVEN)
    assert backbone.card.default_image_size == 64
    with pytest.raises(BackboneError, match=r"cannot see images of 96×96 pixels: .*give --image-size 64\.$"):
        backbone.build(["block2"], 96)


def test_larger_than_a_graph_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"save_as_external_data": True, "location": "arrays.bin", "size_threshold": 0}
    inside = saved(convolutions(), tmp_path / "inside.onnx")
    outside = saved(convolutions(), tmp_path / "outside.onnx", **options)
    monkeypatch.setattr(_onnx_network, "LARGEST_MESSAGE", outside.stat().st_size + 10)
    for path in (inside, outside):
        with pytest.raises(BackboneError, match="larger than the 2 GiB"):
            get(f"onnx:{path}", **GIVEN)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = saved(convolutions(), tmp_path / "net.onnx")
    before = get(f"onnx:{path}", **GIVEN).card
    saved(transformer(), path)
    after = get(f"onnx:{path}", **GIVEN).card
    assert before.sha256 != after.sha256
    assert {layer.name for layer in after.layers} >= {"block0", "block3"}


def test_a_default_where_blocks_end(tmp_path: Path) -> None:
    path = saved(transformer(depth=8), tmp_path / "net.onnx")
    assert get(f"onnx:{path}", **GIVEN).card.default_layers == ("block3", "block5")


def test_fit_and_predict(parts: Path, tmp_path: Path) -> None:
    path = saved(convolutions(), tmp_path / "net.onnx")
    inspector = kizu.fit(parts, **SMALL, backbone=f"onnx:{path}", layers=("two", "three"), **GIVEN)
    assert inspector.config.patch_stride is None
    inspector.save(tmp_path / "parts.kizu")
    path.unlink()
    image = next((parts / "bad").iterdir())
    assert kizu.load(tmp_path / "parts.kizu").predict(image).score == inspector.predict(image).score


def test_a_graph_that_does_not_agree_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graft = _rebuilding.graft

    def wrong(*arguments: Any) -> bytes:
        *others, normalisation = arguments
        return graft(*others, replace(normalisation, std=(0.2, 0.25, 0.31)))

    monkeypatch.setattr(_rebuilding, "graft", wrong)
    path = saved(convolutions(), tmp_path / "net.onnx")
    with pytest.raises(BackboneError, match=r"cannot be used: the layer 'two' came out wrong by \d"):
        get(f"onnx:{path}", **GIVEN).build(["two"], 64)
