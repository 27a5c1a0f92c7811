"""What holds for every registered backbone, those of other packages included."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest

from kizu import backbones
from kizu.backbones import Backbone, BackboneCard, OnnxRuntimeEngine, Weighted, embedding_graph
from kizu.errors import BackboneError, ParameterError

SIZE = 72
"""No multiple of most strides: sizes must be right at the edges too."""

ALIKE = {"resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"}
"""Of one family with ``resnet18`` and slow to make; their own suite looks at each of them."""

NAMES = backbones.names()
every_card = pytest.mark.parametrize("name", NAMES)
every_backbone = pytest.mark.parametrize("name", [name for name in NAMES if name not in ALIKE])


def found(name: str) -> Backbone:
    """The backbone, with random weights where it takes any: nothing is downloaded."""
    backbone = backbones.get(name)
    return backbone.with_weights("none") if isinstance(backbone, Weighted) else backbone


@cache
def built(name: str) -> bytes:
    """All layers, in the order of the network."""
    backbone = found(name)
    return backbone.build([layer.name for layer in backbone.card.layers], SIZE)


@cache
def session(name: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(built(name), providers=["CPUExecutionProvider"])


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def test_kizus_own_are_all_tried() -> None:
    assert {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnet18", *ALIKE} <= set(NAMES)


@every_card
def test_the_card(name: str) -> None:
    card: BackboneCard = found(name).card
    assert card.name == name
    names = [layer.name for layer in card.layers]
    assert len(set(names)) == len(names) > 0
    assert set(card.default_layers) <= set(names)
    assert all(layer.channels >= 1 and layer.stride >= 1 for layer in card.layers)
    card.check(card.default_layers, card.default_image_size, card.default_patch_stride)
    for text in (card.licence, card.weights, card.preprocessing, card.description):
        assert text.strip()


@every_backbone
def test_it_turns_images_into_the_maps_its_card_tells_of(name: str) -> None:
    card = found(name).card
    (given,) = session(name).get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("images", "tensor(uint8)", [SIZE, SIZE, 3])
    outputs = session(name).get_outputs()
    assert [output.name for output in outputs] == [layer.name for layer in card.layers]
    for output, layer, value in zip(
        outputs, card.layers, session(name).run(None, {"images": pictures(2)}), strict=True
    ):
        side = -(-SIZE // layer.stride)
        assert output.shape[1:] == [layer.channels, side, side]
        assert value.shape == (2, layer.channels, side, side)
        assert value.dtype == np.float32
        assert np.isfinite(value).all()
        assert value.std() > 0


@every_backbone
def test_an_image_is_seen_alone(name: str) -> None:
    together = session(name).run(None, {"images": pictures(3)})
    for number, image in enumerate(pictures(3)):
        for value, alone in zip(together, session(name).run(None, {"images": image[None]}), strict=True):
            np.testing.assert_allclose(value[number], alone[0], rtol=1e-4, atol=1e-5 * np.abs(value).max())


@every_backbone
def test_layers_come_as_asked_for_and_the_same_again(name: str) -> None:
    backbone = found(name)
    asked = list(reversed(backbone.card.default_layers))
    one, other = backbone.build(asked, SIZE), found(name).build(asked, SIZE)
    assert one == other
    few = onnxruntime.InferenceSession(one, providers=["CPUExecutionProvider"])
    assert [output.name for output in few.get_outputs()] == asked
    all_names = [layer.name for layer in backbone.card.layers]
    everything = dict(zip(all_names, session(name).run(None, {"images": pictures(1)}), strict=True))
    for layer, value in zip(asked, few.run(None, {"images": pictures(1)}), strict=True):
        scale = np.abs(everything[layer]).max()
        np.testing.assert_allclose(value, everything[layer], rtol=1e-4, atol=1e-5 * scale)


@every_backbone
def test_nothing_behind_the_deepest_layer_is_written(name: str) -> None:
    backbone = found(name)
    first = min(backbone.card.layers, key=lambda layer: layer.stride)
    few = onnx.load_from_string(backbone.build([first.name], SIZE))
    used = {inner for node in few.graph.node for inner in node.input}
    made = {outer for node in few.graph.node for outer in node.output}
    assert made - used == {first.name}


@every_backbone
def test_it_makes_an_embedding(name: str) -> None:
    backbone = found(name)
    card = backbone.card
    engine = OnnxRuntimeEngine(
        embedding_graph(backbone, card.default_layers, SIZE, patch_stride=card.default_patch_stride)
    )
    assert engine.channels == sum(card.layer(layer).channels for layer in card.default_layers)
    assert engine.embed(pictures(2)).shape == (2, *engine.grid, engine.channels)


@every_backbone
def test_levels_may_be_floats(name: str) -> None:
    """Whole ones give what 8 bits give; others are not rounded."""
    card = found(name).card
    given = (found(name), card.default_layers, SIZE)
    of_8_bits, floats = (
        OnnxRuntimeEngine(embedding_graph(*given, patch_stride=card.default_patch_stride, dtype=dtype))
        for dtype in ("uint8", "float32")
    )
    images = pictures(1)
    expected = of_8_bits.embed(images)
    np.testing.assert_array_equal(floats.embed(images.astype(np.float32)), expected)
    between = floats.embed(images.astype(np.float32) * np.float32(0.999))
    assert not np.array_equal(between, expected)
    with pytest.raises(ParameterError, match=r"of float32; got .* of uint8"):
        floats.embed(images)


@every_backbone
def test_what_cannot_be_is_refused(name: str) -> None:
    backbone = found(name)
    with pytest.raises(BackboneError, match="unknown layer 'nonsense'"):
        backbone.build(["nonsense"], SIZE)
    for layers, size in (([], SIZE), ([backbone.card.layers[0].name] * 2, SIZE), (backbone.card.default_layers, 8)):
        with pytest.raises(ParameterError):
            backbone.build(layers, size)
