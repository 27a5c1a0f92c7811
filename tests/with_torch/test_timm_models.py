"""Networks of timm as backbones, held against timm's own intermediate features."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from cli.running import in_its_own_process
from kizu.backbones import get, timm_models
from kizu.errors import BackboneError
from with_torch.exporting import IMAGENET, WITHOUT_TORCH, built, floats, lively, pictures, same, saved

HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def network(name: str, **options: Any) -> Any:
    return lively(timm.create_model(name, pretrained=False, **options))


def features(model: Any, images: np.ndarray, normalisation: Any, at: list[int]) -> list[torch.Tensor]:
    """Channels first, and without class and register tokens, by timm."""
    with torch.no_grad():
        return list(
            model.forward_intermediates(
                floats(images, *normalisation), indices=at, intermediates_only=True, output_fmt="NCHW"
            )
        )


@pytest.mark.parametrize(
    ("name", "size", "layers", "at"),
    [
        ("resnet18", 64, ("layer2", "layer3"), [2, 3]),
        ("convnext_atto", 64, ("stages.1", "stages.2"), [1, 2]),
    ],
)
def test_cnns_equal_timms(name: str, size: int, layers: tuple[str, ...], at: list[int], tmp_path: Path) -> None:
    model, images = network(name), pictures(3, size)
    backbone = get(f"timm:{name}", weights=str(saved(model, tmp_path / "net.pth")))
    assert backbone.card.default_layers == layers
    assert [backbone.card.layer(layer).stride for layer in layers] == [8, 16]
    same(built(backbone, layers, images), features(model, images, IMAGENET, at))


def test_tokens_at_another_size(tmp_path: Path) -> None:
    """Position embeddings are resampled by timm, for a size that patches of 16 pixels do not even fill."""
    name, images = "vit_tiny_patch16_224", pictures(2, 100)
    path = saved(network(name), tmp_path / "net.pth")
    backbone = get(f"timm:{name}", weights=str(path))
    assert backbone.card.default_layers == ("blocks.5", "blocks.8")
    assert backbone.card.default_image_size == 224
    overlay = {"file": str(path), "custom_load": False}
    model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, img_size=100).eval()
    (found,) = built(backbone, ["blocks.3"], images)
    assert found.shape == (2, 192, 6, 6)
    same([found], features(model, images, HALF, [3]))


def test_dinov2_with_its_tag_and_registers(tmp_path: Path) -> None:
    images = pictures(2, 112)
    backbone = get("timm:vit_small_patch14_dinov2.lvd142m", weights="none")
    assert backbone.card.default_image_size == 518
    assert backbone.card.licence == "apache-2.0"
    assert backbone.card.layer("blocks.5").stride == 14
    name = "vit_small_patch14_reg4_dinov2.lvd142m"
    model = network(name, img_size=112)
    path = tmp_path / "net.safetensors"
    save_file(model.state_dict(), path)
    (found,) = built(get(f"timm:{name}", weights=str(path)), ["blocks.1"], images)
    assert found.shape == (2, 384, 8, 8)
    same([found], features(model, images, IMAGENET, [1]))


def test_channels_last(tmp_path: Path) -> None:
    name, images = "swin_tiny_patch4_window7_224", pictures(2, 224)
    model = network(name)
    backbone = get(f"timm:{name}", weights=str(saved(model, tmp_path / "net.pth")))
    assert backbone.card.default_layers == ("layers.1", "layers.2")
    same(built(backbone, ["layers.0"], images), features(model, images, IMAGENET, [0]))


def test_kizus_own_backbone_is_the_same(tmp_path: Path) -> None:
    """EfficientNet-Lite0 with Google's weights, renamed as timm names them."""
    from golden.make_lite_golden import oracle

    model = oracle(0)
    path = saved(model, tmp_path / "net.pth")
    layers, images = ("blocks.2", "blocks.4"), pictures(2, 96)
    theirs = get("timm:tf_efficientnet_lite0", weights=str(path))
    assert theirs.card.default_layers == layers
    ours = built(get("efficientnet_lite0"), layers, images)
    for found, own in zip(built(theirs, layers, images), ours, strict=True):  # 127 / 255 is not quite 0.5
        np.testing.assert_allclose(found, own, rtol=0, atol=0.02 * np.ptp(own))


