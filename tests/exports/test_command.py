"""``kizu export`` as it is typed, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kizu
from cli.running import Command, files, in_its_own_process
from exports.running import EARLIER
from inspector.archives import rewritten
from kizu.exports import FORMATS
from workflows.tiles import tile, write


@pytest.fixture
def kizu_command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_it_says_what_it_did(kizu_command: Command, model: Path, tmp_path: Path) -> None:
    said = kizu_command("export", model, "-o", tmp_path / "部品.onnx")
    assert said.code == 0, said
    first, second, last = said.out.splitlines()
    size = (tmp_path / "部品.onnx").stat().st_size / 2**20
    assert first == f"Wrote {tmp_path / '部品.onnx'} ({size:.1f} MiB), for RGB images of any size."
    assert second.startswith("Checked on 6 images: scores differ from the model's by ")
    assert last.startswith("An image takes ")


def test_approximate_search_is_told(kizu_command: Command, parts: Path, tmp_path: Path) -> None:
    detector = {"name": "patchcore", "coreset_count": 300, "search": "approximate"}
    kizu.fit(parts, image_size=64, false_alarms=0.2, detector=detector).save(tmp_path / "a.kizu")
    said = kizu_command("export", tmp_path / "a.kizu", "-o", tmp_path / "a.onnx")
    assert "The model searches its memory bank approximately" in said.out
    document = kizu_command("export", tmp_path / "a.kizu", "-o", tmp_path / "a.onnx", "--json").document
    assert document["search"] == {"model": "approximate", "export": "exact"}


def test_json(kizu_command: Command, model: Path, tmp_path: Path) -> None:
    image = write(tmp_path / "a.png", tile(4))
    options = ["--images", image, "--images", image.parent, "--colour", "bgr", "--json"]
    document = kizu_command("export", model, "-o", tmp_path / "new" / "a.ONNX", *options).document
    assert document["files"] == [str(tmp_path / "new" / "a.ONNX")]
    assert document["bytes"] == (tmp_path / "new" / "a.ONNX").stat().st_size
    assert document["checked"]["images"] == 7
    assert 0 <= document["checked"]["score"] < 1e-5
    assert (document["colour"], document["search"]) == ("bgr", {"model": "exact", "export": "exact"})


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.onnx", ["--to", "onx"], "unknown form of export 'onx'. Did you mean 'onnx'? Known: onnx, openvino."),
        ("a.onnx", ["--colour", "rbg"], "`colour` must be rgb or bgr; got 'rbg'."),
        ("a.xml", [], "a.xml: an export to onnx must end in .onnx; give such a name."),
        ("a", [], "a: an export to onnx must end in .onnx; give such a name."),
        ("a.onnx", ["--to", "openvino"], "a.onnx: an export to openvino must end in .xml; give such a name."),
        ("file/a.onnx", [], "is a file, not a folder"),
        ("folder.onnx", [], "folder.onnx: is a folder; give the name of a file in it."),
        ("a.onnx", ["--images", "gone.png"], "gone.png: no such file or folder"),
        ("a.onnx", ["--images", "file"], "file: "),
        ("a.onnx", ["--images", "tile.png", "--max-pixels", "100"], "more than the limit of 100"),
    ],
)
def test_mistakes(
    kizu_command: Command,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder.onnx").mkdir()
    write(tmp_path / "tile.png", tile(0))
    before = files(tmp_path)
    assert words in kizu_command("export", model, "-o", name, *options).error
    assert files(tmp_path) == before


def test_models_that_are_none(kizu_command: Command, model: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.onnx"
    assert "no such model file" in kizu_command("export", tmp_path / "無い.kizu", "-o", target).error
    (tmp_path / "short.kizu").write_bytes(model.read_bytes()[:-1000])
    assert "truncated or damaged" in kizu_command("export", tmp_path / "short.kizu", "-o", target).error
    bad = rewritten(model, tmp_path / "bad.kizu", {"check/0.png": b"x"})
    assert "check/0.png: " in kizu_command("export", bad, "-o", target).error
    assert not target.exists()


def test_a_detector_that_cannot_write_itself(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kizu.detectors import Detector
    from kizu.detectors.patchcore import PatchCore
    from kizu.errors import ExportError

    monkeypatch.setattr(PatchCore, "write", Detector.write)
    with pytest.raises(ExportError, match="the detector 'patchcore' cannot be exported: it does not say how"):
        kizu.export(model, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


WITHOUT = """
import sys
sys.modules["openvino"] = None
from kizu.cli import main
main(sys.argv[1:])
"""


def test_without_openvino_the_command_to_get_it_is_named(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, "export", str(model), "--to", "openvino", "-o", str(tmp_path / "a.xml")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert 'OpenVINO is not installed. Run: pip install "kizu[openvino]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, sys
import kizu
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    kizu.export(sys.argv[1], sys.argv[2], to=sys.argv[4])
except kizu.KizuError as error:
    print(error)
"""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("room", [0, 5_000, 1_000_000])
def test_a_full_disk(model: Path, tmp_path: Path, room: int, form: str) -> None:
    target = tmp_path / ("部品.onnx" if form == "onnx" else "部品.xml")
    for file in (target, target.with_suffix(".bin")):
        file.write_bytes(EARLIER)
    before = files(tmp_path)
    command = [sys.executable, "-X", "utf8", "-c", FULL, str(model), str(target), str(room), form]
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert said.stdout == f"{target}: cannot be written: no space left on the drive; free some and run again.\n"
    assert files(tmp_path) == before


