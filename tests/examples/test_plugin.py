"""The example plug-in, built and installed for real, in processes that find it by its entry points."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from workflows import tiles

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugin"
FIT = ["--detector", "subspace", "--backbone", "gabor", "--image-size", "96", "--false-alarms", "0.2"]

LOAD = """
import json, sys, kizu
inspector = kizu.load(sys.argv[1])
found = inspector.predict([path for path in sys.argv[2:]])
print(json.dumps([[p.score, p.verdict, [int(i) for i in p.full_map.argmax(keepdims=True).ravel()]] for p in found]))
"""

EXPORT = """
import numpy as np, onnxruntime, kizu
from onnx import TensorProto
from kizu.detectors import build
from kizu.graphs import Graph, Output
rng = np.random.default_rng(0)
mixing = rng.standard_normal((9, 9))
good, test = (rng.standard_normal((n, 4, 5, 9)) @ mixing for n in (20, 3))
detector = build("subspace", {}).fit([good.astype(np.float32)])
expected = detector.score(test.astype(np.float32))
graph = Graph()
graph.input("embedding", TensorProto.FLOAT, [1, 4, 5, 9])
patches, image = detector.write(graph, "embedding", (4, 5))
model = graph.serialised([Output(patches, (1, 4, 5)), Output(image, ())])
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
for number, embedding in enumerate(test.astype(np.float32)):
    found = session.run(None, {"embedding": embedding[None]})
    np.testing.assert_allclose(found[0][0], expected.patches[number], rtol=1e-4)
    np.testing.assert_allclose(found[1], expected.images[number], rtol=1e-4)
assert expected.images.min() > 0.1
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the plug-in; built from a copy, so that the source stays clean."""
    folder = tmp_path_factory.mktemp("プラグイン")
    shutil.copytree(EXAMPLE, folder / "source")
    target = folder / "site"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(folder / "source")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = distributions(path=[str(target)])
    assert found.metadata["Name"] == "kizu-example-plugin"
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])}


def run(arguments: list[object], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "utf8", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", env=environment, cwd=ROOT)


def output(arguments: list[object], environment: dict[str, str]) -> str:
    done = run(arguments, environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def model(installed: dict[str, str], parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "傷.kizu"
    said = output(["-m", "kizu", "fit", parts, "-o", path, *FIT, "--json"], installed)
    found = json.loads(said)
    assert found["config"]["detector"] == {"name": "subspace", "variance": 0.8}
    assert found["config"]["layers"] == ["energy4", "energy8"]
    assert found["detector"]["dimensions"] == 30
    return path


def test_it_finds_scratches_in_another_process(model: Path, installed: dict[str, str], tmp_path: Path) -> None:
    good = tiles.good(tmp_path / "good", 5, first=200)
    bad = tiles.bad(tmp_path / "bad", 5)
    found = json.loads(output(["-W", "error", "-c", LOAD, model, *good, *bad], installed))
    scores = [score for score, _, _ in found]
    assert min(scores[5:]) > 1.5 * max(scores[:5])
    assert [verdict for _, verdict, _ in found[5:]] == ["ng"] * 5
    for number, (_, _, place) in enumerate(found[5:], start=100):
        row, column = divmod(place[0], tiles.SIDE)
        near = tiles.scratch(number)[max(row - 8, 0) : row + 9, max(column - 8, 0) : column + 9]
        assert near.any()


def test_every_command_takes_it(model: Path, installed: dict[str, str], parts: Path) -> None:
    predicted = json.loads(output(["-m", "kizu", "predict", model, parts / "bad", "--json"], installed))
    assert predicted["counts"] == {"ng": 6}
    evaluated = json.loads(output(["-m", "kizu", "evaluate", model, parts, "--json"], installed))
    assert evaluated["image"]["auroc"] == 1.0
    assert evaluated["pixel"]["auroc"] > 0.9
    shown = output(["-m", "kizu", "info", model], installed)
    assert re.search(r"^Detector subspace\n  variance +0\.8$", shown, re.MULTILINE)
    listed = output(["-m", "kizu", "backbones", "list"], installed)
    assert re.search(r"^gabor ", listed, re.MULTILINE)


def test_the_same_images_give_the_same_model(model: Path, installed: dict[str, str], parts: Path) -> None:
    again = model.with_name("again.kizu")
    output(["-m", "kizu", "fit", parts, "-o", again, *FIT], installed)
    assert again.read_bytes() == model.read_bytes()


def test_its_options_are_checked_like_kizus_own(installed: dict[str, str], parts: Path, tmp_path: Path) -> None:
    for setting, words in (
        ("detector.variance=80", "`variance` must be in (0, 1); got 80. For 80 percent write 0.8."),
        ("detector.varience=0.5", "unknown parameter of subspace 'varience'. Did you mean 'variance'?"),
        ("layers=energy3", "gabor: unknown layer 'energy3'. Did you mean 'energy"),
    ):
        done = run(["-m", "kizu", "fit", parts, "-o", tmp_path / "a.kizu", *FIT, "--set", setting], installed)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_without_the_plug_in_its_models_say_what_is_missing(model: Path, parts: Path) -> None:
    done = run(["-m", "kizu", "predict", model, parts / "bad"], dict(os.environ))
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "needs the detector 'subspace', which cannot be had here: unknown detector 'subspace'" in line
    assert line.endswith("Install the package that brings it.")
    assert "damaged" not in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["subspace", "gabor"])
def test_it_keeps_kizus_contracts(installed: dict[str, str], name: str) -> None:
    """kizu's own suites run over every detector and backbone that is installed."""
    suites = {"subspace": "tests/detectors/test_contract.py", "gabor": "tests/backbones/test_contract.py"}
    done = run(["-m", "pytest", "-p", "no:cacheprovider", suites[name], "-k", name], installed)
    assert done.returncode == 0, done.stdout[-3000:]
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > {"subspace": 40, "gabor": 5}[name]


def test_it_can_be_exported(installed: dict[str, str]) -> None:
    output(["-W", "error", "-c", EXPORT], installed)
