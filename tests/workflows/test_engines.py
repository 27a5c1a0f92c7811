"""Fits with every engine and precision, and models that run in another than they were fitted with."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kizu
from capabilities import CAPABLE, quantises
from kizu.backbones.engines import OnnxRuntimeEngine, OpenVinoEngine
from kizu.errors import BackboneError, ImageError, ParameterError
from kizu.inspector import Inspector
from kizu.workflows import _quantise
from workflows.tiles import SMALL, good_bad

CPU = ("CPUExecutionProvider",)


def images(parts: Path) -> list[Path]:
    return [*sorted((parts / "bad").iterdir())[:3], *sorted((parts / "good").iterdir())[:3]]


def scores(inspector: kizu.Inspector, parts: Path) -> np.ndarray:
    return np.array([found.score for found in inspector.predict(images(parts))])


@pytest.fixture(scope="session")
def int8_model(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: a PatchCore model of `parts` in int8."""
    path = tmp_path_factory.mktemp("model") / "八.kizu"
    kizu.fit(parts, **SMALL, precision="int8").save(path)
    return path


def test_another_engine_gives_the_same_scores(each_model: Path, parts: Path) -> None:
    own, other = kizu.load(each_model), kizu.load(each_model, engine="openvino")
    assert isinstance(own.engine, OnnxRuntimeEngine)
    assert isinstance(other.engine, OpenVinoEngine)
    np.testing.assert_allclose(scores(other, parts), scores(own, parts), rtol=1e-3)
    maps = [inspector.predict(images(parts)[0]).anomaly_map for inspector in (own, other)]
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-3 * maps[0].max())


def test_another_engine_changes_nothing_in_the_file(model: Path, tmp_path: Path) -> None:
    kizu.load(model, engine="openvino").save(tmp_path / "a.kizu")
    assert (tmp_path / "a.kizu").read_bytes() == model.read_bytes()


def test_a_fit_with_openvino(model: Path, parts: Path, tmp_path: Path) -> None:
    fitted = kizu.fit(parts, **SMALL, engine="openvino")
    fitted.save(tmp_path / "a.kizu")
    again = kizu.load(tmp_path / "a.kizu")
    assert isinstance(again.engine, OpenVinoEngine)
    assert again.config.engine == "openvino"
    assert again.provenance["versions"]["openvino"]
    np.testing.assert_array_equal(scores(again, parts), scores(fitted, parts))
    plain = kizu.load(tmp_path / "a.kizu", engine="onnxruntime")
    assert isinstance(plain.engine, OnnxRuntimeEngine)
    np.testing.assert_allclose(scores(plain, parts), scores(fitted, parts), rtol=1e-3)
    np.testing.assert_allclose(
        scores(kizu.load(model), parts), scores(fitted, parts), rtol=1e-2
    )  # a coreset of its own


@pytest.mark.skipif(not CAPABLE, reason="this processor does not compute in bfloat16")
def test_bfloat16(model: Path, parts: Path, tmp_path: Path) -> None:
    plain = scores(kizu.load(model), parts)
    coarse = scores(kizu.load(model, engine="openvino", precision="bfloat16"), parts)
    assert np.any(coarse != plain)
    np.testing.assert_allclose(coarse, plain, rtol=0.05)
    kizu.fit(parts, **SMALL, engine="openvino", precision="bfloat16").save(tmp_path / "a.kizu")
    fitted = kizu.load(tmp_path / "a.kizu")
    assert isinstance(fitted.engine, OpenVinoEngine)
    assert fitted.engine.precision == "bf16"
    back = kizu.load(tmp_path / "a.kizu", precision="float32")
    assert isinstance(back.engine, OpenVinoEngine)
    assert back.engine.precision == "f32"
    with pytest.raises(ParameterError, match=r"does not compute in bfloat16 on a CPU.*--precision float32"):
        kizu.load(tmp_path / "a.kizu", engine="onnxruntime")
    looked = Inspector.look(tmp_path / "a.kizu")
    assert isinstance(looked.engine, OnnxRuntimeEngine)
    assert looked.config.precision == "bfloat16"


@quantises
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_int8_finds_what_float32_finds(int8_model: Path, model: Path, parts: Path, engine: str) -> None:
    coarse, plain = kizu.load(int8_model, engine=engine), kizu.load(model)
    np.testing.assert_allclose(scores(coarse, parts), scores(plain, parts), rtol=0.15)
    assert [found.verdict for found in coarse.predict(images(parts))[:3]] == ["ng"] * 3
    assert 0 < coarse.provenance["backbone"]["int8_error"] < 0.3
    assert "int8_error" not in plain.provenance["backbone"]


@quantises
def test_the_same_int8_fit_gives_the_same_bytes(int8_model: Path, parts: Path, tmp_path: Path) -> None:
    kizu.fit(parts, kizu.load(int8_model).config).save(tmp_path / "a.kizu")
    assert (tmp_path / "a.kizu").read_bytes() == int8_model.read_bytes()


FRESH = """
import json, sys
import kizu
found = kizu.load(sys.argv[1]).predict(sys.argv[2:])
print(json.dumps([[p.score.hex() for p in found], [name for name in ("onnx", "openvino") if name in sys.modules]]))
"""


