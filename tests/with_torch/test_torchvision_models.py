"""Networks of torchvision as backbones, held against torchvision's own feature extractor."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from downloads.serving import Site, serving
from kizu.backbones import get
from kizu.backbones.foreign import _torch_export
from kizu.backbones.foreign._forms import Convention
from kizu.backbones.foreign._normalisation import Normalisation
from kizu.errors import BackboneError, MissingExtraError, ParameterError
from kizu.progress import ignore
from with_torch.exporting import IMAGENET, WITHOUT_TORCH, built, floats, lively, pictures, run, same, saved


def network(name: str, **options: Any) -> Any:
    return lively(torchvision.models.get_model(name, weights=None, **options))


def features(model: Any, layers: tuple[str, ...], images: np.ndarray) -> list[torch.Tensor]:
    with torch.no_grad():
        found = create_feature_extractor(model, list(layers))(floats(images, *IMAGENET))
    return [found[layer] for layer in layers]


CNNS = {
    "resnet18": ("layer2", "layer3"),
    "convnext_tiny": ("features.3", "features.5"),
    "mobilenet_v3_small": ("features.3", "features.8"),
    "efficientnet_b0": ("features.3", "features.5"),
}


@pytest.mark.parametrize("name", CNNS)
def test_maps_equal_torchvisions(name: str, tmp_path: Path) -> None:
    model, images = network(name), pictures(3, 75)
    backbone = get(f"torchvision:{name}", weights=str(saved(model, tmp_path / "重み.pth")))
    assert backbone.card.default_layers == CNNS[name]
    assert [backbone.card.layer(layer).stride for layer in CNNS[name]] == [8, 16]
    same(built(backbone, CNNS[name], images), features(model, CNNS[name], images))


def test_channels_last_become_maps(tmp_path: Path) -> None:
    model, images = network("swin_t"), pictures(2, 64)
    backbone = get("torchvision:swin_t", weights=str(saved(model, tmp_path / "net.pth")))
    layers = backbone.card.default_layers
    assert layers == ("features.3", "features.5")
    same(built(backbone, layers, images), [x.permute(0, 3, 1, 2) for x in features(model, layers, images)])


def test_tokens_become_maps(tmp_path: Path) -> None:
    model, images = network("vit_b_16"), pictures(1, 224)
    backbone = get("torchvision:vit_b_16", weights=str(saved(model, tmp_path / "net.pth")))
    block = "encoder.layers.encoder_layer_1"
    assert backbone.card.default_layers == ("encoder.layers.encoder_layer_5", "encoder.layers.encoder_layer_8")
    with torch.no_grad():
        x = model._process_input(floats(images, *IMAGENET))
        x = torch.cat([model.class_token, x], dim=1) + model.encoder.pos_embedding
        tokens = model.encoder.layers[:2](x)
    same(built(backbone, [block], images), [tokens[:, 1:].transpose(1, 2).reshape(1, 768, 14, 14)])


@pytest.mark.parametrize(("name", "size"), [("googlenet", 96), ("inception_v3", 96)])
def test_input_of_published_weights_is_torchvisions(
    name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchvision's builder renormalises the input of these two; it finds our weights in its own folder."""
    chosen = torchvision.models.get_model_weights(name).DEFAULT
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    with pytest.warns() if name == "googlenet" else pytest.warns(FutureWarning):
        whole = network(name, aux_logits=True)
    path = saved(whole, folder / chosen.url.rpartition("/")[2])
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    model = torchvision.models.get_model(name, weights=chosen).eval()
    backbone = get(f"torchvision:{name}", weights=str(path))
    layers, images = backbone.card.default_layers, pictures(1, size)
    outputs: dict[str, torch.Tensor] = {}
    for layer in layers:
        model.get_submodule(layer).register_forward_hook(
            lambda _m, _i, output, layer=layer: outputs.update({layer: output})
        )
    with torch.no_grad():
        model(floats(images, *IMAGENET))
    same(built(backbone, layers, images), [outputs[layer] for layer in layers])


def test_resnet_is_the_same_as_kizus_own(tmp_path: Path) -> None:
    path, images = str(saved(network("resnet18"), tmp_path / "net.pth")), pictures(1, 64)
    layers = ("layer1", "layer2", "layer3", "layer4")
    ours, theirs = (built(get(name, weights=path), layers, images) for name in ("resnet18", "torchvision:resnet18"))
    same(ours, [torch.from_numpy(x) for x in theirs])


def test_random_weights_are_always_the_same_and_disturb_nobody(empty_cache: Path) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = get("torchvision:mobilenet_v3_small", weights="none")
    graph = first.build(["features.1"], 64)
    assert torch.equal(torch.random.get_rng_state(), before)
    for kept in (empty_cache / "graphs").iterdir():
        kept.unlink()
    torch.manual_seed(8)
    again = get("torchvision:mobilenet_v3_small", weights="none").build(["features.1"], 64)
    assert again == graph


