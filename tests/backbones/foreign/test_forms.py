"""How tensors of other networks are read as maps."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from kizu.backbones._card import Layer
from kizu.backbones.foreign._default_layers import of_modules, of_tensors
from kizu.backbones.foreign._forms import Convention, Form, form_of
from kizu.graphs import Graph, Output

PLAIN = Convention()


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((2, 64, 28, 28), 224, Form("NCHW", 64, 28)),
        ((2, 28, 28, 192), 224, Form("NHWC", 192, 28)),
        ((2, 28, 28, 28), 224, Form("NCHW", 28, 28)),
        ((2, 64, 1, 1), 224, None),  # pooled
        ((2, 64, 28, 14), 224, None),
        ((2, 12, 257, 257), 224, None),  # attention: finer than the image
        ((2, 197, 768), 224, Form("NLC", 768, 14, 1)),
        ((2, 196, 768), 224, Form("NLC", 768, 14, 0)),
        ((2, 198, 768), 224, Form("NLC", 768, 14, 2)),
        ((2, 1374, 384), 518, Form("NLC", 384, 37, 5)),
        ((2, 9, 384), 32, Form("NLC", 384, 2, 5)),  # nine tokens are 3 × 3, or five and 2 × 2
        ((2, 37, 192), 100, Form("NLC", 192, 6, 1)),  # patches of 16 that do not fill 100 pixels
        ((2, 215, 768), 224, None),
        ((2, 1000), 224, None),
    ],
)
def test_shapes(shape: tuple[int, ...], size: int, expected: Form | None) -> None:
    assert form_of(shape, size, PLAIN) == expected


def test_a_convention_decides_what_shapes_leave_open() -> None:
    last = Convention.of([(2, 14, 14, 384), (2, 7, 7, 768), (2, 96, 56, 56), (2, 28, 28, 28)], 224)
    assert last.channels_last
    assert form_of((2, 28, 28, 28), 224, last) == Form("NHWC", 28, 28)
    assert not Convention.of([(2, 14, 14, 384), (2, 96, 56, 56)], 224).channels_last
    assert form_of((2, 25, 8), 64, PLAIN) == Form("NLC", 8, 4, 9)
    assert form_of((2, 25, 8), 64, Convention(prefix_tokens=0)) == Form("NLC", 8, 5, 0)
    assert form_of((2, 25, 8), 64, Convention(prefix_tokens=9)) == Form("NLC", 8, 4, 9)


@settings(deadline=None)
@given(
    layout=st.sampled_from(["NCHW", "NHWC", "NLC"]),
    size=st.integers(2, 5),
    channels=st.integers(1, 4),
    prefix=st.integers(0, 3),
)
def test_nodes_and_arrays_make_the_same_map(layout, size: int, channels: int, prefix: int) -> None:
    form = Form(layout, channels, size, prefix if layout == "NLC" else 0)
    expected = np.random.default_rng(0).normal(size=(2, channels, size, size)).astype(np.float32)
    tensor = expected if layout == "NCHW" else expected.transpose(0, 2, 3, 1)
    if layout == "NLC":
        rows = tensor.reshape(2, size * size, channels)
        tensor = np.concatenate([np.full((2, prefix, channels), 9, np.float32), rows], axis=1)
    np.testing.assert_array_equal(form.map_of(tensor), expected)
    graph = Graph()
    graph.input("x", TensorProto.FLOAT, list(tensor.shape))
    name = graph.node("Identity", [form.write(graph, "x")])
    session = onnxruntime.InferenceSession(
        graph.serialised([Output(name, expected.shape)]), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_array_equal(session.run(None, {"x": np.ascontiguousarray(tensor)})[0], expected)


def layers(*strides: tuple[str, int]) -> list[Layer]:
    return [Layer(name, 8, stride) for name, stride in strides]


def test_default_layers_of_a_pyramid() -> None:
    resnet = layers(("relu", 2), ("layer1", 4), ("layer2.0", 8), ("layer2", 8), ("layer3.0", 16), ("layer3", 16))
    assert of_modules(resnet) == ("layer2", "layer3")
    border = layers(("features.3", 4), ("features.5", 9), ("features.12", 17))  # as convolutions without padding
    assert of_modules(border) == ("features.5", "features.12")


def test_default_layers_of_a_whole_that_is_named_too() -> None:
    squeezenet = layers(("features.7", 8), ("features.11", 16), ("features.12", 16), ("features", 16))
    assert of_modules(squeezenet) == ("features.7", "features.12")


def test_default_layers_of_a_transformer_with_convolutions_before_it() -> None:
    blocks = [(f"blocks.{i}", 16) for i in range(12)]
    xcit = layers(("patch_embed.proj.3", 8), ("patch_embed.proj.5", 8), ("patch_embed", 16), *blocks, ("norm", 16))
    assert of_modules(xcit) == ("blocks.5", "blocks.8")


def test_default_layers_of_a_column() -> None:
    blocks = [(f"blocks.{i}{part}", 14) for i in range(12) for part in (".mlp", "")]
    assert of_modules(layers(("patch_embed", 14), *blocks, ("norm", 14))) == ("blocks.5", "blocks.8")
    sums = [f"{part}{i}" for i in range(8) for part in ("attention", "block")]
    tensors = layers(*((name, 16) for name in ["embed", *sums, "last"]))
    assert of_tensors(tensors, ["logits"], sums) == ("block3", "block5")


def test_a_networks_own_outputs_are_its_default_layers() -> None:
    tensors = layers(("a", 8), ("b", 8), ("c", 16), ("d", 32))
    assert of_tensors(tensors, ["d", "logits", "b"], ["a"]) == ("d", "b")
    assert of_tensors(tensors, ["logits"], ["a"]) == ("a",)
    assert of_tensors(tensors, ["logits"], []) == ("b", "c")
