"""Every bad input gives one line that says what, where and what to do, exit code 2, and changes no file."""

from __future__ import annotations

import errno
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.running import Command, files
from images.making import huge_png
from inspector.archives import packed, rewritten, unpacked
from workflows import tiles
from workflows.tiles import tile

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")  # commands show them, they are no errors

SMALL = ("--image-size", 64, "--false-alarms", 0.2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Seven good images: enough for a fit."""
    tiles.good(tmp_path / "部品", 7)
    return tmp_path / "部品"


def mixed(name: str, content: bytes) -> Callable[[Path], Path]:
    """Good images, and among them one that is not."""

    def make(root: Path) -> Path:
        tiles.good(root / "部品", 7)
        (root / "部品" / name).write_bytes(content or b"")
        return root / "部品"

    return make


def one_pixel() -> bytes:
    from images.making import encode

    return encode(np.zeros((1, 1, 3), np.uint8), "PNG")


def cut(kind: str) -> bytes:
    from images.making import encode

    whole = encode(tile(0), kind)
    return whole[: len(whole) * 2 // 3]


def empty_folder(root: Path) -> Path:
    (root / "空").mkdir()
    return root / "空"


def text_only(root: Path) -> Path:
    (root / "文書").mkdir()
    (root / "文書" / "メモ.txt").write_text("nothing")
    return root / "文書"


def too_few(root: Path) -> Path:
    tiles.good(root / "少", 1)
    return root / "少"


DATA: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no such path": (lambda root: root / "無い", "no such file or folder; check the name"),
    "empty folder": (empty_folder, "no images, but|the folder is empty; expected train/good/"),
    "no images": (text_only, "no images, but the files メモ.txt; expected train/good/"),
    "unreadable": (mixed("壊.png", b"not an image"), r"壊\.png: not an image kizu reads .* --skip-unreadable"),
    "truncated png": (mixed("壊.png", cut("PNG")), r"壊\.png: .*--skip-unreadable"),
    "truncated jpeg": (mixed("壊.jpg", cut("JPEG")), r"壊\.jpg: .*--skip-unreadable"),
    "truncated webp": (mixed("壊.webp", cut("WEBP")), r"壊\.webp: .*--skip-unreadable"),
    "truncated bmp": (mixed("壊.bmp", cut("BMP")), r"壊\.bmp: .*--skip-unreadable"),
    "truncated tiff": (mixed("壊.tif", cut("TIFF")), r"壊\.tif: .*--skip-unreadable"),
    "zero bytes": (mixed("壊.png", b""), r"壊\.png: the file is empty \(0 bytes\).*--skip-unreadable"),
    "1×1": (mixed("壊.png", one_pixel()), r"壊\.png: 1×1 pixels are too few.*--skip-unreadable"),
    "30,000²": (mixed("壊.png", huge_png(30_000)), r"壊\.png: 30000×30000 is .*--max-pixels 900000000"),
    "too few": (too_few, r"少: 1 good image to fit on; patchcore needs at least 2 \(1 to fit and one to leave out"),
    "single image": (lambda root: tiles.write(root / "a.png", tile(0)), r"a\.png: is a single image; give a folder"),
}


@pytest.mark.parametrize("name", DATA)
def test_fitting_on_bad_data(kizu: Command, tmp_path: Path, name: str) -> None:
    make, words = DATA[name]
    given = make(tmp_path)
    (tmp_path / "ねじ.kizu").write_bytes(b"old")
    before = files(tmp_path)
    said = kizu("fit", given, "-o", tmp_path / "ねじ.kizu", *SMALL)
    assert re.search(words, said.error), said.error
    assert str(given) in said.error
    assert files(tmp_path) == before
    assert "Traceback" not in said.out


OPTIONS: dict[str, tuple[list[object], str]] = {
    "NaN of the detector": (["--set", "detector.coreset_ratio=.nan"], "`coreset_ratio` must be in (0, 1]; got nan."),
    "NaN option": (["--false-alarms", "nan"], "`false_alarms`: input should be a finite number; got nan."),
    "NaN setting": (["--set", "false_alarms=.nan"], "`false_alarms`: input should be a finite number; got nan."),
    "ten for ten percent": (["--set", "detector.coreset_ratio=10"], "For ten percent write 0.1."),
    "misspelt setting": (["--set", "fals_alarms=0.1"], "unknown setting 'fals_alarms'. Did you mean 'false_alarms'?"),
    "misspelt parameter": (
        ["--set", "detector.coreset_ration=1"],
        "Did you mean 'coreset_ratio' or 'coreset_count'?",
    ),
    "misspelt section": (["--set", "detectr.neighbors=1"], "Did you mean 'detector.neighbors' or 'detector'?"),
    "no value": (["--set", "seed"], "--set seed: write KEY=VALUE"),
    "bad value": (["--set", "seed=2020-99-99"], "--set seed=2020-99-99: cannot read the value"),
    "detector": (["--detector", "padin"], "unknown detector 'padin'. Did you mean 'padim'?"),
    "backbone": (["--backbone", "efficientnet_light0"], "Did you mean 'efficientnet_lite0'"),
    "layer": (["--layers", "block.2"], "unknown layer 'block.2'. Did you mean 'blocks.2'"),
    "image size": (["--image-size", "8"], "`image_size`: input should be greater than or equal to 32; got 8."),
    "no number": (["--image-size", "big"], "Invalid value for '--image-size': "),
    "seed": (["--seed", "-1"], "`seed`: input should be greater than or equal to 0; got -1."),
    "no config": (["--config", "無い.yaml"], "無い.yaml: cannot read the configuration: No such file or directory."),
    "pixels": (["--max-pixels", "0"], "Invalid value for '--max-pixels': "),
    "few pixels": (["--max-pixels", "100"], "96×96 is 9,216 pixels, more than the limit of 100"),
    "unknown option": (["--detecter", "padim"], "No such option: --detecter"),
    "option without value": (["--seed"], "Option '--seed' requires an argument. See `kizu fit --help`."),
    "one argument too many": (["more"], "unexpected extra argument"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_fitting_with_bad_options(kizu: Command, data: Path, tmp_path: Path, name: str) -> None:
    options, words = OPTIONS[name]
    (tmp_path / "ねじ.kizu").write_bytes(b"old")
    before = files(tmp_path)
    said = kizu("fit", data, "-o", tmp_path / "ねじ.kizu", *options)
    assert words in said.error
    assert files(tmp_path) == before


@pytest.mark.parametrize("content", [b"imagesize: 5", b"a: [1", b"\xff\xfe", b"just words"])
def test_fitting_with_a_bad_config(kizu: Command, data: Path, tmp_path: Path, content: bytes) -> None:
    config = tmp_path / "設定.yaml"
    config.write_bytes(content)
    before = files(tmp_path)
    assert str(config) in kizu("fit", data, "-o", tmp_path / "a.kizu", "--config", config).error
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ft"], "No such command 'ft'."),
        (["fit"], "Missing argument 'DATA'. See `kizu fit --help`."),
        (["predict"], "Missing argument 'MODEL'. See `kizu predict --help`."),
        (["predict", "a.kizu"], "Missing argument 'PATH'. See `kizu predict --help`."),
        (["evaluate", "a.kizu"], "Missing argument 'DATA'. See `kizu evaluate --help`."),
        (["info"], "Missing argument 'MODEL'"),
        (["--verson"], "No such option: --verson"),
        (["demo", "--seed", "x"], "Invalid value for '--seed': "),
    ],
)
def test_mistyped_commands(kizu: Command, arguments: list[str], words: str) -> None:
    said = kizu(*arguments)
    assert words in said.error
    assert "?." not in said.error
    assert said.err == f"error: {said.error}\n"
    assert said.out == ""


def newer(model: Path, path: Path) -> Path:
    return rewritten(model, path, {}, lambda manifest: manifest.update(schema=6))


def truncated(model: Path, path: Path) -> Path:
    path.write_bytes(model.read_bytes()[:100_000])
    return path


def altered(model: Path, path: Path) -> Path:
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return path


def climbing(model: Path, path: Path) -> Path:
    return packed(path, [*unpacked(model).items(), ("../evil.npy", b"")])


def folder(model: Path, path: Path) -> Path:
    path.mkdir()
    return path


def foreign(model: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")
    return path


MODELS: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "missing": (lambda model, path: path, "no such model file. Check the path, or make one with `kizu fit`."),
    "folder": (folder, "is a folder, not a model file. Give the path of a .kizu file."),
    "truncated": (truncated, "truncated or damaged"),
    "altered": (altered, "truncated or damaged (Bad CRC-32"),
    "newer": (newer, "written by a newer kizu (schema 6, this one reads up to 5). Update with"),
    "climbing": (climbing, "unsafe entry '../evil.npy'; not a file kizu wrote. Do not use it."),
    "foreign zip": (foreign, "not a kizu model file (no usable manifest.json). Give a file made by `kizu fit`."),
    "image": (lambda model, path: tiles.write(path.with_suffix(".png"), tile(0)), "truncated or damaged"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("command", ["predict", "evaluate", "info"])
def test_bad_models(kizu: Command, model: Path, parts: Path, tmp_path: Path, name: str, command: str) -> None:
    make, words = MODELS[name]
    bad = make(model, tmp_path / "ねじ.kizu")
    before = files(tmp_path)
    images = [] if command == "info" else [parts, "--out", tmp_path / "out"]
    said = kizu(command, bad, *images)
    assert said.error.startswith(f"{bad}: ")
    assert words in said.error
    assert said.out == ""
    assert files(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    ("part", "odd"),
    [("history", 5), ("history", None), ("history", [{"id": "a"}]), ("data", 5), ("backbone", []), ("versions", "x")],
)
def test_a_model_of_odd_provenance(
    kizu: Command, model: Path, tmp_path: Path, part: str, odd: object, as_json: tuple[str, ...]
) -> None:
    path = rewritten(model, tmp_path / "a.kizu", {}, lambda manifest: manifest["provenance"].update({part: odd}))
    said = kizu("info", path, *as_json)
    assert re.match(rf"{re.escape(str(path))}: the model file is damaged: .*{part}.*\. Restore it or fit", said.error)
    assert said.out == ""


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_bad_images_leave_the_table_as_it_was(
    kizu: Command, model: Path, tmp_path: Path, command: str, as_json: tuple[str, ...]
) -> None:
    data = tiles.good_bad(tmp_path / "部品", sound=10, scratched=2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.csv").write_bytes(b"old")
    (data / "bad" / "壊れ.png").write_bytes(b"")
    said = kizu(command, model, data, "--out", tmp_path / "out", *as_json)
    assert said.error.startswith(f"{data / 'bad' / '壊れ.png'}: the file is empty")
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == b"old"
    if as_json:
        assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["無い.png"], "無い.png: no such file or folder. Check the path"),
        ([""], "no images|"),
        (["{parts}", "--save", "input"], "--save needs a folder to save to; add --out DIR."),
        (["{parts}", "--out", "{tmp}/out", "--save", "heatmap"], "unknown part 'heatmap'. Did you mean 'heat_map'"),
        (["{parts}", "--out", "{tmp}/file"], "is a file, not a folder"),
        (["{parts}", "--out", "{tmp}/file/out"], "a part of this path is a file"),
        (["{parts}", "--out", "/proc/out"], "/proc/out: cannot be written"),
        (["{tmp}/空"], "空: no images in this folder"),
        (["{parts}", "--max-pixels", "9215"], "96×96 is 9,216 pixels"),
        (["x" * 300], "File name too long"),
    ],
)
def test_predicting_what_or_where_cannot_be(
    kizu: Command, model: Path, parts: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "空").mkdir()
    given = [argument.format(parts=parts, tmp=tmp_path) or tmp_path / "空" for argument in arguments]
    assert words.rstrip("|") in kizu("predict", model, *given).error
    assert files(tmp_path) == {"file": b"old"}


@pytest.mark.parametrize(
    ("command", "option", "value", "needed", "together"),
    [
        ("evaluate", "--scale", "cdf", "--out DIR", ["--out", "out"]),
        ("evaluate", "--min-area", "9", "--out DIR or --report FILE", ["--out", "out"]),
        ("evaluate", "--min-area", "9", "--out DIR or --report FILE", ["--report", "r.html"]),
        ("evaluate", "--lang", "ja", "--report FILE", ["--report", "r.html"]),
        ("predict", "--min-area", "9", "--out DIR", ["--out", "out"]),
        ("report", "--chromium", "no such program", "--pdf", ["--pdf"]),
    ],
)
def test_an_option_that_would_do_nothing(
    kizu: Command,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    option: str,
    value: str,
    needed: str,
    together: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tiles.good_bad(tmp_path / "部品", sound=5, scratched=2)
    said = kizu(command, model, root, option, value)
    assert said.error == f"{option} does nothing without {needed}; add that, or leave {option} out."
    assert [path.name for path in tmp_path.iterdir()] == ["部品"]
    said = kizu(command, model, root, option, value, *together)
    assert "does nothing" not in said.err
    assert said.code == 0 or "no such program" in said.error


def test_evaluating_what_cannot_be(kizu: Command, model: Path, tmp_path: Path) -> None:
    root = tiles.good_bad(tmp_path / "部品", sound=5, scratched=2)
    mask = tiles.write(root / "mask" / "傷101.png", np.full((95, 96), 255, np.uint8))
    for skip in ((), ("--skip-unreadable",)):
        assert f"{mask}: the mask is 96×95 pixels, its image" in kizu("evaluate", model, root, *skip).error
    mask.write_bytes(b"")
    assert f"{mask}: the file is empty" in kizu("evaluate", model, root).error
    for command in (["evaluate", model], ["report", model], ["compare", model, model]):
        assert f"{mask}: the file is empty" in kizu(*command, root).error
        assert kizu(*command, root).error.endswith("or use --skip-unreadable.")
    tiles.good(tmp_path / "良品だけ", 3)
    assert "良品だけ: no labelled test images" in kizu("evaluate", model, tmp_path / "良品だけ").error
    assert "no such file or folder" in kizu("evaluate", model, tmp_path / "無い").error


@pytest.mark.parametrize("out", ["/proc/a.kizu", "{tmp}", "{tmp}/file/a.kizu"])
def test_where_a_model_cannot_be_written_is_told_before_images_are_read(
    kizu: Command, data: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    before = files(tmp_path)
    target = out.format(tmp=tmp_path)
    said = kizu("fit", data, "-o", target, *SMALL)
    assert said.error.startswith(("/proc: cannot be written", target, str(tmp_path / "file")))
    assert "Reading images" not in said.err
    assert files(tmp_path) == before


def test_unreadable_alone(kizu: Command, model: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"")
    assert "none of 2 images can be read; the first: " in kizu("predict", model, tmp_path, "--skip-unreadable").error


def test_an_interrupt_anywhere_in_a_fit(
    kizu: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "ねじ.kizu"
    target.write_bytes(b"old")
    before = files(tmp_path)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for where in (
        "kizu.images.reading.decode",
        "kizu.detectors._leave_one_out.LeavingOne",
        "zipfile.ZipFile.open",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, interrupted)
            said = kizu("fit", data, "-o", target, *SMALL)
        assert said.code == 130
        assert said.err.endswith("\ninterrupted: existing files are as they were.\n")
        assert "Traceback" not in said.err
        assert files(tmp_path) == before
    shutil.rmtree(data)


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("libfaiss.so: failed to map segment from shared object"),
        ImportError("libfaiss.so: cannot allocate memory in static TLS block"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=str,
)
def test_too_little_memory(
    kizu: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr("kizu.detectors.patchcore.gathered", full)
    assert "not enough memory. Use fewer or smaller images" in kizu("fit", data, "-o", tmp_path / "a", *SMALL).error


def test_what_has_nothing_to_do_with_memory_is_not_hidden(
    kizu: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("kizu.detectors.patchcore.gathered", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        kizu("fit", data, "-o", tmp_path / "a", *SMALL)
