from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backbones import publishing
from backbones.publishing import Publisher
from downloads.test_fetch import Recorder
from kizu.backbones import get, prepare
from kizu.backbones.weights import _cache, _files
from kizu.errors import BackboneError, OutputError

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_missing_package_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "find_spec", lambda name: None)
    with pytest.raises(
        BackboneError, match=r"'some_net' is not installed\. Install it with: pip install \"kizu\[x\]\""
    ):
        _files.find("some_net", "net.pth", 'pip install "kizu[x]"')


def test_found_without_running_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_net"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the package was run')")
    (package / "net.pth").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert _files.find("some_net", "net.pth", "pip install x") == package / "net.pth"
    with pytest.raises(BackboneError, match=r"other\.pth: the weight file is missing.*pip install x"):
        _files.find("some_net", "other.pth", "pip install x")


def test_wrong_hash(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.touch()
    assert _files.read(path, EMPTY) == b""
    path.write_bytes(b"altered")
    with pytest.raises(BackboneError, match=r"net\.pth: the weight file is not the expected one"):
        _files.read(path, EMPTY)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="the weight file cannot be read"):
        _files.read(tmp_path, EMPTY)


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    with publishing.publishing(monkeypatch, tmp_path / "控え") as running:
        yield running


def test_as_much_of_a_hash_as_is_published(tmp_path: Path) -> None:
    (tmp_path / "net.pth").touch()
    assert _files.read(tmp_path / "net.pth", EMPTY[:8]) == b""
    with pytest.raises(BackboneError, match="not the expected one"):
        _files.read(tmp_path / "net.pth", "f" * 8)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"net\.pth: no such weight file\. Check the path"):
        _files.checksum(tmp_path / "net.pth")


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIZU_CACHE", str(tmp_path))
    assert _cache.folder("weights") == tmp_path / "weights"
    monkeypatch.setenv("KIZU_CACHE", "")
    assert _cache.folder("weights").name == "weights"
    assert "kizu" in _cache.folder("weights").parts


def test_building_downloads_once(publisher: Publisher) -> None:
    assert get("resnet18").weight_file() == (
        None,
        "not downloaded",
        "kizu backbones pull resnet18",
        len(publishing.content()),
    )
    first, second = (get("resnet18").build(["layer1"], 64) for _ in range(2))
    assert first == second == get("resnet18", weights=str(publisher.kept)).build(["layer1"], 64)
    assert len(publisher.site.requests) == 1
    assert publisher.kept.read_bytes() == publishing.content()
    assert get("resnet18").weight_file()[:2] == (publisher.kept, "")


def test_preparing_tells_how_far_it_is_and_what_came(publisher: Publisher) -> None:
    progress = Recorder()
    prepared = prepare(get("resnet18"), progress)
    size = len(publishing.content())
    assert (progress.stages, sum(progress.steps)) == ([(f"Downloading {publishing.FILE}", size, "bytes")], size)
    assert (prepared.card.weights, prepared.card.sha256) == (publisher.url, publishing.sha256())
    publisher.site.status = 503
    assert prepare(get("resnet18"), progress).card == prepared.card
    progress.steps.clear()
    prepared.build(["layer1"], 64)
    assert (progress.stages[1:], progress.steps) == ([("Building resnet18", 2, "")], [1, 1])


def test_preparing_what_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIZU_CACHE", str(tmp_path))
    for backbone in (get("efficientnet_lite0"), get("resnet18", weights="none")):
        assert prepare(backbone, Recorder()) == backbone
    assert list(tmp_path.iterdir()) == []


def test_a_kept_file_that_is_not_the_published_one(publisher: Publisher) -> None:
    publisher.kept.parent.mkdir(parents=True)
    publisher.kept.write_bytes(publishing.content()[:-1])
    for action in (lambda: prepare(get("resnet18"), Recorder()), lambda: get("resnet18").build(["layer1"], 64)):
        with pytest.raises(BackboneError) as caught:
            action()
        assert str(caught.value) == (
            f"{publisher.kept}: not the file published as {publishing.FILE} (its SHA-256 does not begin with "
            f"{publishing.sha256()[:8]}). Delete it and fetch it anew with: kizu backbones pull resnet18"
        )
    assert publisher.site.requests == []
    publisher.published.fetch(replace=True)
    assert publisher.kept.read_bytes() == publishing.content()


def test_without_a_network(publisher: Publisher) -> None:
    publisher.site.status = 503
    with pytest.raises(BackboneError) as caught:
        prepare(get("resnet18"), Recorder())
    assert str(caught.value) == (
        f"{publisher.url}: cannot be downloaded: the server says 503 Service Unavailable. Try later, or from another "
        f"network. Without a network: bring {publishing.FILE} (42.7 MiB) from {publisher.url} and run "
        f"`kizu backbones add {publishing.FILE}`, or put it into {publisher.kept.parent}."
    )


def test_what_has_no_name_cannot_be_added(publisher: Publisher) -> None:
    publisher.site.status = 503
    given = replace(publisher.published, backbone="torchvision:resnet18", size=0)
    with pytest.raises(BackboneError) as caught:
        given.fetch()
    said = f"Without a network: bring {publishing.FILE} from {publisher.url} and put it into {publisher.kept.parent}."
    assert str(caught.value).endswith(said)


def test_a_cache_that_cannot_be_written_is_told_with_how_to_name_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("KIZU_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match=r"weights: .*KIZU_CACHE names another folder"):
        _cache.prepare("weights")
    monkeypatch.setenv("KIZU_CACHE", str(tmp_path / "棚"))
    assert _cache.prepare("graphs") == tmp_path / "棚" / "graphs"
