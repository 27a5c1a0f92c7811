"""A fixed number of values a patch: against patchcore-inspection's procedure step by step."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from kizu.backbones import BackboneCard, Layer, OnnxRuntimeEngine, embedding_graph
from kizu.backbones._fixed_width import shares
from kizu.errors import ParameterError
from kizu.graphs import Graph
from reference.fixed_width import embedding

SIZE = 64


class Maps:
    """A backbone without weights: averages of the image over squares, mixed to so many channels a layer."""

    def __init__(self, *layers: Layer) -> None:
        names = tuple(layer.name for layer in layers)
        self.card = BackboneCard("maps", layers, names, SIZE, "-", "-", "-", "as it is", "for tests")

    def build(self, layers, image_size):
        graph = Graph()
        x = graph.images(image_size, mean=127, scale=1 / 128)

        def walk():
            for number, layer in enumerate(self.card.layers):
                rng = np.random.default_rng(number)
                kernel = rng.standard_normal((layer.channels, 3, layer.stride, layer.stride)).astype(np.float32)
                yield layer.name, graph.conv(x, kernel / 8, np.zeros(layer.channels, np.float32), stride=layer.stride)

        return graph.layers(walk(), layers)


def maps_of(backbone, images):
    model = backbone.build(backbone.card.default_layers, SIZE)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return [value[0] for value in session.run(None, {"images": images})]


@pytest.mark.parametrize(
    ("channels", "dims"),
    [
        ([8], 16),  # 72 values to 16: bins that overlap
        ([8], 200),  # more than there are: values repeat
        ([8, 16], 16),  # as Wide ResNet-50's 512 and 1024 to 1024
        ([8, 16], 15),  # an average that reaches into both layers
        ([4, 8, 16], 16),
        ([4, 8, 16], 3),
        ([5, 7], 9),
    ],
)
def test_it_is_the_procedure_of_the_authors(channels: list[int], dims: int) -> None:
    layers = [Layer(f"layer{i}", count, 8 * 2**i) for i, count in enumerate(channels)]
    backbone = Maps(*layers)
    images = np.random.default_rng(1).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    expected = embedding(maps_of(backbone, images), dims)
    names = [layer.name for layer in layers]
    engine = OnnxRuntimeEngine(embedding_graph(backbone, names, SIZE, embedding_dims=dims))
    assert engine.channels == dims
    found = engine.embed(images)[0]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected).max() > 0.1


def test_the_kernels_of_wide_resnet50() -> None:
    """512 and 1024 channels to 1024 values: each output of layer2 is one channel, of layer3 the mean of two."""
    fine, coarse = shares([512, 1024], 1024)
    assert (fine.first, fine.groups, fine.kernel.shape) == (0, 512, (512, 1, 3, 3))
    assert (coarse.first, coarse.groups, coarse.kernel.shape) == (512, 512, (512, 2, 3, 3))
    centre_twice = np.full((3, 3), 0.1)
    centre_twice[1, 1] = 0.2
    np.testing.assert_allclose(fine.kernel, np.broadcast_to(centre_twice, fine.kernel.shape), rtol=1e-6)
    np.testing.assert_allclose(coarse.kernel, np.full(coarse.kernel.shape, 1 / 18), rtol=1e-6)


@pytest.mark.parametrize("channels", [[64], [64, 128, 256], [24, 40, 112, 192]])
@pytest.mark.parametrize("dims", [10, 100, 1024])
def test_every_value_is_an_average(channels: list[int], dims: int) -> None:
    total = np.zeros(dims)
    for share in shares(channels, dims):
        total[share.first : share.first + len(share.kernel)] += share.kernel.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_without_it_channels_stay_as_they_are() -> None:
    backbone = Maps(Layer("a", 8, 8), Layer("b", 6, 16))
    plain = onnx.load_from_string(embedding_graph(backbone, ["a", "b"], SIZE))
    assert [node.op_type for node in plain.graph.node].count("AveragePool") == 2
    assert plain.graph.output[0].type.tensor_type.shape.dim[3].dim_value == 14


@pytest.mark.parametrize("dims", [1, 0, -1, True, 2.5, "8"])
def test_fewer_values_than_layers(dims: object) -> None:
    backbone = Maps(Layer("a", 8, 8), Layer("b", 6, 16))
    words = "`embedding_dims` must be a whole number, one for each of 2 layers at least"
    with pytest.raises(ParameterError, match=words):
        embedding_graph(backbone, ["a", "b"], SIZE, embedding_dims=dims)  # type: ignore[arg-type]