def test_an_interrupt(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kizu.exports import _onnx

    target = tmp_path / "a.onnx"
    target.write_bytes(EARLIER)

    def interrupted(self: object) -> None:
        assert len(list(tmp_path.iterdir())) == 2
        raise KeyboardInterrupt

    monkeypatch.setattr(_onnx.OnnxFormat, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kizu.export(model, target)
    assert files(tmp_path) == {"a.onnx": EARLIER}


def test_what_is_in_the_way_of_the_second_file(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kizu.errors import OutputError
    from kizu.exports import _onnx

    monkeypatch.setattr(_onnx, "LARGEST_FILE", 1000)
    (tmp_path / "a.onnx").write_bytes(EARLIER)
    (tmp_path / "a.onnx.data").mkdir()
    with pytest.raises(OutputError, match=r"a\.onnx\.data: is in the way and not an ordinary file"):
        kizu.export(model, tmp_path / "a.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data"]
    assert (tmp_path / "a.onnx").read_bytes() == EARLIER


@pytest.mark.parametrize(("form", "name"), [("onnx", "a.onnx.data"), ("openvino", "a.bin")])
def test_a_second_file_of_others_stays(tmp_path: Path, form: str, name: str) -> None:
    from kizu.errors import OutputError

    (tmp_path / name).write_bytes(b"firmware")
    target = tmp_path / ("a.onnx" if form == "onnx" else "a.xml")
    with pytest.raises(OutputError, match=rf"{name}: is there already, and is no export that kizu wrote"):
        kizu.export("no such model", target, to=form)
    assert files(tmp_path) == {name: b"firmware"}


@pytest.mark.parametrize(("form", "name"), [("onnx", "a.onnx"), ("openvino", "a.xml")])
def test_a_file_of_others_stays(kizu_command: Command, model: Path, tmp_path: Path, form: str, name: str) -> None:
    target = tmp_path / name
    target.write_bytes(b"a network")
    said = kizu_command("export", model, "--to", form, "-o", target)
    assert f"{target}: is there already, and is no export that kizu wrote: it would be lost." in said.error
    assert files(tmp_path) == {name: b"a network"}
    target.unlink()
    for _ in range(2):  # an export by kizu is replaced
        assert kizu_command("export", model, "--to", form, "-o", target).code == 0


def test_predicting_loads_nothing_of_it(model: Path, tmp_path: Path) -> None:
    unwanted = ("onnx", "kizu.exports", "openvino")
    program = f"import sys, kizu.workflows; print([name for name in {unwanted} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "[]\n"


def test_in_a_process_of_its_own(model: Path, tmp_path: Path) -> None:
    said = in_its_own_process(["export", model, "-o", tmp_path / "傷.onnx"])
    assert (said.code, said.err) == (0, "Checking the export (6)\n")
    assert (tmp_path / "傷.onnx").exists()


def test_an_image_alone_is_one(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "ab" / "1.png", tile(4))
    monkeypatch.chdir(tmp_path)
    found = kizu.export(model, tmp_path / "a.onnx", images="ab")
    assert found.agreement.images == 7