@quantises
def test_int8_in_a_fresh_process(int8_model: Path, parts: Path) -> None:
    """It needs no ``onnx`` package and no quantiser."""
    command = [sys.executable, "-c", FRESH, str(int8_model), *map(str, images(parts))]
    said = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    assert json.loads(said.stdout) == [[float(score).hex() for score in scores(kizu.load(int8_model), parts)], []]
    assert said.stderr == ""


@quantises
@pytest.mark.parametrize(
    ("fixture", "choice", "said"),
    [
        ("model", {"precision": "int8"}, r"not quantised, which takes images\. Fit again with --precision int8\."),
        ("int8_model", {"precision": "float32"}, r"runs in int8 alone\. Fit again with --precision float32\."),
        ("int8_model", {"precision": "bfloat16", "engine": "openvino"}, r"Fit again with --precision bfloat16\."),
        ("model", {"precision": "bfloat16"}, r"Use --engine openvino"),
        ("model", {"engine": "tensorrt"}, "unknown engine 'tensorrt'"),
        ("model", {"engine": "openvino", "providers": CPU}, "use --engine onnxruntime"),
        ("model", {"providers": ("Nonsense",)}, "unknown execution provider 'Nonsense'"),
    ],
)
def test_what_a_model_cannot_run_in(
    request: pytest.FixtureRequest, fixture: str, choice: dict[str, Any], said: str
) -> None:
    with pytest.raises(ParameterError, match=said):
        kizu.load(request.getfixturevalue(fixture), **choice)


def test_providers_of_the_fit_are_kept_and_left_behind(parts: Path, tmp_path: Path) -> None:
    kizu.fit(parts, **SMALL, providers=CPU).save(tmp_path / "a.kizu")
    engine = kizu.load(tmp_path / "a.kizu").engine
    assert isinstance(engine, OnnxRuntimeEngine)
    assert engine.providers == CPU
    assert isinstance(kizu.load(tmp_path / "a.kizu", engine="openvino").engine, OpenVinoEngine)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"precision": "bfloat16"}, "Use --engine openvino"),
        ({"engine": "openvino", "providers": CPU}, "use --engine onnxruntime"),
        ({"engine": "opencv"}, "`engine`: input should be 'onnxruntime' or 'openvino'"),
        ({"precision": "int4"}, "`precision`: input should be 'float32', 'bfloat16' or 'int8'"),
    ],
)
def test_fits_that_cannot_be(parts: Path, choice: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        kizu.fit(parts, **SMALL, **choice)


@quantises
def test_quantising_is_told_to_its_end(parts: Path) -> None:
    stages: dict[str, list[int]] = {}

    class Notes:
        @contextmanager
        def stage(self, description: str, total: int, **_: Any) -> Any:
            stages[description] = [0, total]

            def advance(steps: int = 1, /) -> None:
                stages[description][0] += steps

            yield advance

    fitted = kizu.fit(parts, **SMALL, precision="int8", progress=Notes())
    assert next(iter(stages)) == "Quantising the backbone"
    assert all(done == total > 0 for done, total in stages.values()), stages
    assert fitted.provenance["data"]["fitted"] == 24


@quantises
def test_ranges_come_from_images_that_were_fitted_on(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from held-out ones nor from those for testing, and from no more than it takes."""
    monkeypatch.setattr(_quantise.quantise, "IMAGES", 7)
    chosen, fitted = [], []
    choose = _quantise._chosen

    def watch(samples: Any, seed: int) -> Any:
        fitted.extend(samples)
        chosen.extend(choose(samples, seed))
        return chosen

    monkeypatch.setattr(_quantise, "_chosen", watch)
    inspector = kizu.fit(parts, **SMALL, precision="int8")
    assert len(chosen) == 7
    assert len(fitted) == inspector.provenance["data"]["fitted"] == 24
    assert {sample.path for sample in chosen} < {sample.path for sample in fitted}


@quantises
def test_unreadable_images(tmp_path: Path) -> None:
    parts = good_bad(tmp_path / "部品", sound=16)
    for path in sorted((parts / "good").iterdir())[:4]:
        path.write_bytes(b"")
    with pytest.raises(ImageError, match="--skip-unreadable"):
        kizu.fit(parts, **SMALL, precision="int8")
    with pytest.warns(kizu.KizuWarning, match="skipped"):
        fitted = kizu.fit(parts, **SMALL, precision="int8", skip_unreadable=True)
    with pytest.warns(kizu.KizuWarning, match="skipped"):
        plain = kizu.fit(parts, **SMALL, skip_unreadable=True)
    assert fitted.provenance["data"] == plain.provenance["data"]
    assert fitted.provenance["data"]["skipped"] > 0
    assert fitted.provenance["backbone"]["int8_error"] < 0.3


@quantises
def test_a_backbone_that_does_not_bear_it(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_quantise.quantise, "LARGEST_ERROR", 0.001)
    with pytest.raises(BackboneError, match=r"efficientnet_lite0 does not bear 8 bits: .* Use --precision float32\."):
        kizu.fit(parts, **SMALL, precision="int8")


def test_a_provider_alone_is_one(model: Path) -> None:
    found = kizu.load(model, providers="CPUExecutionProvider")
    assert found.engine is kizu.load(model, providers=["CPUExecutionProvider"]).engine
    with pytest.raises(ParameterError, match="unknown execution provider 'Nothing'"):
        kizu.load(model, providers="Nothing")