@pytest.mark.parametrize("classes", [1000, 7, 0])
def test_any_classifier_will_do(classes: int, tmp_path: Path) -> None:
    model, images = network("test_resnet", num_classes=classes), pictures(1, 64)
    path = str(saved(model, tmp_path / "net.pth"))
    backbone = get("timm:test_resnet", weights=path)
    assert (backbone.card.weights, backbone.card.licence) == ("net.pth", "not stated")
    (found,) = built(backbone, ["layer2"], images)
    with torch.no_grad():
        x = floats(images, backbone.facts.mean, backbone.facts.std)
        expected = model.forward_intermediates(x, indices=[2], intermediates_only=True)
    same([found], expected)


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = str(saved(network("test_vit"), tmp_path / "net.pth"))
    with pytest.raises(BackboneError, match=r"not the weights of timm:test_resnet: .*Missing key\(s\)") as caught:
        get("timm:test_resnet", weights=path).build(["layer2"], 64)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut"])
def test_files_that_are_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=r"net\.pth: not a weight file that timm reads, or a damaged one"):
        get("timm:test_resnet", weights=str(path)).build(["layer2"], 64)


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def test_a_checkpoint_with_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"x": _Code()}, tmp_path / "net.pth")
    with pytest.raises(BackboneError, match="not a weight file that timm reads"):
        get("timm:test_resnet", weights=str(tmp_path / "net.pth")).build(["layer2"], 64)
    assert "run" not in capsys.readouterr().out


def test_a_missing_file() -> None:
    with pytest.raises(BackboneError, match=r"nowhere\.pth: no such weight file"):
        get("timm:test_resnet", weights="nowhere.pth")


def test_published_weights_from_the_hubs_cache(tmp_path: Path, empty_cache: Path) -> None:
    """As another program, or `kizu backbones pull`, left them there; the cache's layout is the hub's."""
    code = """
import os, sys
from pathlib import Path
from kizu.backbones import get
backbone = get("timm:test_resnet")
print(len(backbone.card.sha256), len(backbone.build(["layer2"], 64)), len(get("timm:test_resnet").card.sha256))
"""
    repository = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    kept = repository / "snapshots" / ("0" * 40) / "model.safetensors"
    kept.parent.mkdir(parents=True)
    save_file(network("test_resnet").state_dict(), kept)
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    before, size, after = map(int, done.stdout.split())
    assert (before, after) == (0, 64)
    assert size > 10_000


def test_published_weights_out_of_reach(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> None:
        raise OSError("no address")

    monkeypatch.setattr(timm_models, "getproxies", dict)
    monkeypatch.setattr(timm_models.socket, "getaddrinfo", nowhere)
    monkeypatch.setattr(timm_models, "_kept", lambda address: None)
    with pytest.raises(
        BackboneError,
        match=r"timm:test_resnet: its weights cannot be downloaded: there is no network.*bring model\.safetensors "
        r"from https://huggingface\.co/timm/test_resnet\.r160_in1k and give it with --weights FILE\.$",
    ):
        get("timm:test_resnet").build(["layer2"], 64)


def test_unpublished_weights(empty_cache: Path) -> None:
    with pytest.raises(BackboneError, match=r"no weights of it are published; give a file with --weights FILE"):
        get("timm:coatnet_0_224").build(["stem"], 224)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet_18", r"unknown network of timm 'resnet_18'\. Did you mean 'resnet18'.* The nearest of \d+: "),
        ("resnet18.mine", r"timm:resnet18: unknown set of weights 'mine'\..*a1_in1k"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(BackboneError, match=message) as caught:
        get(f"timm:{name}", weights="none")
    assert len(str(caught.value)) < 800


def test_fit_with_pytorch_and_predict_without(parts: Path, cache: Path, tmp_path: Path) -> None:
    """The whole way on the command line; scores to the last digit."""
    model, images = tmp_path / "部品.kizu", parts / "bad"
    settings = ["--backbone", "timm:test_resnet", "--weights", "none", "--image-size", "64", "--false-alarms", "0.2"]
    fitted = in_its_own_process(["fit", parts, "-o", model, *settings])
    assert fitted.code == 0, fitted.err
    arguments = ["predict", str(model), str(images), "--json"]
    call = f"from kizu.cli import main\nsys.argv = ['kizu', *{arguments!r}]\nmain()"
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH + call], check=True, stdout=subprocess.PIPE)
    without, own = json.loads(done.stdout), in_its_own_process(arguments).document
    assert len(without["predictions"]) == 6
    assert [one["score"] for one in without["predictions"]] == [one["score"] for one in own["predictions"]]