def test_only_what_is_needed_and_nothing_of_the_machine() -> None:
    graph = get("torchvision:resnet18", weights="none").build(["layer1"], 64)
    model = onnx.load_from_string(graph)
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 5
    for word in (b"site-packages", b".py", b"stack_trace", str(Path.home()).encode()):
        assert word not in graph


SCRIPT = """
from kizu.backbones import get
import hashlib
graph = get("torchvision:resnet18", weights="none").build(["layer1"], 64)
print(hashlib.sha256(graph).hexdigest(), "torch" in sys.modules)
"""


def test_the_second_time_needs_no_pytorch(cache: Path) -> None:
    graph = get("torchvision:resnet18", weights="none").build(["layer1"], 64)
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH + SCRIPT], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [hashlib.sha256(graph).hexdigest(), "False"]


def test_pytorch_that_is_missing_is_named(empty_cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH + SCRIPT], check=False, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("kizu.errors.MissingExtraError: `torchvision:` needs the package torch")
    assert last.endswith('Install it with: pip install "kizu[torch]"')


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    from kizu.backbones.foreign import _exported

    def version(package: str) -> str:
        if package == "onnxscript":
            raise metadata.PackageNotFoundError(package)
        return metadata.version(package)

    monkeypatch.setattr(_exported, "version", version)
    with pytest.raises(MissingExtraError, match=r'needs the package onnxscript.* pip install "kizu\[torch\]"'):
        get("torchvision:resnet18", weights="none")


@pytest.mark.parametrize("damage", ["flipped", "cut", "note", "gone"])
def test_damaged_entries_are_made_anew(damage: str, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def graph() -> bytes:
        return bytes(get("torchvision:squeezenet1_1", weights="none").build(["features.1"], 64))

    whole = graph()
    exported: list[str] = []
    export = _torch_export.export
    monkeypatch.setattr(_torch_export, "export", lambda *a: exported.append("again") or export(*a))
    assert graph() == whole
    assert not exported
    (entry,) = (empty_cache / "graphs").glob("*.onnx")
    note = entry.with_name(f"{entry.name}.json")
    if damage == "flipped":
        entry.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    elif damage == "cut":
        entry.write_bytes(whole[:-9])
    elif damage == "note":
        note.write_text(note.read_text().replace('"image_size": 64', '"image_size": 65'))
    else:
        note.unlink()
    assert graph() == whole
    assert exported == ["again"]
    assert entry.read_bytes() == whole


def test_damaged_facts_are_made_anew(empty_cache: Path) -> None:
    card = get("torchvision:squeezenet1_1", weights="none").card
    (entry,) = (empty_cache / "graphs").glob("*.json")
    entry.write_text(entry.read_text().replace('"stride": 8', '"stride": 9'))
    assert get("torchvision:squeezenet1_1", weights="none").card == card


@pytest.mark.parametrize("classes", [10, 0])
def test_any_classifier_will_do(classes: int, tmp_path: Path) -> None:
    model = network("squeezenet1_1")
    state = {key: value for key, value in model.state_dict().items() if classes or not key.startswith("classifier")}
    if classes:
        state["classifier.1.weight"] = torch.zeros(classes, 512, 1, 1)
    torch.save(state, tmp_path / "net.pth")
    backbone, images = get("torchvision:squeezenet1_1", weights=str(tmp_path / "net.pth")), pictures(1, 64)
    same(built(backbone, ["features.7"], images), features(model, ("features.7",), images))


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = str(saved(network("resnet34"), tmp_path / "net.pth"))
    with pytest.raises(
        BackboneError, match=r"not the weights of torchvision:resnet18: 96 not expected \(layer1\.2\.conv1"
    ):
        get("torchvision:resnet18", weights=path).build(["layer1"], 64)
    with pytest.raises(
        BackboneError, match=r"not the weights of torchvision:vgg11: \d+ missing \(features\.0\.weight"
    ):
        get("torchvision:vgg11", weights=path).build(["features.2"], 64)
    with pytest.raises(BackboneError, match=r"2 of another shape|of another shape"):
        get("torchvision:wide_resnet50_2", weights=str(saved(network("resnet50"), tmp_path / "b.pth"))).build(
            ["layer1"], 64
        )


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def test_a_checkpoint_with_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"x": _Code()}, tmp_path / "net.pth")
    with pytest.raises(BackboneError, match=r"refused: .*print"):
        get("torchvision:resnet18", weights=str(tmp_path / "net.pth")).build(["layer1"], 64)
    assert "run" not in capsys.readouterr().out


