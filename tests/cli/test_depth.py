"""``kizu fit`` with a window and channels, and what the commands tell of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.running import Command
from workflows.test_depth import save, texture

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")

SMALL = ("--image-size", 64, "--false-alarms", 0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("赤外線")
    for number in range(6):
        planes = [texture(100 * plane + number) for plane in range(4)]
        save(folder / f"{number}.tif", np.dstack(planes))
    return folder


def test_a_window_from_the_images(kizu: Command, data: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.kizu"
    said = kizu("fit", data, "-o", model, *SMALL, "--window", "auto", "--channels", "3")
    assert said.code == 0
    assert "Of each file the channels 3 are seen." in said.out
    (line,) = (line for line in said.out.splitlines() if line.startswith("Samples from "))
    assert line.endswith("are seen as levels from 0 to 255, not rounded.")
    low, high = (float(word) for word in line.split()[2:5:2])
    assert 900 < low < 980
    assert 1020 < high < 1100
    said = kizu("info", model)
    assert f"  window                   {low}, {high}\n" in said.out
    assert "  channels                 3\n" in said.out
    assert kizu("info", model, "--json").document["config"]["window"] == [low, high]
    said = kizu("predict", model, data / "0.tif", "--out", tmp_path / "out")
    assert said.code == 0
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 1


def test_its_settings_again(kizu: Command, data: Path, tmp_path: Path) -> None:
    given = (*SMALL, "--window", "900,1100.5", "--channels", "3,1,0")
    assert kizu("fit", data, "-o", tmp_path / "m.kizu", *given).code == 0
    settings = tmp_path / "s.yaml"
    settings.write_text(kizu("info", tmp_path / "m.kizu", "--config").out, encoding="utf-8")
    assert kizu("fit", data, "-o", tmp_path / "again.kizu", "--config", settings).code == 0
    assert (tmp_path / "again.kizu").read_bytes() == (tmp_path / "m.kizu").read_bytes()


def test_a_missing_window_is_told(kizu: Command, data: Path, tmp_path: Path) -> None:
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", *SMALL)
    assert said.code == 0
    assert "these 16-bit images reach 1,0" in said.err
    assert "Fit with --window auto, which keeps them." in said.err
    assert "5 grey levels of 256 are left" in kizu("check", data).out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--window", "4095"), "`window`: write auto, or two samples such as 0,4095; got '4095'."),
        (("--channels", "1,2"), "`channels`: write one number or three from 0 to 1023, such as 0,1,2"),
        (("--channels", "4"), "0.tif: has 4 channels, numbered from 0; channel 4 was asked for; ask for others with"),
    ],
)
def test_what_cannot_be(kizu: Command, data: Path, tmp_path: Path, given: tuple[str, ...], said: str) -> None:
    assert said in kizu("fit", data, "-o", tmp_path / "m.kizu", *SMALL, *given).error
    assert not (tmp_path / "m.kizu").exists()


def test_a_wrong_setting_is_told_in_kizus_own_words(kizu: Command, data: Path, tmp_path: Path) -> None:
    assert kizu("fit", data, "-o", tmp_path / "m.kizu", "--window", "5,5").error == (
        "`window`: the first sample must be below the second, as in 0,4095; got '5,5'."
    )


def test_defects_are_drawn_in_8_bits_alone(kizu: Command, data: Path, tmp_path: Path) -> None:
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", "--window", "auto", "--auto")
    assert said.error.startswith("`window` must be left out with --auto; got 'auto'. Candidates see images")
    said = kizu("data", "synthesise", data, "-o", tmp_path / "drawn")
    assert "a model with one refuses images of 8 bits" in said.err


def test_an_export_and_files_of_8_bits(kizu: Command, data: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.kizu"
    kizu("fit", data, "-o", model, *SMALL, "--window", "900,1100")
    said = kizu("export", model, "-o", tmp_path / "m.onnx")
    assert "for RGB images of any size, the camera's samples as float32." in said.out
    shallow = save(tmp_path / "浅い.png", (texture(0) // 16).astype(np.uint8))
    assert (
        "浅い.png: has samples of 8 bits, too few for the window 900 to 1100" in kizu("predict", model, shallow).error
    )


def test_reduced_jpeg(kizu: Command, tmp_path: Path) -> None:
    for number in range(6):
        large = np.kron(texture(number) // 4, np.ones((4, 4))).astype(np.uint8)
        save(tmp_path / "photos" / f"{number}.jpg", large)
    model = tmp_path / "m.kizu"
    assert kizu("fit", tmp_path / "photos", "-o", model, *SMALL, "--reduced-jpeg").code == 0
    assert "  reduced_jpeg             True\n" in kizu("info", model).out
    said = kizu("predict", model, tmp_path / "photos" / "0.jpg", "--out", tmp_path / "out")
    assert said.code == 0
    said = kizu("fit", tmp_path / "photos", *SMALL, "--reduced-jpeg", "--roi", "0,0,0.5,0.5")
    assert (
        "`roi` must be left out where reduced_jpeg is true; got '0,0,0.5,0.5'. JPEG files are reduced" in said.error
    )
