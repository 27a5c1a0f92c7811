"""`kizu presets`, `kizu fit --preset`, and what a preset that cuts makes `kizu fit` say."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from cli.running import Command
from kizu import presets
from workflows import tiles
from workflows.tiles import tile

ALL = presets.names()


def entries(path: Path) -> dict[str, bytes]:
    """All that a model learnt."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}


def test_a_copied_file_gives_the_same_model(kizu: Command, tmp_path: Path) -> None:
    tiles.good(tmp_path / "部品", 8)
    said = kizu("presets", "show", "lite-fast")
    assert (said.code, said.out) == (0, presets.text("lite-fast"))
    (tmp_path / "写し.yaml").write_text(said.out, encoding="utf-8")
    common = ["fit", tmp_path / "部品", "--image-size", 64, "--false-alarms", 0.2]
    assert kizu(*common, "--preset", "lite-fast", "-o", tmp_path / "a.kizu").code == 0
    assert kizu(*common, "--config", tmp_path / "写し.yaml", "-o", tmp_path / "b.kizu").code == 0
    assert kizu(*common, "-o", tmp_path / "c.kizu").code == 0
    assert entries(tmp_path / "a.kizu") == entries(tmp_path / "b.kizu")
    assert entries(tmp_path / "a.kizu") != entries(tmp_path / "c.kizu")


def test_options_and_settings_win_over_a_file_and_that_over_a_preset(kizu: Command, tmp_path: Path) -> None:
    tiles.good(tmp_path / "部品", 8)
    (tmp_path / "a.yaml").write_text("image_size: 96\nsigma: 1.5\nlayers: [blocks.1]\n")
    options = ["--config", tmp_path / "a.yaml", "--image-size", 64, "--set", "sigma=2.5", "--false-alarms", 0.2]
    said = kizu("fit", tmp_path / "部品", "--preset", "lite-fast", *options, "-o", tmp_path / "a.kizu", "--json")
    found = said.document["config"]
    assert (found["preset"], found["layers"], found["image_size"]) == ("lite-fast", ["blocks.1"], 64)
    assert (found["sigma"], found["detector"]["coreset_ratio"]) == (2.5, 0.01)
    assert said.document["provenance"]["preset"] == "lite-fast"


def test_a_file_can_name_a_preset(kizu: Command, tmp_path: Path) -> None:
    tiles.good(tmp_path / "部品", 8)
    (tmp_path / "a.yaml").write_text("preset: lite-fast\nimage_size: 64\ndetector: {coreset_ratio: 0.5}\n")
    given = ["--config", tmp_path / "a.yaml", "--false-alarms", 0.2, "-o", tmp_path / "a.kizu", "--json"]
    found = kizu("fit", tmp_path / "部品", *given).document["config"]
    assert (found["layers"], found["detector"]["coreset_ratio"]) == (["blocks.2", "blocks.4"], 0.5)


def test_list_and_show(kizu: Command) -> None:
    listed = kizu("presets", "list").out.splitlines()
    assert [line.split()[0] for line in listed] == list(ALL)
    assert [line.split(maxsplit=1)[1] for line in listed] == [presets.title(name) for name in ALL]
    found = kizu("presets", "list", "--json").document
    assert found == {"presets": [{"name": name, "title": presets.title(name)} for name in ALL]}
    one = kizu("presets", "show", "lite", "--json").document
    assert one == {
        "name": "lite",
        "title": presets.title("lite"),
        "settings": presets.settings("lite"),
        "text": presets.text("lite"),
    }


def test_unknown_presets_at_the_command_line(kizu: Command, tmp_path: Path) -> None:
    tiles.good(tmp_path / "部品", 8)
    words = "unknown preset 'light'. Did you mean 'lite'?"
    assert kizu("presets", "show", "light").error.startswith(words)
    assert kizu("fit", tmp_path / "部品", "--preset", "light", "-o", tmp_path / "a.kizu").error.startswith(words)
    assert not (tmp_path / "a.kizu").exists()
    assert "Missing command" in kizu("presets").error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["resize=80", "image_size=64"],
            "middle 79 % x 79 % of a 96 x 96 image is inspected (image_size 64, cut out after a resize to 80)",
        ),
        (["image_size=64"], None),
        (["resize=64", "image_size=64"], None),
    ],
)
def test_a_cut_is_told(kizu: Command, tmp_path: Path, options: list[str], words: str | None) -> None:
    tiles.good(tmp_path / "部品", 8)
    settings = [part for option in options for part in ("--set", option)]
    said = kizu("fit", tmp_path / "部品", "--false-alarms", 0.2, "-o", tmp_path / "a.kizu", *settings)
    assert said.code == 0
    assert (words in said.out) if words else ("Only the middle" not in said.out)


def test_a_cut_of_long_images_is_told_for_both_sides(kizu: Command, tmp_path: Path) -> None:
    for number in range(8):
        tiles.write(tmp_path / "部品" / f"{number}.png", np.repeat(tile(number), 2, axis=1))
    settings = ["--set", "resize=64", "--set", "image_size=64", "--set", "keep_aspect=true"]
    said = kizu("fit", tmp_path / "部品", "--false-alarms", 0.2, "-o", tmp_path / "a.kizu", *settings)
    assert "Only the middle 50 % x 100 % of a 192 x 96 image is inspected" in said.out
    assert "(image_size 64, cut out after a resize of the shorter side to 64)" in said.out
    kept = settings[2:]
    said = kizu("fit", tmp_path / "部品", "--false-alarms", 0.2, "-o", tmp_path / "b.kizu", *kept)
    assert "(image_size 64, cut out after a resize of the shorter side to 64)" in said.out
