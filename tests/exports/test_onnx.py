"""Exported files against the model they came from, run where kizu cannot be imported."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import kizu
from exports.running import run_bare
from kizu.exports import _onnx
from kizu.images import resize
from workflows.tiles import SMALL, tile

MODELS: dict[str, dict[str, Any]] = {
    "patchcore": {},
    "mean of three": {"detector": {"name": "patchcore", "neighbors": 3}},
    "reweighted": {"detector": {"name": "patchcore", "reweight": True, "reweight_neighbors": 5}},
    "walkthrough": {"detector": {"name": "patchcore", "reweight": "walkthrough", "neighbors": 2}},
    "approximate": {"detector": {"name": "patchcore", "coreset_count": 300, "search": "approximate"}},
    "padim": {"detector": {"name": "padim", "reduced_dims": 10}},
    "cut": {"resize": 80},
    "cut, proportions kept": {"resize": 72, "keep_aspect": True, "detector": {"name": "padim", "reduced_dims": 13}},
    "no blur": {"sigma": 0.0, "patch_stride": 16},
}


def inputs() -> list[np.ndarray]:
    """Raw images: of the model's own size, shrunk, grown, oblong, grey in three channels, scratched, plain."""
    sound, scratched = tile(70), tile(103, scratched=True)
    grey = np.repeat(sound[..., :1], 3, axis=2)
    sizes = [resize(scratched, size) for size in ((64, 64), (40, 50), (211, 300), (128, 300), (480, 640))]
    return [sound, scratched, grey, *sizes, np.full((70, 90, 3), 255, np.uint8), tile(3), tile(4)]


def assert_same(found: dict[str, np.ndarray], wanted: kizu.Prediction, inspector: kizu.Inspector) -> None:
    """Far nearer than an export has to be."""
    assert found["score"].shape == found["ng"].shape == found["p_value"].shape == ()
    assert found["anomaly_map"].dtype == np.float32
    assert float(found["score"]) == pytest.approx(wanted.score, rel=1e-5)
    np.testing.assert_allclose(found["anomaly_map"], wanted.anomaly_map, atol=1e-4 * np.ptp(wanted.anomaly_map))
    assert (float(found["threshold"]), float(found["pixel_threshold"])) == (wanted.threshold, wanted.pixel_threshold)
    assert [verdict for verdict in ("review", "ng") if found[verdict]] == [wanted.verdict] * (wanted.verdict != "ok")
    assert float(found["review_threshold"]) == wanted.review_threshold
    assert inspector.calibration is not None
    assert float(found["p_value"]) == pytest.approx(inspector.calibration.p_value(float(found["score"])))


