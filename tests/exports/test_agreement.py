"""An export that does not agree is refused, in words that say where, and leaves everything as it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kizu
from exports.running import EARLIER
from inspector.archives import rewritten
from kizu import exports, maps
from kizu.calibration import Calibration, Decision
from kizu.errors import DataError, ExportError, ImageError
from kizu.exports import CheckImage, check_images
from kizu.exports import _graph as graph_module
from kizu.expressions import Expression
from workflows.tiles import tile, write


def off_by(factor: float) -> Callable[[Any], Callable[..., Any]]:
    """Scores that are that much larger."""

    def change(right: Any) -> Callable[..., Any]:
        def decisions(score: Expression, calibration: Calibration) -> Any:
            return right(score * factor, calibration)

        return decisions

    return change


def blurred_otherwise(right: Any) -> Callable[..., Any]:
    def weights(cells: int, side: int, sigma: float) -> Any:
        return right(cells, side, sigma * 1.5)

    return weights


def nearest(right: Any) -> Callable[..., Any]:
    """A resize that everybody has."""

    def preprocessed(image: Expression, preprocessing: Any) -> Expression:
        rows = [round(n * 95 / 63) for n in range(64)]
        return image.take(rows, 0).take(rows, 1).reshape(1, 64, 64, 3)

    return preprocessed


def other_calibration(right: Any) -> Callable[..., Any]:
    def decisions(score: Expression, calibration: Calibration) -> Any:
        return right(score, Calibration(calibration.scores[:-1], calibration.peaks[:-1], Decision(false_alarms=0.5)))

    return decisions


BROKEN = {
    "score": ("_decisions", off_by(1.002), r"check image 0 it scores [\d.]+ where the model scores [\d.]+\."),
    "map": ("_weights", blurred_otherwise, r"it differs from the model's map by [\d.]+ of its range\."),
    "resize": ("preprocessed", nearest, r"on check image \d it "),
    "decision": ("_decisions", other_calibration, "decides the other way|gives a p-value of|has a threshold of"),
    "no number": ("_decisions", off_by(float("nan")), "it scores nan where|p-value"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_wrong_export_is_refused(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    name, change, words = BROKEN[what]
    monkeypatch.setattr(graph_module, name, change(getattr(graph_module, name)))
    target = tmp_path / "a.onnx"
    target.write_bytes(EARLIER)
    with pytest.raises(ExportError, match=words) as caught:
        kizu.export(model, target)
    assert str(caught.value).startswith("the export does not agree with the model: on check image ")
    assert "Nothing was written. Update onnxruntime and opencv" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == EARLIER
    assert list(tmp_path.iterdir()) == [target]


def test_small_differences_pass_and_are_told(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "_decisions", off_by(1.0005)(graph_module._decisions))
    assert kizu.export(model, tmp_path / "a.onnx").agreement.score == pytest.approx(5e-4, rel=0.01)


def run_of(inspector: kizu.Inspector, **changes: Any) -> Any:
    """A run that gives what the inspector gives, save for ``changes``."""
    calibration = inspector.calibration
    assert calibration is not None

    def run(image: np.ndarray) -> dict[str, Any]:
        found = inspector.inspect(image)
        right = {
            "score": found.score,
            "anomaly_map": found.anomaly_map,
            "review": found.verdict == "review",
            "ng": found.verdict == "ng",
            "p_value": calibration.p_value(found.score),
            "threshold": found.threshold,
            "review_threshold": found.review_threshold,
            "pixel_threshold": found.pixel_threshold,
        }
        changed = {name: change(right[name]) for name, change in changes.items()}
        return {name: np.asarray(value) for name, value in {**right, **changed}.items()}

    return run


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("ng", lambda right: not right, "decides the other way at a score of"),
        ("review", lambda right: not right, "decides the other way at a score of"),
        ("review_threshold", lambda right: right * 1.01, "has a review_threshold of"),
        ("p_value", lambda right: right + 0.01, "gives a p-value of"),
        ("threshold", lambda right: right * 1.01, "has a threshold of"),
        ("pixel_threshold", lambda right: right * 1.01, "has a pixel_threshold of"),
        ("pixel_threshold", lambda right: np.nan, "has a pixel_threshold of nan"),
        ("anomaly_map", lambda right: right[1:], r"gives a map of \(63, 64\) where the model's is \(64, 64\)"),
        ("anomaly_map", lambda right: np.where(right == right.max(), np.nan, right), "differs from the model's map"),
    ],
)
def test_every_output_is_looked_at(model: Path, name: str, change: Any, words: str) -> None:
    inspector = kizu.load(model)
    image = CheckImage("部品.png", tile(1))
    assert exports.compare(run_of(inspector), inspector, [image]).score == 0
    with pytest.raises(ExportError, match=f"on 部品.png it {words}"):
        exports.compare(run_of(inspector, **{name: change}), inspector, [image])


@pytest.mark.parametrize(
    ("precision", "advice"),
    [
        ("int8", r"computes in int8 with onnxruntime, .* --engine onnxruntime and export it to onnx, or fit it with"),
        ("bfloat16", r"computes in bfloat16, exports in float32: fit it with --precision float32\."),
    ],
)
def test_of_a_model_in_another_precision_the_advice_is_another(model: Path, precision: str, advice: str) -> None:
    inspector = kizu.load(model)
    changed = replace(inspector, config=inspector.config.model_copy(update={"precision": precision}))
    with pytest.raises(ExportError, match=advice):
        exports.compare(run_of(inspector, ng=lambda right: not right), changed, [CheckImage("a", tile(1))])


def test_what_images_are_checked() -> None:
    own, given = (tile(1), tile(2)), [CheckImage("a.png", tile(3))]
    found = check_images(own, given)
    assert [image.name for image in found] == [
        "check image 0",
        "check image 1",
        "a.png",
        "check image 0, 0.6 times its size",
        "check image 0, 1.7 times its size",
        "check image 0, with a defect",
    ]
    assert [image.pixels.shape for image in found[3:]] == [(58, 58, 3), (163, 163, 3), (96, 96, 3)]
    changed = (found[5].pixels != tile(1)).any(axis=2)
    assert changed.mean() == pytest.approx(1 / 64, rel=0.1)
    assert [image.name for image in check_images((), given)][1] == "a.png, 0.6 times its size"


def test_altered_images_reach_what_good_ones_do_not(model: Path) -> None:
    """High scores and both directions of resizing: an error in one of them must not pass unseen."""
    inspector = kizu.load(model)
    scores = {image.name: inspector.measure(image.pixels)[0] for image in check_images(inspector.check_images, ())}
    good = [score for name, score in scores.items() if "," not in name]
    assert scores["check image 0, with a defect"] > 1.2 * max(good)


def test_images_of_the_user(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "画像"
    for number in range(2):
        write(folder / f"{number}.png", tile(number))
    made = kizu.export(model, tmp_path / "a.onnx", images=[folder, write(tmp_path / "b.png", tile(5))])
    assert made.agreement.images == 9
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=re.escape(f"{tmp_path / 'broken.png'}: ")):
        kizu.export(model, tmp_path / "b.onnx", images=[tmp_path / "broken.png"])
    with pytest.raises(DataError, match="no such file or folder"):
        kizu.export(model, tmp_path / "b.onnx", images=[tmp_path / "gone"])
    assert not (tmp_path / "b.onnx").exists()


def test_a_model_without_images_needs_some(model: Path, tmp_path: Path) -> None:
    """As models of schema 1 are."""

    def older(manifest: dict[str, Any]) -> None:
        manifest.update(schema=1)
        del manifest["config"]["check_images"]

    path = rewritten(model, tmp_path / "old.kizu", {f"check/{number}.png": None for number in range(3)}, older)
    with pytest.raises(DataError, match=r"old\.kizu: holds no images to check .* with --images PATH"):
        kizu.export(path, tmp_path / "a.onnx")
    assert kizu.export(path, tmp_path / "a.onnx", images=[write(tmp_path / "a.png", tile(0))]).agreement.images == 4


def test_the_map_is_that_of_kizu_maps() -> None:
    """Its weights along each axis, on grids and sizes that do not divide each other."""
    rng = np.random.default_rng(0)
    for height, width, side, sigma in [(8, 8, 64, 1.0), (5, 7, 33, 2.3), (1, 1, 16, 0.0), (56, 56, 224, 3.5)]:
        patches = rng.random((height, width), np.float32)
        rows, columns = graph_module._both_weights(height, width, side, sigma)
        expected = maps.anomaly_map(patches, (side, side), sigma)
        np.testing.assert_allclose(rows @ patches @ columns, expected, atol=1e-5)
