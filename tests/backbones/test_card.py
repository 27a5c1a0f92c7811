import pytest

from kizu.backbones import BackboneCard, Layer
from kizu.errors import BackboneError, ParameterError

CARD = BackboneCard(
    name="net",
    layers=(Layer("blocks.0", 16, 2), Layer("blocks.1", 24, 4), Layer("blocks.2", 40, 8)),
    default_layers=("blocks.1",),
    default_image_size=64,
    licence="MIT",
    weights="net==1",
    sha256="0" * 64,
    preprocessing="none",
    description="a net",
)


def test_layer_by_name() -> None:
    assert CARD.layer("blocks.1") == Layer("blocks.1", 24, 4)


def test_unknown_layer_names_the_nearest() -> None:
    with pytest.raises(BackboneError, match=r"net: unknown layer 'block\.2'\. Did you mean 'blocks\.2'"):
        CARD.layer("block.2")


def test_check_keeps_the_order_asked_for() -> None:
    assert [layer.name for layer in CARD.check(["blocks.2", "blocks.0"], 64, None)] == [
        "blocks.2",
        "blocks.0",
    ]


@pytest.mark.parametrize("layers", [[], "blocks.1", ["blocks.1", "blocks.1"]])
def test_layers_out_of_range(layers: list[str]) -> None:
    with pytest.raises(ParameterError, match="`layers` must be"):
        CARD.check(layers, 64, None)


@pytest.mark.parametrize("size", [0, -1, 31, 8193, 64.0, True, "64"])
def test_image_size_out_of_range(size: int) -> None:
    with pytest.raises(ParameterError, match="`image_size` must be"):
        CARD.check(["blocks.1"], size, None)


@pytest.mark.parametrize("stride", [0, 3, 16, -8])
def test_patch_stride_must_be_a_layers(stride: int) -> None:
    with pytest.raises(ParameterError, match=r"`patch_stride` must be the stride of a layer of net \(2, 4, 8\)"):
        CARD.check(["blocks.1"], 64, stride)
