"""``kizu fit --robust`` and what the commands tell of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.running import Command
from workflows import tiles

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")

SMALL = ("--image-size", 64, "--false-alarms", 0.05)


def mixed(root: Path, *, sound: int = 60, scratched: int = 3) -> Path:
    tiles.good(root, sound)
    tiles.bad(root, scratched)
    return root


def test_what_is_set_aside_is_told(kizu: Command, tmp_path: Path) -> None:
    data, model = mixed(tmp_path / "部品"), tmp_path / "m.kizu"
    said = kizu("fit", data, "-o", model, "--robust", *SMALL)
    assert said.code == 0
    (line,) = (line for line in said.out.splitlines() if line.startswith("Set aside "))
    assert " patches of 3 of 63 images: 傷10" in line
    assert "Remove those that are; good ones: kizu update MODEL IMAGES --selected.\n" in said.out
    assert ", by 60 good images, each scored as if it had not been fitted on.\n" in said.out
    assert "Looking for defects (64)" in said.err

    said = kizu("info", model)
    assert "  images set aside         3\n" in said.out
    assert "  robust                   True\n" in said.out
    assert all(name in said.out for name in ("傷100.png", "傷101.png", "傷102.png"))
    document = kizu("info", model, "--json").document
    assert len(document["provenance"]["data"]["set_aside"]) == document["detector"]["images set aside"] == 3


def test_only_the_first_names_are_told(kizu: Command, tmp_path: Path) -> None:
    data = mixed(tmp_path / "data", scratched=7)
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", "--robust", *SMALL)
    assert " patches of 7 of 67 images: 傷10" in said.out
    assert " and 2 more.\n" in said.out


@pytest.mark.parametrize("detector", ["patchcore", "padim"])
def test_nothing_is_set_aside_of_good_images(kizu: Command, tmp_path: Path, detector: str) -> None:
    data = mixed(tmp_path / "data", sound=40, scratched=0)
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", "--robust", "--detector", detector, *SMALL)
    assert "Set nothing aside: no image stands out.\n" in said.out
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", "--detector", detector, *SMALL)
    assert " aside" not in said.out


def test_too_few_images_are_told(kizu: Command, tmp_path: Path) -> None:
    said = kizu("fit", mixed(tmp_path / "data", sound=8), "-o", tmp_path / "m.kizu", "--robust", *SMALL)
    assert said.code == 0
    assert "11 good images do not tell which stand out; nothing is set aside. Give 20 or more." in said.err


def test_the_option_is_short_for_the_detectors_parameter(kizu: Command, tmp_path: Path) -> None:
    data, settings = mixed(tmp_path / "data", sound=25, scratched=1), tmp_path / "s.yaml"
    settings.write_text("detector: {name: padim, reduced_dims: 20}\n", encoding="utf-8")
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", "--config", settings, "--robust", "--json", *SMALL)
    detector = {"name": "padim", "reduced_dims": 20, "regularisation": 0.01, "robust": True}
    assert said.document["config"]["detector"] == detector
    off = kizu("fit", data, "-o", tmp_path / "m.kizu", "--robust", "--set", "detector.robust=false", "--json", *SMALL)
    assert off.document["config"]["detector"]["robust"] is False


def test_a_robust_that_is_neither_on_nor_off(kizu: Command, tmp_path: Path) -> None:
    data = mixed(tmp_path / "data", sound=3, scratched=0)
    said = kizu("fit", data, "-o", tmp_path / "m.kizu", "--set", "detector.robust=0.15")
    assert said.error == "`robust` must be true or false; got 0.15."
