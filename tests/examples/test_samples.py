"""The programs in ``examples/`` say what kizu says. `.ci/samples` builds them, and runs this."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import kizu
from workflows.tiles import SMALL, good, tile

BUILT = Path(os.environ.get("KIZU_SAMPLES", "."))
SOURCES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.skipif("KIZU_SAMPLES" not in os.environ, reason="needs the programs that .ci/samples builds")

PROGRAMS = {
    "cpp": [str(BUILT / "cpp" / "inspect")],
    "javascript": ["node", str(BUILT / "javascript" / "inspect.js")],
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, kizu.Inspector]:
    """A model, and its export in a folder that a line of Japan may have."""
    folder = tmp_path_factory.mktemp("傷")
    good(folder / "good", 12)
    inspector = kizu.fit(folder / "good", **SMALL)
    inspector.save(folder / "a.kizu")
    return kizu.export(folder / "a.kizu", folder / "部品.onnx").files[0], inspector


def ppm(path: Path, image: np.ndarray, head: str = "P6\n{width} {height}\n255\n") -> Path:
    path.write_bytes(head.format(height=image.shape[0], width=image.shape[1]).encode() + image.tobytes())
    return path


def run(program: str, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAMS[program], *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=120)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("head", ["P6\n{width} {height}\n255\n", "P6\n# GIMP\n{width} {height}\n255\n"])
@pytest.mark.parametrize("scratched", [False, True])
def test_it_prints_what_kizu_says(
    program: str, head: str, scratched: bool, exported: tuple[Path, kizu.Inspector], tmp_path: Path
) -> None:
    model, inspector = exported
    fresh = (tile(number) for number in range(200, 260))  # a fitted one may tie with a calibration score
    sound = next(image for image in fresh if inspector.predict(image).verdict == "ok")
    image = tile(101, scratched=True)[:80] if scratched else sound
    done = run(program, tmp_path, model, ppm(tmp_path / "画像.ppm", image, head))
    assert done.returncode == 0, done.stderr
    said = dict(line.split() for line in done.stdout.splitlines())
    wanted = inspector.predict(image)
    assert inspector.calibration is not None
    assert float(said["score"]) == pytest.approx(wanted.score, rel=1e-4)
    assert float(said["threshold"]) == pytest.approx(wanted.threshold, rel=1e-6)
    assert float(said["p_value"]) == pytest.approx(inspector.calibration.p_value(float(said["score"])), rel=1e-5)
    assert said["verdict"] == wanted.verdict == ("ng" if scratched else "ok")
    head_of_map, pixels = (tmp_path / "map.pgm").read_bytes()[:13], (tmp_path / "map.pgm").read_bytes()[13:]
    assert head_of_map == b"P5\n64 64\n255\n"
    drawn = np.frombuffer(pixels, np.uint8).reshape(64, 64).astype(int)
    expected = np.minimum(wanted.anomaly_map / wanted.pixel_threshold * 127.5, 255).astype(int)
    assert np.abs(drawn - expected).max() <= 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_mistakes_are_one_error(program: str, exported: tuple[Path, kizu.Inspector], tmp_path: Path) -> None:
    short = ppm(tmp_path / "short.ppm", tile(1)[:50], "P6 {width} 96 255\n")
    for arguments in ((), (exported[0],), (exported[0], short), (exported[0], __file__), (tmp_path / "no", short)):
        done = run(program, tmp_path, *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert re.match(r"error: .", done.stderr)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_readme_shows_the_commands_that_ran(program: str) -> None:
    text = (SOURCES / program / "README.md").read_text(encoding="utf-8")
    script = (SOURCES.parent / ".ci" / "samples").read_text(encoding="utf-8")
    commands = {
        "cpp": ["from openvino.utils import get_cmake_path; print(get_cmake_path())", "-DCMAKE_BUILD_TYPE=Release"],
        "javascript": ["--ignore-scripts", "npm "],
    }
    for command in commands[program]:
        assert command in text
        assert command in script