def test_published_weights_are_fetched_once_and_checked(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network("squeezenet1_1")
    content = saved(model, tmp_path / "net.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    value = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.value
    with serving(Site(content)) as site:
        monkeypatch.setattr(value, "url", f"{site.url}/squeezenet1_1-{digest[:8]}.pth")
        backbone = get("torchvision:squeezenet1_1")
        assert backbone.card.sha256 == digest[:8]
        images = pictures(1, 64)
        same(built(backbone, ["features.7"], images), features(model, ("features.7",), images))
        assert len(site.requests) == 1
        assert (empty_cache / "weights" / f"squeezenet1_1-{digest[:8]}.pth").read_bytes() == content
    (empty_cache / "weights" / f"squeezenet1_1-{digest[:8]}.pth").unlink()
    later = get("torchvision:squeezenet1_1")  # neither server nor file: the graph is kept
    assert later.card.sha256 == digest
    same(built(later, ["features.7"], images), features(model, ("features.7",), images))


def test_published_weights_out_of_reach(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.value
    monkeypatch.setattr(value, "url", "http://127.0.0.1:9/squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(BackboneError, match=r"cannot be downloaded.*bring squeezenet1_1-b8a52dc0\.pth"):
        get("torchvision:squeezenet1_1").build(["features.7"], 64)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("resnet_18", BackboneError, r"unknown network of torchvision 'resnet_18'\. Did you mean 'resnet18'"),
        ("resnet50.IMAGENET1K_V3", BackboneError, r"torchvision:resnet50: unknown set of weights .*IMAGENET1K_V1"),
        ("fasterrcnn_resnet50_fpn", BackboneError, r"unknown network of torchvision"),
    ],
)
def test_unknown_names(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        get(f"torchvision:{name}", weights="none")


def test_unknown_layer() -> None:
    with pytest.raises(BackboneError, match=r"unknown layer 'layer5'\. Did you mean 'layer\d'"):
        get("torchvision:resnet18", weights="none").build(["layer5"], 64)


def test_normalisation_is_not_asked_for() -> None:
    with pytest.raises(ParameterError, match=r"`mean` and `std` are for `onnx:FILE`; torchvision:resnet18 brings"):
        get("torchvision:resnet18", weights="none", mean=(0.5, 0.5, 0.5))


def test_a_size_it_cannot_see() -> None:
    with pytest.raises(BackboneError, match=r"cannot see images of 160×160 pixels: .*give --image-size 224\.$"):
        get("torchvision:vit_b_16", weights="none").build(["encoder.layers.encoder_layer_1"], 160)


def test_an_export_that_does_not_agree_is_refused(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(write: Any) -> Any:
        def written(*arguments: Any) -> Any:
            model = write(*arguments)
            stored = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
            values = onnx.numpy_helper.to_array(stored) * np.float32(1.1)
            stored.CopyFrom(onnx.numpy_helper.from_array(values, stored.name))
            return model

        return written

    for name in ("_to_onnx", "_by_tracing"):
        monkeypatch.setattr(_torch_export, name, wrong(getattr(_torch_export, name)))
    with pytest.raises(BackboneError, match=r"does not agree with PyTorch: .*'features\.1' came out wrong by "):
        get("torchvision:squeezenet1_1", weights="none").build(["features.1"], 64)
    assert not list((empty_cache / "graphs").glob("*.onnx"))


class _OneByOne(torch.nn.Module):
    """Cannot be exported with an open number of images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, 4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(torch.cat([x[i] for i in range(int(x.shape[0]))]).view(x.shape))


def test_networks_exported_for_one_image_take_many() -> None:
    model, images = lively(_OneByOne()), pictures(3, 32)
    subject = _torch_export.Subject("own", model, 32, Convention(), Normalisation(*IMAGENET))
    graph, difference = _torch_export.export(subject, ["conv"], 32, ignore)
    assert "Scan" in {node.op_type for node in onnx.load_from_string(graph).graph.node}
    assert 0 <= difference < 1e-5
    with torch.no_grad():
        same(run(graph, ["conv"], images), [model.conv(floats(images, *IMAGENET))])


def test_a_layer_is_what_it_was_before_the_next_wrote_over_it() -> None:
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 4, 4), torch.nn.ReLU(inplace=True)).eval()
    subject = _torch_export.Subject("own", model, 32, Convention(), Normalisation(*IMAGENET))
    graph, _ = _torch_export.export(subject, ["0", "1"], 32, ignore)
    images = pictures(2, 32)
    with torch.no_grad():
        raw = model[0](floats(images, *IMAGENET))
    assert raw.min() < 0
    same(run(graph, ["0", "1"], images), [raw, raw.relu()])
