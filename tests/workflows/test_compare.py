"""Models side by side, against what each says alone."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kizu
from kizu.datasets import load_dataset
from kizu.errors import DataError, ImageError, KizuWarning, MissingExtraError, ParameterError
from kizu.images import read_image
from kizu.inspector import Inspector
from kizu.metrics import compare_auroc
from kizu.workflows import _compare, compare, load
from workflows import tiles
from workflows.tiles import SMALL, tile


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MVTec layout whose scratches are so faint that models dispute some of them."""
    root = tmp_path_factory.mktemp("hard") / "部品"
    tiles.good(root / "test" / "good", 12, first=500)
    for number in range(16):
        faint = 0.02 + 0.01 * (number % 4)
        image = tile(number, scratched=True) * faint + tile(number) * (1 - faint)
        tiles.write(root / "test" / "傷" / f"{number:02}.png", image.astype(np.uint8))
        mask = tiles.scratch(number).astype(np.uint8) * 255
        tiles.write(root / "ground_truth" / "傷" / f"{number:02}_mask.png", mask)
    return root


def at(path: Path, threshold: float) -> Inspector:
    """A model with another threshold."""
    inspector = load(path)
    assert inspector.calibration is not None
    decision = replace(inspector.calibration.decision, by="value", threshold=threshold)
    return inspector.calibrated(replace(inspector.calibration, decision=decision))


@pytest.fixture(scope="module")
def middle(model: Path, hard: Path) -> float:
    """A threshold that makes mistakes of both kinds."""
    inspector = load(model)
    return float(np.median([inspector.predict(path).score for path in (hard / "test" / "傷").iterdir()]))


def test_each_model_does_as_it_does_alone(model: Path, padim_model: Path, hard: Path) -> None:
    found = compare([model, padim_model], hard)
    for compared, path, name in zip(found.models, (model, padim_model), "AB", strict=True):
        alone = kizu.evaluate(path, hard)
        assert (compared.name, compared.path, compared.size) == (name, path, path.stat().st_size)
        assert compared.image == alone.image
        assert compared.pixel == alone.pixel
        assert compared.verdicts == alone.verdicts
        assert compared.milliseconds > 0
    assert [m.detector for m in found.models] == ["patchcore", "padim"]
    assert (len(found.images), found.left_out, found.skipped) == (28, 0, 0)
    json.dumps(found.to_dict(), allow_nan=False)


def test_which_model_cannot_run_so_is_said(model: Path, padim_model: Path, hard: Path, tmp_path: Path) -> None:
    quantised = tmp_path / "八.kizu"
    inspector = load(padim_model)
    replace(inspector, config=inspector.config.model_copy(update={"precision": "int8"})).save(quantised)
    with pytest.raises(ParameterError, match=r"^.*八\.kizu: this model was quantised and runs in int8 alone"):
        compare([model, quantised], hard, precision="float32")


