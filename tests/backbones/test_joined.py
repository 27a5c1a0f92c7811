"""Several backbones in one graph: each gives what it gives alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import kizu
from kizu.backbones import Backbone, embedding_graph, get, open_engine
from kizu.backbones._registry import Located, prepare
from kizu.errors import BackboneError, ParameterError
from kizu.progress import Silent
from workflows.tiles import SMALL

NAME = "joined:efficientnet_lite0+efficientnet_lite2"
LAYERS = ["efficientnet_lite2/blocks.2", "efficientnet_lite0/blocks.1", "efficientnet_lite2/blocks.4"]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


def maps(backbone: Backbone, layers: list[str]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(backbone.build(layers, 64), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_outputs()] == layers
    return session.run(layers, {"images": images(2)})


def test_maps_are_those_of_the_members() -> None:
    for name, found in zip(LAYERS, maps(get(NAME), LAYERS), strict=True):
        member, _, layer = name.partition("/")
        np.testing.assert_array_equal(found, maps(get(member), [layer])[0])


def test_a_member_of_which_no_layer_is_wanted_is_not_written() -> None:
    whole = get(NAME).build(["efficientnet_lite0/blocks.1"], 64)
    assert len(whole) < 1.2 * len(get("efficientnet_lite0").build(["blocks.1"], 64))


def test_the_card_says_of_whom() -> None:
    card = get(NAME).card
    assert card.name == NAME
    assert card.layer("efficientnet_lite2/blocks.2").channels == 48
    assert card.default_layers[0] == "efficientnet_lite0/blocks.1"
    assert (card.licence, card.preprocessing) == ("Apache-2.0", "(x - 127) / 128 on 0 to 255 RGB")
    assert card.weights.count("==0.1.0") == 2
    assert card.sha256 != get("joined:efficientnet_lite2+efficientnet_lite0").card.sha256


def test_weights_are_located_and_prepared() -> None:
    backbone = get(NAME)
    assert isinstance(backbone, Located)
    assert backbone.weight_file().path is not None
    missing = get("joined:efficientnet_lite0+resnet18")
    assert isinstance(missing, Located)
    assert "resnet18" in missing.weight_file().obtain
    assert prepare(backbone, Silent()) == backbone


def test_embeddings_lie_side_by_side() -> None:
    engine = open_engine(embedding_graph(get(NAME), LAYERS, 64, patch_stride=8))
    found = engine.embed(images(1))
    first = 0
    for name in LAYERS:
        member, _, layer = name.partition("/")
        alone = open_engine(embedding_graph(get(member), [layer], 64, patch_stride=8)).embed(images(1))
        np.testing.assert_allclose(found[..., first : first + alone.shape[3]], alone, rtol=1e-5, atol=1e-5)
        first += alone.shape[3]
    assert first == found.shape[3]


def test_a_fit_with_groups(parts: Path, tmp_path: Path) -> None:
    groups = [["efficientnet_lite0/blocks.1", "efficientnet_lite0/blocks.2"], ["efficientnet_lite2/blocks.4"]]
    layers = [name for group in groups for name in group]
    given = {"backbone": NAME, "layers": layers, "groups": groups, "detector": "ensemble"}
    path = tmp_path / "part.kizu"
    kizu.fit(parts, **{**SMALL, **given}).save(path)
    inspector = kizu.load(path)
    assert inspector.config.detector.parameters["parts"] == [[0, 64], [64, 184]]
    assert inspector.detector.summary()["dimensions"] == "64 + 120"


@pytest.mark.parametrize("reference", ["efficientnet_lite0", "resnet18+resnet18", "", "+", "resnet18+"])
def test_two_or_more_are_asked_for(reference: str) -> None:
    with pytest.raises(ParameterError, match="two or more different names with \\+ between them"):
        get(f"joined:{reference}")


def test_what_members_do_themselves_is_refused() -> None:
    for given in ({"weights": "none"}, {"mean": (0.5, 0.5, 0.5)}, {"std": (1.0, 1.0, 1.0)}):
        with pytest.raises(ParameterError, match="members bring their own weights and normalise images"):
            get(NAME, **given)
    with pytest.raises(BackboneError, match=r"unknown backbone 'resnet19'\. Did you mean"):
        get("joined:resnet18+resnet19")
