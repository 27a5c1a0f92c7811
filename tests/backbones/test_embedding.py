"""What is said of a backbone whose graph is not what it should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest

from kizu.backbones import BackboneCard, Layer, embedding_graph
from kizu.errors import BackboneError
from kizu.graphs import Graph, Output

SIZE = 64


class Net:
    """A backbone of two layers, whose graph ``changed`` spoils."""

    card = BackboneCard(
        "net", (Layer("a", 3, 8), Layer("b", 3, 16)), ("a",), SIZE, "-", "-", "-", "as it is", "for tests"
    )

    def __init__(self, changed: Callable[[onnx.ModelProto], onnx.ModelProto | bytes]) -> None:
        self._changed = changed

    def build(self, layers: Sequence[str], image_size: int) -> bytes:
        graph = Graph()
        x = graph.images(image_size, mean=127, scale=1 / 128)
        for name in layers:
            stride = self.card.layer(name).stride
            graph.node("AveragePool", [x.name], name, kernel_shape=[stride] * 2, strides=[stride] * 2)
        sizes = {name: image_size // self.card.layer(name).stride for name in layers}
        made = graph.serialised([Output(name, ("batch", 3, size, size)) for name, size in sizes.items()])
        found = self._changed(onnx.load_from_string(made))
        return found if isinstance(found, bytes) else found.SerializeToString()


def renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.output[0].name = "zz"
    return model


def without_output(model: onnx.ModelProto) -> onnx.ModelProto:
    del model.graph.output[-1]
    return model


def turned(model: onnx.ModelProto) -> onnx.ModelProto:
    first, second = model.graph.output
    swapped = [onnx.ValueInfoProto.FromString(one.SerializeToString()) for one in (second, first)]
    del model.graph.output[:]
    model.graph.output.extend(swapped)
    return model


def never_made(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.node[-1].output[0] = "elsewhere"
    return model


def test_a_sound_one() -> None:
    model = onnx.load_from_string(embedding_graph(Net(lambda model: model), ["a", "b"], SIZE))
    shape = [axis.dim_value for axis in model.graph.output[0].type.tensor_type.shape.dim]
    assert np.array_equal(shape[1:], [8, 8, 6])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (renamed, r"its ONNX graph gives zz, b where a, b was asked for\. Mend or update"),
        (without_output, r"its ONNX graph gives a where a, b was asked for\. Mend or update"),
        (turned, r"its ONNX graph gives b, a where a, b was asked for\. Mend or update"),
        (never_made, r"its ONNX graph is not valid: .*b.* Mend or update"),
        (lambda model: b"no graph", r"its ONNX graph is not valid: .* Mend or update"),
    ],
    ids=["renamed", "too few", "turned", "never made", "no graph"],
)
def test_a_graph_that_is_not_what_was_asked_for(changed: Callable[..., onnx.ModelProto | bytes], words: str) -> None:
    with pytest.raises(BackboneError, match=f"^net: {words}") as found:
        embedding_graph(Net(changed), ["a", "b"], SIZE)
    assert "\n" not in str(found.value)
