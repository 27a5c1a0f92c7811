"""What an evaluation leaves in its folder at the end."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

import kizu
from kizu.errors import KizuWarning, MissingExtraError, ParameterError
from kizu.images import read_image
from kizu.report import stills
from kizu.workflows import predict
from workflows import tiles

PICTURES = ["confusion_matrix.png", "pixel_pr.png", "pixel_roc.png", "pr.png", "roc.png", "scores.png"]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_metrics_are_those_of_the_evaluation(each_model: Path, parts: Path, tmp_path: Path) -> None:
    found = kizu.evaluate(each_model, parts, out=tmp_path)
    rows = {(row["level"], row["metric"]): row["value"] for row in table(tmp_path / "metrics.csv")}
    assert found.pixel is not None
    for level, figures in (
        ("image", found.image.to_dict()),
        ("pixel", found.pixel.to_dict()),
        ("count", found.counts),
    ):
        for name, value in figures.items():
            assert rows[level, name] == ("" if value is None else str(value)), name
    assert rows["run", "skipped"] == "0"
    each = table(tmp_path / "pixel_metrics.csv")
    assert len(each) == found.pixel.images
    for name in ("tp", "fp", "tn", "fn"):
        assert sum(int(row[name]) for row in each) == pytest.approx(getattr(found.pixel, name), abs=2)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".png"]


def test_pictures_on_demand(model: Path, parts: Path, tmp_path: Path) -> None:
    kizu.evaluate(model, parts, out=tmp_path, plots=True)
    pictures = sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".png")
    assert pictures == PICTURES
    for name in pictures:
        assert min(read_image(tmp_path / name).shape[:2]) > 300


def test_the_curves_show_the_threshold_in_use(
    model: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[tuple[str, str], object] = {}
    for name in ("roc_picture", "pr_picture"):

        def record(curve: object, figure: float, at: object, kinds: stills.Kinds, name: str = name) -> bytes:
            shown[name, kinds.name] = (figure, at)
            return b""

        monkeypatch.setattr(stills, name, record)
    found = kizu.evaluate(model, parts, out=tmp_path, plots=True)
    assert found.pixel is not None
    for metrics, kind in ((found.image, "images"), (found.pixel, "pixels")):
        false_alarms = metrics.fp / (metrics.fp + metrics.tn)
        assert shown["roc_picture", kind] == (metrics.auroc, (false_alarms, metrics.recall))
        assert shown["pr_picture", kind] == (metrics.ap, (metrics.recall, metrics.precision))


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_without_masks_there_are_no_pixel_figures(model: Path, tmp_path: Path) -> None:
    root = tiles.good_bad(tmp_path / "部品", sound=10, scratched=3, masks=False)
    kizu.evaluate(model, root, out=tmp_path / "out", plots=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "roc.png" in names
    assert not any(name.startswith("pixel") for name in names)
    assert {row["level"] for row in table(tmp_path / "out" / "metrics.csv")} == {"image", "count", "run"}


def test_what_an_earlier_evaluation_left_is_told(
    model: Path, parts: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    def told() -> list[str]:
        return [str(recwarn.pop(KizuWarning).message) for _ in range(len(recwarn))]

    for _ in range(2):
        kizu.evaluate(model, parts, out=tmp_path, plots=True)
    assert told() == []
    figures = "scores.png, roc.png, pr.png, pixel_roc.png, pixel_pr.png"
    kizu.evaluate(model, parts, out=tmp_path)
    (message,) = told()
    assert message.startswith(f"{tmp_path}: confusion_matrix.png, {figures} are of an earlier run, not of this one.")
    before = (tmp_path / "metrics.csv").read_bytes()
    assert len(list(predict(model, parts / "bad", out=tmp_path))) == 6
    (message,) = told()
    assert message.startswith(f"{tmp_path}: metrics.csv, pixel_metrics.csv, confusion_matrix.png, {figures} are of")
    assert (tmp_path / "metrics.csv").read_bytes() == before
    for path in (tmp_path / "metrics.csv", *tmp_path.glob("*.png")):
        path.unlink()
    kizu.evaluate(model, tiles.good_bad(tmp_path / "部品", sound=10, scratched=3, masks=False), out=tmp_path)
    assert told()[-1] == (
        f"{tmp_path}: pixel_metrics.csv is of an earlier run, not of this one. Remove it, or give another folder."
    )


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_one_kind_alone_has_no_curves_and_says_so(model: Path, tmp_path: Path) -> None:
    tiles.good(tmp_path / "部品" / "test" / "good", 3)
    tiles.good(tmp_path / "部品" / "train" / "good", 3)
    with pytest.warns(KizuWarning, match="all good or all bad: no ROC"):
        kizu.evaluate(model, tmp_path / "部品", out=tmp_path / "out", plots=True)
    names = {path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".png"}
    assert names == {"confusion_matrix.png", "scores.png"}


def test_what_is_missing_is_told_before_anything_is_done(
    model: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ParameterError, match="--plots needs a folder"):
        kizu.evaluate(model, parts, plots=True)
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r'pip install "kizu\[report\]"'):
        kizu.evaluate(model, parts, out=tmp_path / "out", plots=True)
    assert not (tmp_path / "out").exists()
    kizu.evaluate(model, parts, out=tmp_path / "out", save=["histogram", "combined", "segmentation", "mask"])
    assert len(list((tmp_path / "out" / "mask").iterdir())) == 6
    assert len(list((tmp_path / "out" / "histogram").iterdir())) == 12
