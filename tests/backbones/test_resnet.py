"""ResNets against torchvision's numbers, and what becomes of weights that are not theirs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from backbones import resnets
from kizu.backbones import Backbone, Preparable, Weighted, embedding_graph, get, open_engine, resnet
from kizu.backbones._registry import Located
from kizu.errors import BackboneError, ParameterError

GOLDEN = Path(__file__).parents[1] / "golden" / "resnet.npz"
STEP = 61  # as in make_resnet_golden.py
NAMES = list(resnet.RESNETS)
BIG = {"resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"}  # one size is enough of them

# torchvision's documentation of IMAGENET1K_V1: parameters in all, of which the classifier has 1,000 × (C + 1)
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
}


def run_maps(
    backbone: Backbone, images: np.ndarray, layers: tuple[str, ...] = resnet.LAYERS
) -> dict[str, np.ndarray]:
    model = backbone.build(layers, images.shape[1])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return dict(zip(layers, session.run(list(layers), {"images": images}), strict=True))


def state_of(name: str) -> dict[str, np.ndarray]:
    """Random weights of that network, those a checkpoint has beside them too."""
    net = resnet.RESNETS[name]
    state = resnets.random_state(net.plan.shapes())
    counters = {key.replace("running_var", "num_batches_tracked"): np.array(1) for key in state if "_var" in key}
    return {**state, **counters, "fc.weight": np.zeros((1000, 4), np.float32), "fc.bias": np.zeros(1000, np.float32)}


@pytest.fixture(scope="module", params=NAMES)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backbone]:
    """Each network in turn, with random weights from a file."""
    path = tmp_path_factory.mktemp("weights") / "重み.safetensors"
    yield get(request.param, weights=str(resnets.write_safetensors(path, state_of(request.param))))
    path.unlink()


@pytest.fixture(scope="module")
def weights18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: weights for resnet18."""
    return resnets.write_safetensors(tmp_path_factory.mktemp("weights") / "重み.safetensors", state_of("resnet18"))


@pytest.fixture
def none18() -> resnet.ResNet:
    return resnet.RESNETS["resnet18"].with_weights("none")


def test_maps_equal_torchvisions(network: Backbone) -> None:
    golden, name = np.load(GOLDEN), network.card.name
    for size in (75,) if name in BIG else (64, 75):
        found = run_maps(network, resnets.images(size))
        for layer in resnet.LAYERS:
            expected = golden[f"{name}/{size}/{layer}"]
            scale = np.abs(expected[:-1]).max()
            np.testing.assert_allclose(found[layer].ravel()[::STEP], expected[:-1], atol=2e-5 * scale, rtol=0)
            np.testing.assert_allclose(found[layer].sum(dtype=np.float64), expected[-1], rtol=1e-5)


def test_a_golden_map_is_not_trivial() -> None:
    golden = np.load(GOLDEN)
    assert len(golden) == len(NAMES) * 2 * len(resnet.LAYERS)
    for name in golden:
        assert (golden[name] > 0).mean() > 0.3
        assert len(np.unique(golden[name])) > 0.3 * len(golden[name])


