import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kizu.backbones import Backbone, _registry, get, names, register
from kizu.errors import BackboneError, KizuWarning

PLUGIN = """
from kizu.backbones import BackboneCard, Layer

class Net:
    card = BackboneCard("{name}", (Layer("a", 1, 2),), ("a",), 64, "MIT", "none", "0", "none", "a net")

    def build(self, layers, image_size):
        return b""

net = Net()
"""


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry, "_backbones", dict(_registry._backbones))
    monkeypatch.setattr(_registry, "_seen", set(_registry._seen))


def install(folder: Path, module: str, source: str, entry: str) -> None:
    """Lay a package out as an installer would: a module, and metadata that announces an entry point."""
    (folder / f"{module}.py").write_text(source)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[kizu.backbones]\n{entry}\n")


def test_kizus_own() -> None:
    own = {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"}
    assert own <= set(names())
    for name in own:
        assert isinstance(get(name), Backbone)
        assert get(name).card.name == name


def test_unknown_name() -> None:
    with pytest.raises(BackboneError, match=r"unknown backbone 'efficientnet_light0'\. Did you mean"):
        get("efficientnet_light0")


def test_duplicate_name() -> None:
    with pytest.raises(BackboneError, match="'efficientnet_lite0' is already registered"):
        register(get("efficientnet_lite0"))


def test_entry_point_is_loaded_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "kizu_test_net_a", PLUGIN.format(name="net_a"), "net_a = kizu_test_net_a:net")
    monkeypatch.syspath_prepend(tmp_path)
    get("efficientnet_lite0")
    assert "kizu_test_net_a" not in sys.modules
    assert get("net_a").card.layer("a").stride == 2
    assert "net_a" in names()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise RuntimeError('no luck')", "no luck"),
        ("net = 7", "its value is a int, not a backbone"),
        (PLUGIN.format(name="efficientnet_lite0"), "already registered"),
    ],
)
def test_broken_entry_point_is_left_out(
    source: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    module = f"kizu_test_broken_{len(problem)}"
    install(tmp_path, module, source, f"broken = {module}:net")
    monkeypatch.syspath_prepend(tmp_path)
    own = get("efficientnet_lite0")
    with pytest.warns(KizuWarning, match=f"the backbone 'broken' .* left out: .*{problem}"):
        assert "efficientnet_lite0" in names()
    assert get("efficientnet_lite0") is own


def test_anything_with_a_card_and_build_is_a_backbone() -> None:
    card = SimpleNamespace(name="bare")
    register(SimpleNamespace(card=card, build=lambda layers, image_size: b""))
    assert get("bare").card is card


def test_import_and_cards_load_nothing_heavy() -> None:
    code = (
        "import sys, kizu.backbones as b\n"
        "b.get('efficientnet_lite0').card.layer('blocks.2'); b.names()\n"
        "print([m for m in ('numpy', 'onnx', 'onnxruntime', 'torch', 'cv2', 'faiss') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "[]"


def test_names_are_in_the_order_of_their_numbers() -> None:
    resnets = [name for name in names() if name.startswith("resnet")]
    assert resnets == ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
