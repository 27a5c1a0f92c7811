"""``kizu fit --auto`` at a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

import kizu as package
from cli.running import Command
from kizu.workflows import _auto
from workflows.tiles import tile, write


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_auto, "CANDIDATES", (("lite-fast", 64), ("lite", 64)))
    for number in range(24):
        write(tmp_path / "tiles" / f"{number:02}.png", tile(number))
    return tmp_path / "tiles"


def test_it_tells_what_was_tried_and_fits_what_it_chose(kizu: Command, parts: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.kizu"
    said = kizu("fit", parts, "-o", model, "--auto", "--false-alarms", 0.2)
    assert said.code == 0, said
    assert "Tried on 8 good images held out, as they are and with defects drawn on them:\n" in said.out
    assert "Trying presets (2)" in said.err
    for preset in ("lite-fast", "lite"):
        assert f"\n  {preset:<12}    64" in said.out
    (line,) = (line for line in said.out.splitlines() if line.startswith("Chosen: "))
    config = package.load(model).config
    assert line.startswith(f"Chosen: {config.preset} at 64 pixels: it ")
    assert config.false_alarms == 0.2


def test_as_json(kizu: Command, parts: Path, tmp_path: Path) -> None:
    document = kizu("fit", parts, "-o", tmp_path / "m.kizu", "--auto", "--json", "--false-alarms", 0.2).document
    assert {trial["preset"] for trial in document["auto"]["trials"]} == {"lite", "lite-fast"}
    assert package.load(tmp_path / "m.kizu").config.preset == document["auto"]["preset"]


@pytest.mark.parametrize("option", ["--preset", "--detector", "--backbone", "--image-size"])
def test_what_it_chooses_is_not_to_be_given(kizu: Command, parts: Path, option: str) -> None:
    values = {"--preset": "lite", "--detector": "padim", "--backbone": "resnet18", "--image-size": 64}
    said = kizu("fit", parts, "--auto", option, values[option])
    assert said.error == f"--auto chooses `{option[2:].replace('-', '_')}` itself. Leave one of the two out."


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--robust"], "--robust"),
        (["--set", "detector.coreset_ratio=0.1"], "--set detector.coreset_ratio=0.1"),
        (["--set", "seed=1", "--set", "detector=padim"], "--set detector=padim"),
    ],
)
def test_what_changes_the_detector_is_named(kizu: Command, parts: Path, options: list[str], named: str) -> None:
    said = kizu("fit", parts, "--auto", *options)
    assert said.error == f"--auto chooses `detector` itself, which {named} changes. Leave one of the two out."


@pytest.mark.filterwarnings("default::kizu.KizuWarning")
def test_images_that_cannot_be_read_are_skipped_if_asked(kizu: Command, parts: Path, tmp_path: Path) -> None:
    (parts / "05.png").write_bytes(b"no image")
    given = ("fit", parts, "-o", tmp_path / "m.kizu", "--auto", "--false-alarms", 0.2)
    assert "05.png: not an image kizu reads" in kizu(*given).error
    said = kizu(*given, "--skip-unreadable")
    assert said.code == 0, said
    assert said.err.count(f"warning: skipped {parts / '05.png'}: not an image kizu reads") == 1


def test_not_with_tiles(kizu: Command, parts: Path) -> None:
    said = kizu("fit", parts, "--auto", "--tile-size", 64)
    assert said.code == 2
    assert said.error.startswith("`tile_size` must be left out with --auto; got 64.")
    assert said.error.endswith("Choose with --preset.")


def test_within_an_area(kizu: Command, parts: Path, tmp_path: Path) -> None:
    options = ("--roi", "0.25,0.25,0.5,0.5", "--false-alarms", 0.2)
    said = kizu("fit", parts, "-o", tmp_path / "m.kizu", "--auto", *options, "--json")
    assert {trial["preset"] for trial in said.document["auto"]["trials"]} == {"lite", "lite-fast"}
    fitted = package.load(tmp_path / "m.kizu")
    assert fitted.area is not None
    assert fitted.config.preset == said.document["auto"]["preset"]


def test_too_few_images(kizu: Command, tmp_path: Path) -> None:
    write(tmp_path / "few" / "1.png", tile(1))
    assert "too few to try presets on; give 20" in kizu("fit", tmp_path / "few", "--auto").error