@pytest.mark.parametrize("name", NAMES)
def test_cards(name: str) -> None:
    card, widest = get(name).card, 512 if name in ("resnet18", "resnet34") else 2048
    assert [layer.name for layer in card.layers] == ["layer1", "layer2", "layer3", "layer4"]
    assert [layer.stride for layer in card.layers] == [4, 8, 16, 32]
    assert [layer.channels for layer in card.layers] == [widest // 8, widest // 4, widest // 2, widest]
    assert (card.default_layers, card.default_image_size, card.default_patch_stride) == (("layer2", "layer3"), 224, 8)
    assert card.weights == f"https://download.pytorch.org/models/{name}-{card.sha256}.pth"
    assert card.licence == "BSD-3-Clause"


@pytest.mark.parametrize("name", NAMES)
def test_as_many_parameters_as_torchvision_says(name: str) -> None:
    net = resnet.RESNETS[name]
    trained = [shape for key, shape in net.plan.shapes().items() if "running" not in key]
    classifier = 1000 * (net.card.layers[-1].channels + 1)
    assert sum(int(np.prod(shape)) for shape in trained) + classifier == PARAMETERS[name]
    width = 2 if name.startswith("wide") else 4  # those two files are in half precision
    assert net.published.size == pytest.approx(width * PARAMETERS[name], rel=0.01)


def test_what_they_offer(none18: resnet.ResNet) -> None:
    assert all(isinstance(none18, kind) for kind in (Backbone, Weighted, Preparable, Located))


def test_both_half_and_full_precision(weights18: Path, tmp_path: Path) -> None:
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in state_of("resnet18").items()}
    widened = {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in halves.items()}
    found = [
        get("resnet18", weights=str(resnets.write_safetensors(tmp_path / f"{i}", state))).build(["layer3"], 64)
        for i, state in enumerate((halves, widened))
    ]
    assert found[0] == found[1]
    assert {tensor.data_type for tensor in onnx.load_from_string(found[0]).graph.initializer} == {
        onnx.TensorProto.FLOAT
    }


@pytest.mark.parametrize(("layers", "convolutions"), [(["layer1"], 5), (["layer2", "layer1"], 10), (["layer4"], 20)])
def test_nothing_deeper_than_needed_is_written(none18: resnet.ResNet, layers: list[str], convolutions: int) -> None:
    model = onnx.load_from_string(none18.build(layers, 64))
    assert Counter(node.op_type for node in model.graph.node)["Conv"] == convolutions
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used
    assert {name for node in model.graph.node for name in node.output} - used == set(layers)