def test_which_model_wants_what_is_not_installed(
    model: Path, padim_model: Path, hard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bare(path: Path, **running: object) -> Inspector:
        if path == padim_model:
            raise MissingExtraError("OpenVINO is not installed.")
        return load(path)

    monkeypatch.setattr(_compare, "load", bare)
    with pytest.raises(MissingExtraError, match=f"^{re.escape(str(padim_model))}: OpenVINO is not installed"):
        compare([model, padim_model], hard)


def test_the_tests_are_those_of_the_same_images(model: Path, padim_model: Path, hard: Path) -> None:
    found = compare([model, padim_model], hard)
    (pair,) = found.pairs
    results = [{r.path: r for r in kizu.evaluate(path, hard).results} for path in (model, padim_model)]
    labels = [r.label == "bad" for r in results[0].values()]
    scores = [[one[path].score for path in results[0]] for one in results]
    assert pair.auroc == compare_auroc(*scores, labels)
    right = [[(one[path].verdict == "ng") == (one[path].label == "bad") for path in results[0]] for one in results]
    assert pair.verdicts.only_first == sum(a and not b for a, b in zip(*right, strict=True))
    assert pair.verdicts.only_second == sum(b and not a for a, b in zip(*right, strict=True))
    assert pair.on_good is not None
    assert pair.on_bad is not None
    assert pair.on_good.only_first + pair.on_bad.only_first == pair.verdicts.only_first
    assert pair.verdicts_p_value == pair.verdicts.p_value, "one comparison needs no allowance"


def test_disputed_images_come_first_worst_first_with_pictures(
    model: Path, hard: Path, middle: float, tmp_path: Path
) -> None:
    found = compare([at(model, middle * 0.97), at(model, middle)], hard, out=tmp_path / "結果")
    assert len(found.disputed) >= 3
    assert found.images[: len(found.disputed)] == found.disputed
    kinds = [image.label for image in found.disputed]
    assert kinds == sorted(kinds), "defects that were missed come before false alarms"
    for label in ("bad", "good"):
        far = [image.severity for image in found.disputed if image.label == label]
        assert far == sorted(far, reverse=True)
    out = tmp_path / "結果"
    for name, only in (
        ("A", [i for i in found.disputed if i.right[0]]),
        ("B", [i for i in found.disputed if i.right[1]]),
    ):
        folder = out / f"only_{name}_right"
        written = sorted(path.stem for path in folder.iterdir()) if folder.is_dir() else []
        assert written == sorted(image.path.stem for image in only)
    with (out / "comparison.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(image.path) for image in found.images]
    for row, image in zip(rows, found.images, strict=True):
        assert row["only_right"] == (" ".join(found.names(image)) if image.disputed else "")
        assert row["picture"] == (str(image.picture) if image.disputed else "")
        assert image.disputed == (out / row["picture"]).is_file()
        for name, judged, right in zip("AB", image.judged, image.right, strict=True):
            assert float(row[f"{name}_score"]) == judged.score
            assert (row[f"{name}_verdict"], row[f"{name}_right"]) == (judged.verdict, str(int(right)))
    picture = read_image(next((out / "only_A_right").iterdir()))
    assert picture.shape[0] > 1000, "one below the other"


def test_pictures_of_an_earlier_comparison_go_and_other_files_stay(model: Path, hard: Path, tmp_path: Path) -> None:
    """Else a picture of what A alone got right then would stand beside those of what it gets right now."""
    wild, tame = at(model, 1e-6), at(model, 1e6)
    first = compare([wild, tame], hard, out=tmp_path)
    mine = tiles.write(tmp_path / "only_B_right" / "mine.png", tiles.tile(0))
    assert {path.parent.name for path in pictures(tmp_path)} == {"only_A_right", "only_B_right"}
    assert len(pictures(tmp_path)) == len(first.disputed) + 1
    again = compare([wild, wild, tame], hard, out=tmp_path)
    assert {one.picture.parent.name for one in again.disputed if one.picture} == {"only_A_B_right", "only_C_right"}
    assert pictures(tmp_path) == {mine, *(tmp_path / one.picture for one in again.disputed if one.picture)}
    assert not (tmp_path / "only_A_right").exists()
    compare([wild, wild], hard, out=tmp_path)
    assert pictures(tmp_path) == {mine}


@pytest.mark.parametrize("picture", ["../mine.png", "mine.png", "only_A_right/mine.txt", "only_A_right/a/mine.png"])
def test_nothing_else_that_a_table_names_is_removed(model: Path, hard: Path, tmp_path: Path, picture: str) -> None:
    mine = tmp_path / "out" / picture
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_bytes(b"mine")
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "comparison.csv").write_text(f"path,picture\na.png,{picture}\n", encoding="utf-8-sig")
    compare([model, model], hard, out=tmp_path / "out")
    assert mine.read_bytes() == b"mine"


def pictures(folder: Path) -> set[Path]:
    return set(folder.rglob("*.png"))


def test_a_lower_threshold_is_really_another(model: Path, hard: Path) -> None:
    """All NG against all OK: every image is disputed, and the tests say that this is no chance."""
    found = compare([at(model, 1e-6), at(model, 1e6)], hard)
    (pair,) = found.pairs
    assert pair.auroc is not None
    assert (pair.auroc.difference, pair.auroc.p_value) == (0.0, 1.0)
    assert (pair.verdicts.only_first, pair.verdicts.only_second) == (16, 12)
    assert pair.on_bad is not None
    assert pair.on_bad.p_value < 0.001
    assert len(found.disputed) == 28


def test_more_than_two_are_compared_with_the_first(model: Path, padim_model: Path, hard: Path) -> None:
    found = compare([model, padim_model, model], hard)
    assert [(pair.first, pair.second) for pair in found.pairs] == [("A", "B"), ("A", "C")]
    one, same = found.pairs
    assert same.auroc is not None
    assert (same.auroc.difference, same.verdicts.p_value) == (0.0, 1.0)
    assert one.auroc is not None
    assert one.auroc.p_value is not None
    assert one.auroc_p_value == pytest.approx(min(1.0, 2 * one.auroc.p_value))


def test_only_images_that_no_model_was_fitted_on_count(model: Path, parts: Path) -> None:
    other = kizu.fit(parts, **SMALL, seed=1)
    found = compare([model, other], parts)
    shares = [{s.path for s in load_dataset(parts, seed=seed).test()} for seed in (0, 1)]
    assert {image.path for image in found.images} == shares[0] & shares[1]
    assert found.left_out == len(shares[0] ^ shares[1]) > 0
    assert found.models[1].path is None
    assert found.models[1].size is None


def test_models_of_different_sizes(model: Path, parts: Path, hard: Path) -> None:
    larger = kizu.fit(parts, image_size=96, false_alarms=0.2, layers=("blocks.2", "blocks.4"))
    found = compare([model, larger], hard)
    assert [m.image_size for m in found.models] == [64, 96]
    assert all(m.pixel is not None and m.pixel.images == 28 for m in found.models)


@pytest.mark.parametrize("missing", ["good", "傷"])
def test_one_kind_alone(model: Path, padim_model: Path, tmp_path: Path, missing: str) -> None:
    root = tiles.mvtec(tmp_path / "部品")
    for folder in list((root / "test").iterdir()):
        if (folder.name == "good") == (missing == "good"):
            folder.rename(tmp_path / folder.name)
    found = compare([model, padim_model], root)
    (pair,) = found.pairs
    assert pair.auroc is None
    assert pair.auroc_p_value is None
    assert (pair.on_good is None) == (missing == "good")
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_cannot_be_compared(model: Path, hard: Path, tmp_path: Path) -> None:
    for models in ([], [model], [model] * 27):
        with pytest.raises(ParameterError, match=f"2 to 26 models are compared; got {len(models)}"):
            compare(models, hard)
    tiles.good(tmp_path / "良品", 3)
    with pytest.raises(DataError, match="no labelled test images"):
        compare([model, model], tmp_path / "良品")


def test_unreadable_images(model: Path, tmp_path: Path) -> None:
    root = tiles.mvtec(tmp_path)
    broken = sorted((root / "test" / "good").iterdir())[0]
    broken.write_bytes(b"")
    with pytest.raises(ImageError, match="the file is empty"):
        compare([model, model], root)
    with pytest.warns(KizuWarning, match="skipped "):
        assert compare([model, model], root, skip_unreadable=True).skipped == 1


@pytest.mark.parametrize("turned", [False, True])
def test_what_one_of_the_models_cannot_read_is_skipped_whichever_it_is(tmp_path: Path, turned: bool) -> None:
    root = tiles.mvtec(tmp_path)
    for path in root.glob("*/*/*.png"):
        if "ground_truth" not in path.parts:
            Image.fromarray(np.asarray(Image.open(path))[..., 0].astype(np.uint16) * 257).save(path)
    shallow = tiles.write(root / "test" / "good" / "浅い.png", tiles.tile(90))
    models = [kizu.fit(root, **tiles.SMALL), kizu.fit(root, **tiles.SMALL, window=(0, 65535))]
    models = models[::-1] if turned else models
    with pytest.raises(ImageError, match=r"浅い\.png.* or use --skip-unreadable"):
        compare(models, root)
    with pytest.warns(KizuWarning, match="skipped .*浅い"):
        found = compare(models, root, skip_unreadable=True, out=tmp_path / "out")
    assert (found.skipped, len(found.images)) == (1, 8)
    for path in (root / "test").glob("*/*.png"):
        tiles.write(path, tiles.tile(91))
    shallow.unlink()
    with pytest.warns(KizuWarning), pytest.raises(DataError, match="none of 8 images can be read"):
        compare(models, root, skip_unreadable=True)


def test_one_model_alone(model: Path, hard: Path) -> None:
    for given in (model, str(model), load(model), [model], iter([model])):
        with pytest.raises(ParameterError, match=r"^2 to 26 models are compared; got 1\. Name the model files first"):
            compare(given, hard)
    assert len(compare(iter([model, load(model)]), hard).models) == 2


def test_comparisons_are_equal_to_themselves_alone(model: Path, hard: Path) -> None:
    found = compare([model, model], hard)
    assert found in {found}
    assert found.models[0] in set(found.models)
