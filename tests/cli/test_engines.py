"""``--engine``, ``--precision``, ``--providers``."""

from __future__ import annotations

from pathlib import Path

import pytest

from capabilities import quantises
from cli.running import Command, files, in_its_own_process
from workflows import tiles

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")

SMALL = ("--image-size", 64, "--false-alarms", 0.2)


def test_fit_and_inspect_with_openvino(kizu: Command, parts: Path, tmp_path: Path) -> None:
    model = tmp_path / "模型.kizu"
    assert kizu("fit", parts, "-o", model, *SMALL, "--engine", "openvino").code == 0
    own = kizu("predict", model, parts / "bad", "--json").document["predictions"]
    plain = kizu("predict", model, parts / "bad", "--json", "--engine", "onnxruntime").document["predictions"]
    assert [p["score"] for p in plain] == pytest.approx([p["score"] for p in own], rel=1e-3)
    said = kizu("evaluate", model, parts, "--engine", "onnxruntime", "--providers", "CPUExecutionProvider", "--json")
    assert said.document["image"]["auroc"] == 1
    said = kizu("info", model)
    assert "  engine                   openvino\n" in said.out
    assert "  openvino                 20" in said.out


@quantises
def test_fit_and_inspect_in_int8(kizu: Command, parts: Path, tmp_path: Path) -> None:
    model = tmp_path / "模型.kizu"
    said = kizu("fit", parts, "-o", model, *SMALL, "--precision", "int8")
    assert said.code == 0
    assert said.err.splitlines()[0] == "Quantising the backbone (72)"
    for engine in ("onnxruntime", "openvino"):
        found = kizu("evaluate", model, parts, "--json", "--engine", engine).document
        assert found["image"]["auroc"] == 1
    said = kizu("info", model)
    assert "  precision                int8\n" in said.out
    assert "  int8_error               0." in said.out


def test_providers_of_a_fit(kizu: Command, parts: Path, tmp_path: Path) -> None:
    said = kizu("fit", parts, "-o", tmp_path / "a.kizu", *SMALL, "--providers", "CPUExecutionProvider", "--json")
    assert said.document["config"]["providers"] == ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--engine", "openvin"), "unknown engine 'openvin'. Did you mean 'openvino'?"),
        (("--precision", "bfloat16"), "Use --engine openvino, or --precision float32."),
        (("--precision", "int8"), "Fit again with --precision int8."),
        (("--precision", "half"), "unknown precision 'half'."),
        (("--providers", "CUDAExecutionProvider"), "unknown execution provider 'CUDAExecutionProvider'."),
        (("--engine", "openvino", "--providers", "CPUExecutionProvider"), "use --engine onnxruntime."),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_what_cannot_be(
    kizu: Command, model: Path, parts: Path, tmp_path: Path, command: str, options: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "結果"
    assert said in kizu(command, model, parts, "--out", out, *options).error
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--engine", "openvin"), "input should be 'onnxruntime' or 'openvino'; got 'openvin'."),
        (("--precision", "bfloat16"), "Use --engine openvino, or --precision float32."),
        (("--engine", "openvino", "--providers", "CPUExecutionProvider"), "use --engine onnxruntime."),
        (("--providers", "GPU"), "unknown execution provider 'GPU'."),
    ],
)
def test_fits_that_cannot_be(kizu: Command, parts: Path, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    target = tmp_path / "a.kizu"
    target.write_bytes(b"old")
    assert said in kizu("fit", parts, "-o", target, *SMALL, *options).error
    assert files(tmp_path) == {"a.kizu": b"old"}


def test_a_bfloat16_model_on_a_processor_without_it(
    kizu: Command, model: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kizu.backbones.engines import openvino

    monkeypatch.setattr(openvino, "capabilities", lambda core: ["FP32"])
    said = kizu("predict", model, parts, "--engine", "openvino", "--precision", "bfloat16").error
    assert "this processor does not compute in bfloat16. Use --precision float32" in said


def test_openvino_prints_nothing(model: Path, tmp_path: Path) -> None:
    image = tiles.write(tmp_path / "部品.png", tiles.tile(0))
    said = in_its_own_process(["predict", model, image, "--engine", "openvino"])
    assert (said.code, said.err) == (0, "")
    assert len(said.out.splitlines()) == 1