def test_random_weights_are_the_same_in_every_process(none18: resnet.ResNet) -> None:
    code = (
        "import hashlib; from kizu.backbones import get\n"
        "print(hashlib.sha256(get('resnet18', weights='none').build(['layer1', 'layer2'], 64)).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(none18.build(["layer1", "layer2"], 64)).hexdigest()


@pytest.mark.parametrize("name", ["resnet18", "resnet152"])
def test_random_weights_give_useful_maps(name: str) -> None:
    images = np.concatenate([resnets.images(64), resnets.images(64)[:, ::-1]])
    for layer, x in run_maps(get(name, weights="none"), images).items():
        assert np.isfinite(x).all()
        assert 0.1 < x.std() < 100
        assert 0.05 < (x > 0).mean() < 0.999
        assert np.abs(x[0] - x[1]).mean() > 0.1, layer


def test_random_weights_say_so(none18: resnet.ResNet) -> None:
    assert (none18.card.weights, none18.card.sha256) == ("none (random)", "")


@pytest.mark.parametrize("batch", [2, 3])
def test_one_image_or_several(none18: resnet.ResNet, batch: int) -> None:
    engine = open_engine(embedding_graph(none18, ["layer2", "layer3"], 64, patch_stride=8))
    images = resnets.images(64, batch)
    together = engine.embed(images)
    assert together.shape == (batch, 8, 8, 384)
    for i in range(batch):
        np.testing.assert_allclose(engine.embed(images[i : i + 1])[0], together[i], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(engine.embed(images), together)


def test_the_model_tells_nothing_of_the_machine(weights18: Path) -> None:
    backbone = get("resnet18", weights=str(weights18))
    first, second = (embedding_graph(backbone, ["layer2"], 64) for _ in range(2))
    assert first == second
    assert str(weights18.parent).encode() not in first
    assert onnx.load_from_string(first).doc_string == ""


def test_the_card_of_a_file(weights18: Path) -> None:
    card = get("resnet18", weights=str(weights18)).card
    assert (card.weights, card.licence) == ("重み.safetensors", "not stated")
    assert card.sha256 == hashlib.sha256(weights18.read_bytes()).hexdigest()


def test_a_file_that_changes_after_it_was_chosen(tmp_path: Path, weights18: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(weights18.read_bytes())
    chosen = get("resnet18", weights=str(path))
    resnets.write_safetensors(path, state_of("resnet34"))
    with pytest.raises(BackboneError, match="the weight file is not the expected one"):
        chosen.build(["layer1"], 64)


def test_bad_arguments_are_seen_before_the_weights() -> None:
    net = get("resnet18", weights="none")
    with pytest.raises(BackboneError, match=r"unknown layer 'layer5'.* Known: layer1, layer2, layer3, layer4\."):
        replace(net, weights="/no/such/file").build(["layer5"], 64)  # type: ignore[type-var]
    with pytest.raises(ParameterError, match="`image_size`"):
        replace(net, weights="/no/such/file").build(["layer1"], 8)  # type: ignore[type-var]
    with pytest.raises(ParameterError, match="`mean` and `std` are for `onnx:FILE`"):
        get("resnet18", mean=(0, 0, 0))


def refused(name: str, path: Path) -> str:
    with pytest.raises(BackboneError) as caught:
        get(name, weights=str(path)).build(["layer1"], 64)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"無い\.pth: no such weight file\. Check the path"):
        get("resnet18", weights=str(tmp_path / "無い.pth"))
    with pytest.raises(BackboneError, match="the weight file cannot be read: Is a directory"):
        get("resnet18", weights=str(tmp_path))


def test_weights_of_a_smaller_network(weights18: Path) -> None:
    count = count_missing("resnet18", "resnet34")
    assert refused("resnet34", weights18) == (
        f"{weights18}: these are not the weights of resnet34: {count} tensors missing "
        "(layer1.2.conv1.weight, layer1.2.bn1.weight, layer1.2.bn1.bias, …). This looks like resnet18: use that "
        "backbone."
    )


def count_missing(small: str, large: str) -> int:
    return len(resnet.RESNETS[large].plan.shapes().keys() - resnet.RESNETS[small].plan.shapes().keys())


def test_weights_of_a_larger_network(tmp_path: Path) -> None:
    path = resnets.write_safetensors(tmp_path / "net", state_of("resnet34"))
    said = refused("resnet18", path)
    assert f"{count_missing('resnet18', 'resnet34')} tensors not expected (layer1.2.conv1.weight, " in said
    assert said.endswith("This looks like resnet34: use that backbone.")


def test_weights_of_other_shapes(tmp_path: Path) -> None:
    state = state_of("resnet18")
    state["conv1.weight"] = state["conv1.weight"][:, :1]
    del state["bn1.bias"]
    state["gate.weight"] = np.zeros(3, np.float32)
    path = resnets.write_safetensors(tmp_path / "net", state)
    assert refused("resnet18", path) == (
        f"{path}: these are not the weights of resnet18: 1 tensor missing (bn1.bias); 1 tensor not expected "
        "(gate.weight); 1 tensor of another shape (conv1.weight is (64, 1, 7, 7), expected (64, 3, 7, 7)). Give a "
        "file of that architecture."
    )


@pytest.mark.parametrize(("key", "value"), [("conv1.weight", np.nan), ("bn1.bias", np.inf), ("bn1.running_var", -1)])
def test_numbers_that_no_network_has(tmp_path: Path, key: str, value: float) -> None:
    state = state_of("resnet18")
    state[key].ravel()[3] = value
    said = refused("resnet18", resnets.write_safetensors(tmp_path / "net", state))
    assert f"net: '{key}' holds values that no network can have" in said


def test_names_wrapped_for_several_devices(tmp_path: Path, weights18: Path) -> None:
    wrapped = {f"module.{key}": value for key, value in state_of("resnet18").items()}
    path = resnets.write_safetensors(tmp_path / "net", wrapped)
    plain, unwrapped = (get("resnet18", weights=str(file)).build(["layer1"], 64) for file in (weights18, path))
    assert plain == unwrapped
