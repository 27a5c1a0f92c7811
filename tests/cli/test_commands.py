"""What the commands do when all is well."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import kizu as library
from cli.running import Command, files
from kizu.datasets import Dataset
from kizu.report import PARTS
from workflows import tiles

pytestmark = pytest.mark.filterwarnings("default::kizu.KizuWarning")  # commands show them, they are no errors

SMALL = ("--image-size", 64, "--false-alarms", 0.2)


def test_fit_evaluate_predict_info(kizu: Command, tmp_path: Path) -> None:
    """The five-minute tour, with Japanese names throughout."""
    data, model, out = tiles.good_bad(tmp_path / "部品"), tmp_path / "模型" / "ねじ.kizu", tmp_path / "結果"
    said = kizu("fit", data, "-o", model, *SMALL)
    assert said.code == 0
    assert said.out.startswith(f"部品: 36 images (good/bad folders) in {data}\n  train: 24 good\n")
    assert "masks: 6; 6 of 6 bad test images marked" in said.out
    assert "Fitted patchcore on 24 good images in " in said.out
    assert "at most 20 % of good parts, by 24 good images, each scored as if it had not been fitted on.\n" in said.out
    assert ": 4 % more of good parts, for a person to see.\n" in said.out
    assert said.out.endswith(f" MiB). Next: kizu predict {model} IMAGES\n")
    assert said.err.splitlines() == [
        "Reading images (24)",
        "Selecting the coreset (31)",
        "Looking each image up (24)",
        "Leaving each image out (24)",
    ]

    said = kizu("evaluate", model, data, "--out", out, "--save", "heat_map")
    assert said.code == 0
    assert "12 images in " in said.out
    assert (
        "\n24 more good images are kept for fitting and not judged (good ones are divided 8:2); in test" in said.out
    )
    assert "s: bad 6, good 6" in said.out
    assert "Image  AUROC 1.0000  AP 1.0000  best F1 1.0000" in said.out
    assert "defects called OK:    0 of 6" in said.out
    assert "for a person:         " in said.out
    assert "Pixel  AUROC 0." in said.out
    assert said.out.endswith(f"Wrote {out / 'predictions.csv'} and 12 pictures.\n")
    tables = ["metrics.csv", "pixel_metrics.csv", "predictions.csv", "regions.coco.json", "regions.csv"]
    assert sorted(path.name for path in out.iterdir()) == sorted(["heat_map", "pictures", *tables])

    images = [data / "bad" / "傷100.png", data / "good" / "良品000.png"]
    said = kizu("predict", model, *images)
    assert said.code == 0
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in rows] == list(map(str, images))
    expected = library.load(model).predict(images)
    assert [row[3] for row in rows] == [prediction.verdict.upper() for prediction in expected]
    assert rows[0][3] == "NG"
    assert [row[1:3] for row in rows] == [[f"{p.score:.4f}", f"{p.threshold:.4f}"] for p in expected]
    assert [row[4] for row in rows] == [f"p={prediction.p_value:.4f}" for prediction in expected]
    assert all(row[5].endswith(" ms") for row in rows)
    assert said.err == "Inspecting images (2)\n"

    said = kizu("info", model)
    assert said.code == 0
    for line in ("image_size               64", "coreset_ratio            0.02", "product                  部品"):
        assert f"  {line}\n" in said.out


@pytest.mark.parametrize("detector", ["patchcore", "padim"])
def test_json_is_one_document_and_nothing_else(kizu: Command, parts: Path, tmp_path: Path, detector: str) -> None:
    model = tmp_path / "ねじ.kizu"
    said = kizu("fit", parts, "-o", model, *SMALL, "--detector", detector, "--json")
    assert said.code == 0
    fitted = said.document
    assert list(fitted) == ["model", "data", "config", "detector", "calibration", "provenance", "seconds"]
    assert fitted["model"] == str(model)
    assert fitted["data"]["counts"] == {"train": {"good": 24}, "test": {"good": 6, "bad": 6}}
    assert fitted["calibration"]["images"] == 24
    assert fitted["config"]["detector"]["name"] == detector

    evaluated = kizu("evaluate", model, parts, "--json").document
    assert set(evaluated) >= {"image", "pixel", "counts", "seconds"}
    assert set(evaluated["image"]) >= {"auroc", "ap", "f1_max", "accuracy", "precision", "recall"}
    assert set(evaluated["pixel"]) >= {"auroc", "ap", "f1_max", "aupro"}
    assert evaluated["counts"] == {"bad": 6, "good": 6}

    images = sorted((parts / "bad").iterdir())
    predicted = kizu("predict", model, parts / "bad", "--json", "--out", tmp_path / "out").document
    assert list(predicted) == ["model", "predictions", "counts", "skipped", "seconds"]
    assert predicted["counts"] == {"ng": 6}
    inspector = library.load(model)
    expected = [(str(path), inspector.predict(path).score) for path in images]
    assert [(p["path"], p["score"]) for p in predicted["predictions"]] == expected

    described = kizu("info", model, "--json").document
    assert {name: described[name] for name in ("config", "detector", "calibration", "provenance")} == {
        name: fitted[name] for name in ("config", "detector", "calibration", "provenance")
    }
    assert kizu("info", model, "--json", "--config").document == described


@pytest.mark.parametrize("options", [("--detector", "padim", "--set", "detector.reduced_dims=10"), ("--seed", 5)])
def test_a_saved_config_makes_the_model_again(
    kizu: Command, parts: Path, tmp_path: Path, options: tuple[object, ...]
) -> None:
    first, again, config = tmp_path / "a.kizu", tmp_path / "b.kizu", tmp_path / "設定.yaml"
    assert kizu("fit", parts, "-o", first, *SMALL, "--layers", "blocks.4,blocks.2", *options).code == 0
    config.write_text(kizu("info", first, "--config").out, encoding="utf-8")
    assert kizu("fit", parts, "-o", again, "--config", config).code == 0
    assert again.read_bytes() == first.read_bytes()
    assert kizu("fit", parts, "-o", again, "--config", config, "--seed", 6).code == 0
    assert again.read_bytes() != first.read_bytes()


def test_options_win_over_the_file(kizu: Command, parts: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("image_size: 96\nseed: 4\ndetector: {name: padim, reduced_dims: 3}\nfalse_alarms: 0.3\n")

    def settings(*options: object) -> dict[str, object]:
        found: dict[str, object] = kizu(
            "fit", parts, "-o", tmp_path / "a.kizu", "--config", config, *options, "--json"
        ).document["config"]
        return found

    plain = settings()
    assert (plain["image_size"], plain["seed"], plain["false_alarms"]) == (96, 4, 0.3)
    assert plain["detector"] == {"name": "padim", "reduced_dims": 3, "regularisation": 0.01, "robust": False}
    changed = settings(*SMALL, "--detector", "padim", "--set", "detector.regularisation=0.1", "--set", "seed=9")
    assert (changed["image_size"], changed["seed"], changed["false_alarms"]) == (64, 9, 0.2)
    assert changed["detector"] == {"name": "padim", "reduced_dims": 3, "regularisation": 0.1, "robust": False}
    other = settings(*SMALL, "--detector", "patchcore")["detector"]
    assert isinstance(other, dict)
    assert other["name"] == "patchcore"


def test_the_model_is_named_after_the_product(
    kizu: Command, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = kizu("fit", parts, *SMALL)
    assert list(files(tmp_path)) == ["部品.kizu"]
    assert said.out.endswith("Next: kizu predict 部品.kizu IMAGES\n")


def test_skipped_files_are_named_and_counted(kizu: Command, model: Path, tmp_path: Path) -> None:
    data = tiles.good_bad(tmp_path / "部品", sound=10)
    for path in (data / "good" / "壊れ.png", data / "bad" / "壊れ.png"):
        path.write_bytes(b"")
    said = kizu("fit", data, "-o", tmp_path / "a.kizu", *SMALL, "--skip-unreadable", "--json", "--seed", 3)
    assert said.document["provenance"]["data"]["skipped"] == 1
    assert f"warning: skipped {data / 'good' / '壊れ.png'}: the file is empty" in said.err
    said = kizu("evaluate", model, data, "--skip-unreadable")
    assert said.code == 0
    assert "Skipped 1 unreadable file.\n" in said.err
    assert f"warning: skipped {data / 'bad' / '壊れ.png'}" in said.err
    assert kizu("evaluate", model, data, "--skip-unreadable", "--json").document["skipped"] == 1
    assert kizu("predict", model, data, "--skip-unreadable", "--json").document["skipped"] == 2
    said = kizu("predict", model, data, "--skip-unreadable")
    assert said.code == 0
    assert said.err.endswith("Skipped 2 unreadable files.\n")
    assert len(said.out.splitlines()) == 10 + 6 + 6, "what is in mask/ are images too"


def test_exact_search(kizu: Command, model: Path, parts: Path) -> None:
    plain, exact = (kizu("predict", model, parts / "bad", "--json", *more).document for more in ((), ("--exact",)))
    assert [p["score"] for p in plain["predictions"]] == [p["score"] for p in exact["predictions"]]


def test_saving_all_parts(kizu: Command, model: Path, parts: Path, tmp_path: Path) -> None:
    said = kizu("predict", model, parts / "bad" / "傷100.png", "--out", tmp_path, "--save", "all")
    assert said.err == "", "a single image needs no progress"
    assert said.out.endswith(f"Wrote {tmp_path / 'predictions.csv'} and 1 picture.\n")
    parts_ = set(PARTS) - {"mask"}  # nobody has marked it
    expected = parts_ | {"pictures", "predictions.csv", "regions.csv", "regions.coco.json"}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_demo_on_real_cells(kizu: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the demo but most of its images: 24 cells to fit on, 8 good and 8 defective ones to judge."""
    from kizu.workflows import _demo

    whole = _demo.solar_cells

    def some(*given: object, **more: object) -> Dataset:
        dataset = whole(*given, **more)  # type: ignore[arg-type]
        test = dataset.test()
        few = [s for label in ("good", "bad") for s in [t for t in test if t.label == label][:8]]
        return Dataset(dataset.root, dataset.layout, (*dataset.train_good()[:24], *few))

    monkeypatch.setattr(_demo, "solar_cells", some)
    said = kizu("demo", "--out", tmp_path / "試し", "--json")
    assert said.code == 0
    found = said.document
    assert found["counts"] == {"defective": 8, "good": 8}
    assert found["image"]["auroc"] > 0.7
    assert found["pixel"] is None
    assert found["model"] == str(tmp_path / "試し" / "solar-cells.kizu")
    assert len(list((tmp_path / "試し" / "pictures").iterdir())) == 16
    assert "warning: 24 good images can promise a share of false alarms of 4 %, not 1 %: " in said.err

    said = kizu("demo", "--out", tmp_path / "試し", "--seed", 1)
    assert said.code == 0
    assert "Fitted on 24 good solar cells; tested on others, good and defective." in said.out
    assert said.out.count("The images are under CC BY-NC-SA 4.0, not for commercial use: LICENSE.md of the ") == 1
    assert f"Look at the pictures in {tmp_path / '試し'}; the model is" in said.out


def test_what_comes_next_can_be_copied(kizu: Command, parts: Path, tmp_path: Path) -> None:
    model = tmp_path / "line 2 (新).kizu"
    said = kizu("fit", parts, *SMALL, "-o", model)
    assert shlex.split(said.out.rpartition("Next: ")[2]) == ["kizu", "predict", str(model), "IMAGES"]