@pytest.fixture(scope="module", params=MODELS)
def kind(request: pytest.FixtureRequest, parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: a model of each kind."""
    path = tmp_path_factory.mktemp("kind") / f"部品 {request.param}.kizu"
    kizu.fit(parts, **{**SMALL, **MODELS[request.param]}).save(path)
    return path


def test_a_bare_runtime_gives_what_kizu_gives(kind: Path, tmp_path: Path) -> None:
    made = kizu.export(kind, tmp_path / "傷.onnx")
    assert made.files == (tmp_path / "傷.onnx",)
    inspector = kizu.load(kind, exact=True)
    results = run_bare(made.files[0], inputs(), tmp_path)
    assert {bool(found["ng"]) for found in results} == {True, False}
    for image, found in zip(inputs(), results, strict=True):
        assert_same(found, inspector.predict(image), inspector)
    assert made.agreement.images == 6
    assert made.agreement.score < 1e-5
    assert made.agreement.map < 1e-4


def test_bgr(model: Path, tmp_path: Path) -> None:
    """As OpenCV programs hold images; the other order gives something else."""
    kizu.export(model, tmp_path / "a.onnx", colour="bgr")
    inspector, image = kizu.load(model, exact=True), tile(101, scratched=True).copy()
    image[..., 0] //= 2
    turned, as_is = run_bare(tmp_path / "a.onnx", [image[..., ::-1], image], tmp_path)
    assert_same(turned, inspector.predict(image), inspector)
    assert abs(float(as_is["score"]) / float(turned["score"]) - 1) > 1e-3


def test_a_bank_of_several_tiles(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kizu.detectors import _patchcore_graph

    monkeypatch.setattr(_patchcore_graph, "ROWS_AT_A_TIME", 97)
    detector = {"name": "patchcore", "coreset_count": 300, "reweight": True, "neighbors": 2}
    kizu.fit(parts, **SMALL, detector=detector).save(tmp_path / "a.kizu")
    kizu.export(tmp_path / "a.kizu", tmp_path / "a.onnx")
    names = [node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node]
    assert names.count("Gemm") == 4 * 3  # the patches, the highest of them, and its nearest row
    inspector = kizu.load(tmp_path / "a.kizu")
    for image, found in zip(inputs(), run_bare(tmp_path / "a.onnx", inputs(), tmp_path), strict=True):
        assert_same(found, inspector.predict(image), inspector)


@pytest.mark.parametrize("kept", ["all", "bank alone"])
def test_arrays_in_a_file_of_their_own(
    each_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """As they are beyond 2 GiB; both files may then move together."""
    monkeypatch.setattr(_onnx, "LARGEST_FILE", 1000)
    if kept == "bank alone":
        monkeypatch.setattr(_onnx, "SMALLEST_EXTERNAL", 100_000)
    made = kizu.export(each_model, tmp_path / "傷.onnx")
    assert made.files == (tmp_path / "傷.onnx", tmp_path / "傷.onnx.data")
    assert made.size == sum(file.stat().st_size for file in tmp_path.iterdir())
    if kept == "all":
        assert made.files[0].stat().st_size < made.files[1].stat().st_size / 10
    (tmp_path / "elsewhere").mkdir()
    for file in made.files:
        shutil.move(file, tmp_path / "elsewhere")
    inspector = kizu.load(each_model, exact=True)
    results = run_bare(tmp_path / "elsewhere" / "傷.onnx", inputs()[:3], tmp_path)
    for image, found in zip(inputs(), results, strict=False):
        assert_same(found, inspector.predict(image), inspector)


def test_what_the_file_says_of_itself(model: Path, tmp_path: Path) -> None:
    made = kizu.export(model, tmp_path / "a.onnx")
    (found,) = run_bare(made.files[0], [tile(1)], tmp_path)
    told = dict(ast.literal_eval(str(found["metadata"])))
    assert told["kizu.version"] == kizu.__version__
    assert told["kizu.model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert kizu.Config.model_validate_json(told["kizu.config"]) == kizu.load(model).config
    assert json.loads(told["kizu.map"]) == {"image_size": 64, "resize": None, "keep_aspect": False, "grid": [8, 8]}
    assert (told["kizu.search"], told["kizu.colour"]) == ("exact", "rgb")
    checked = json.loads(told["kizu.checked"])
    assert checked["images"] == made.agreement.images
    assert checked["score"] == pytest.approx(made.agreement.score, rel=0.05)
    assert checked["map"] == pytest.approx(made.agreement.map, rel=0.05)
    written = onnx.load(made.files[0])
    onnx.checker.check_model(written, full_check=True)
    assert written.ir_version <= 10
    shapes = {o.name: [d.dim_value for d in o.type.tensor_type.shape.dim] for o in written.graph.output}
    limits = ("threshold", "review_threshold", "pixel_threshold")
    scalars: dict[str, list[int]] = {key: [] for key in ("score", *limits, "p_value", "review", "ng")}
    assert shapes == {**scalars, "anomaly_map": [64, 64]}
    assert [d.dim_param for d in written.graph.input[0].type.tensor_type.shape.dim[:2]] == ["height", "width"]


def test_the_same_model_gives_the_same_bytes(each_model: Path, tmp_path: Path) -> None:
    one, other = (kizu.export(each_model, tmp_path / name).files[0].read_bytes() for name in ("a.onnx", "b.onnx"))
    assert one == other


def test_no_array_is_stored_twice(model: Path, tmp_path: Path) -> None:
    made = kizu.export(model, tmp_path / "a.onnx")
    inspector = kizu.load(model)
    bank = inspector.detector.state()["bank"].nbytes
    assert made.size < len(inspector.graph) + bank + 100_000
