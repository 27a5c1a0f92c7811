"""``kizu fit`` with tiles and areas, and what the commands tell of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.running import Command
from inspector.test_tiles import parquet
from kizu.errors import quoted
from kizu.images import read_image
from workflows.test_large_pictures import with_part
from workflows.tiles import write

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")

TILES = ("--tile-size", 64, "--false-alarms", 0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("布")
    for number in range(6):
        write(folder / f"{number}.png", parquet(number))
    return folder


def test_tiles(kizu: Command, data: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.kizu"
    said = kizu("fit", data, "-o", model, *TILES, "--random-tiles", 3)
    assert said.code == 0
    assert "A 200 x 150 image is 24 tiles, 3 of them fitted on, drawn at random." in said.out
    assert "by 6 good images, each scored as if it had not been fitted on" in said.out
    said = kizu("predict", model, data / "0.png", "--out", tmp_path / "out")
    assert said.code == 0
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 1
    said = kizu("info", model)
    for name, value in (("tile_size", 64), ("tile_stride", 32), ("tile_border", 2), ("tile_lattice", 32)):
        assert f"  {name:<24} {value}\n" in said.out
    said = kizu("export", model, "-o", tmp_path / "m.onnx")
    assert said.code == 2
    assert "a model that cuts images into tiles cannot be exported" in said.error


def test_tiles_of_another_size_than_the_networks_are_told(kizu: Command, data: Path, tmp_path: Path) -> None:
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", "--tile-size", 110, "--false-alarms", 0.2)
    assert "A 200 x 150 image is 6 tiles, each brought from 110 to 96 pixels.\n" in said.out


def test_memory_is_refused_with_tiles(kizu: Command, data: Path, tmp_path: Path) -> None:
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", *TILES, "--memory", "2GB")
    assert said.code == 2
    assert said.error.endswith(
        "`memory` must be null where tile_size is given; got '2GB'. To fit in less memory, fit on fewer tiles: "
        "random_tiles."
    )
    assert not (tmp_path / "m.kizu").exists()


def test_stride_and_border(kizu: Command, data: Path, tmp_path: Path) -> None:
    given = ("--tile-size", 128, "--image-size", 64, "--tile-stride", 64, "--tile-border", 2)
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", *given, "--false-alarms", 0.2, "--json")
    config = said.document["config"]
    assert [config[name] for name in ("tile_size", "tile_stride", "tile_border", "image_size")] == [128, 64, 2, 64]
    said = kizu("fit", data, "-o", tmp_path / "n.kizu", "--tile-size", 64, "--tile-stride", 64, "--tile-border", 1)
    assert said.code == 2
    assert said.error.endswith(
        "`tile_stride` must be at most 48 where tile_border is 1; got 64. Gaps would be left otherwise."
    )


def test_what_is_cut_off_is_not_told_as_inspected(kizu: Command, data: Path, tmp_path: Path) -> None:
    """Of the box around the area, 100 x 50 of 200 x 150 pixels, the network sees the middle 50 x 50."""
    model, cut = tmp_path / "m.kizu", ("--image-size", 32, "--false-alarms", 0.2, "--set", "keep_aspect=true")
    said = kizu("fit", data, "-o", model, *cut, "--roi", "50,30,100,50")
    assert "\nInspected: 8.3 % of the picture." in said.out
    assert kizu("info", model, "--json", "--area", tmp_path / "area.png").document["area"]["share"] == 0.0833
    picture, image = read_image(tmp_path / "area.png"), read_image(data / "0.png")
    same = (picture == image).all(axis=2)
    assert same[30:80, 75:125].all()
    assert same.mean() < 0.1
    kizu("fit", data, "-o", model, *cut)
    kizu("info", model, "--area", tmp_path / "middle.png")
    same = (read_image(tmp_path / "middle.png") == image).all(axis=2)
    assert same[:, 25:175].all()
    assert same[:, :25].mean() < 0.1


def test_an_area_is_told_and_drawn(kizu: Command, data: Path, tmp_path: Path) -> None:
    model = tmp_path / "a model.kizu"
    said = kizu("fit", data, "-o", model, "--image-size", 64, "--false-alarms", 0.2, "--roi", "50,30,100,75")
    assert f"Inspected: 25 % of the picture. To see which: kizu info {quoted(model)} --area PICTURE.png" in said.out
    said = kizu("info", model, "--area", tmp_path / "area.png")
    assert "\nInspected area\n  share                    0.25\n" in said.out
    picture, image = read_image(tmp_path / "area.png"), read_image(data / "0.png")
    before = (data / "0.png").read_bytes()
    assert "0.png: is there already. Give the picture" in kizu("info", model, "--area", data / "0.png").error
    assert (data / "0.png").read_bytes() == before
    np.testing.assert_array_equal(picture[30:105, 50:150], image[30:105, 50:150])
    assert (picture[:30] >= 170).all()
    document = kizu("info", model, "--json").document
    assert document["area"] == {"share": 0.25, "width": 200, "height": 150, "other_sizes": False}
    other = write(tmp_path / "別.png", parquet(0, 90, 100))
    said = kizu("predict", model, other)
    assert said.code == 2
    assert "別.png: the inspected area was drawn in pixels of 200 x 150 images; this one is 100 x 90" in said.error


def test_a_mask_file_and_its_settings_again(kizu: Command, data: Path, tmp_path: Path) -> None:
    mask = np.zeros((150, 200), np.uint8)
    mask[30:105, 50:150] = 255
    drawn = write(tmp_path / "領域.png", mask)
    given = ("--image-size", 64, "--false-alarms", 0.2)
    assert kizu("fit", data, "-o", tmp_path / "m.kizu", *given, "--roi", drawn).code == 0
    settings = tmp_path / "s.yaml"
    settings.write_text(kizu("info", tmp_path / "m.kizu", "--config").out, encoding="utf-8")
    assert kizu("fit", data, "-o", tmp_path / "again.kizu", "--config", settings).code == 0
    assert (tmp_path / "again.kizu").read_bytes() == (tmp_path / "m.kizu").read_bytes()
    drawn.unlink()
    said = kizu("fit", data, "-o", tmp_path / "n.kizu", "--config", settings)
    assert said.code == 2
    assert "a mask file that exists" in said.error


def test_a_foreground(kizu: Command, data: Path, tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "parts" / f"{number}.png", with_part(number))
    given = ("--foreground", "--image-size", 64, "--false-alarms", 0.2)
    said = kizu("fit", tmp_path / "parts", "-o", tmp_path / "m.kizu", *given)
    assert "% of the picture. To see which" in said.out
    said = kizu("fit", data, "-o", tmp_path / "n.kizu", *given)
    assert said.code == 0
    assert "no clear foreground: " in said.err
    assert "Everything is inspected; or draw the area with --roi." in said.err


def test_images_that_change_in_size_during_a_fit_are_named(kizu: Command, data: Path, tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "mixed" / f"{number}.png", parquet(number, 150 - 8 * (number == 2)))
    said = kizu("fit", tmp_path / "mixed", "-o", tmp_path / "m.kizu", "--image-size", 64, "--roi", "50,30,100,75")
    assert said.code == 2
    assert "2.png: the inspected area was drawn in pixels of 200 x 150 images; this one is 200 x 142" in said.error
