from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

import kizu
from kizu.datasets import load_dataset
from kizu.errors import DataError, ImageError, KizuWarning
from kizu.images import read_mask, resize_mask
from workflows import tiles
from workflows.tiles import SMALL, tile


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_figures_are_scikit_learns_of_its_own_predictions(each_model: Path, tmp_path: Path) -> None:
    """On a test set that is not told apart perfectly: faint scratches, and a few sound parts with other noise."""
    root = tmp_path / "部品"
    for number in range(12):
        faint = tile(number, scratched=True) * 0.03 + tile(number) * 0.97
        bad = root / "bad" / f"傷{number}.png"
        tiles.write(bad, (tile(number) if number % 4 == 0 else faint).astype(np.uint8))
        tiles.write(root / "mask" / f"傷{number}.png", tiles.scratch(number).astype(np.uint8) * 255)
    tiles.good(root / "good", 40, first=500)
    inspector = kizu.load(each_model)
    found = kizu.evaluate(inspector, root)
    dataset = load_dataset(root, seed=inspector.config.seed)
    own = {p.path: p for p in inspector.predict([sample.path for sample in dataset.test()])}
    labels = np.array([sample.label == "bad" for sample in dataset.test()])
    scores = np.array([own[sample.path].score for sample in dataset.test()])
    assert [(r.path, r.score, r.label == "bad") for r in found.results] == [
        (sample.path, score, label) for sample, score, label in zip(dataset.test(), scores, labels, strict=True)
    ]
    assert found.image.fp + found.image.fn > 0, "a test set without mistakes shows little"
    assert found.image.auroc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found.image.auroc < 1
    assert found.image.ap == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(labels, scores)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    assert found.image.f1_max == pytest.approx(best, abs=1e-9)
    assert inspector.calibration is not None
    flagged = scores > inspector.calibration.threshold
    assert found.image.f1 == pytest.approx(f1_score(labels, flagged), abs=1e-12)
    assert found.image.accuracy == pytest.approx((flagged == labels).mean())
    truth, maps = [], []
    for sample in dataset.test():
        mask = np.zeros((96, 96), bool) if sample.mask is None else read_mask(sample.mask)
        truth.append(resize_mask(mask, (64, 64)).ravel())
        maps.append(own[sample.path].anomaly_map.ravel())
    assert found.pixel is not None
    pixels, values = np.concatenate(truth), np.concatenate(maps)
    assert found.pixel.auroc == pytest.approx(roc_auc_score(pixels, values), abs=1e-4)
    assert found.pixel.ap == pytest.approx(average_precision_score(pixels, values), abs=1e-3)
    at = values > inspector.calibration.pixel_threshold
    assert found.pixel.f1 == pytest.approx(f1_score(pixels, at), abs=1e-3)
    assert found.counts == {"bad": 12, "good": 8}


@pytest.mark.parametrize("seed", [0, 1])
def test_no_image_fitted_on_is_judged(parts: Path, tmp_path: Path, seed: int) -> None:
    inspector = kizu.fit(parts, **SMALL, seed=seed)
    inspector.save(tmp_path / "a.kizu")
    judged = {result.path for result in kizu.evaluate(tmp_path / "a.kizu", parts).results}
    dataset = load_dataset(parts, seed=seed)
    assert judged == {sample.path for sample in dataset.test()}
    assert not judged & {sample.path for sample in dataset.train_good()}
    good = [path for path in judged if path.parent.name == "good"]
    assert len(good) == 6
    data = inspector.provenance["data"]
    assert data["fitted"] + data["held_out"] + len(good) == 30


def test_pixel_figures_are_there_with_masks_alone(model: Path, parts: Path, tmp_path: Path) -> None:
    with_masks = kizu.evaluate(model, parts)
    assert with_masks.pixel is not None
    assert with_masks.pixel.images == len(with_masks.results) == 12
    assert with_masks.pixel.regions >= 6
    without = kizu.evaluate(model, tiles.good_bad(tmp_path, masks=False))
    assert without.pixel is None
    assert without.image == with_masks.image
    assert json.loads(json.dumps(without.to_dict(), allow_nan=False))["pixel"] is None


def test_maps_that_pixel_metrics_cannot_tell_apart_are_told(parts: Path) -> None:
    detector = {"name": "padim", "reduced_dims": 4, "regularisation": 1e14}
    inspector = kizu.fit(parts, image_size=64, false_alarms=0.2, detector=detector)
    with pytest.warns(KizuWarning, match="pixel metrics say little here: 100 % of what they compare looks equal"):
        kizu.evaluate(inspector, parts)


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_defects_nobody_marked_count_for_images_alone(model: Path, tmp_path: Path) -> None:
    root = tiles.good_bad(tmp_path, sound=10, scratched=3)
    next((root / "mask").iterdir()).unlink()
    found = kizu.evaluate(model, root)
    assert found.pixel is not None
    assert (found.pixel.images, found.image.tp + found.image.fn) == (4, 3)


@pytest.mark.parametrize("make", [tiles.mvtec, lambda root: tiles.listed(root, ".csv")])
def test_other_layouts(model: Path, tmp_path: Path, make: object) -> None:
    found = kizu.evaluate(model, make(tmp_path / "部品"))  # type: ignore[operator]
    assert found.image.auroc == 1.0
    if make is tiles.mvtec:
        assert found.counts == {"good": 4, "引っかき傷": 4}
        assert found.pixel is not None
        assert found.pixel.auroc is not None
        assert found.pixel.auroc > 0.8


@pytest.mark.parametrize("missing", ["good", "bad"])
def test_one_kind_alone(model: Path, tmp_path: Path, missing: str) -> None:
    root = tiles.mvtec(tmp_path)
    for folder in list((root / "test").iterdir()):
        if (folder.name == "good") == (missing == "good"):
            folder.rename(tmp_path.parent / f"{tmp_path.name}-{missing}")
    found = kizu.evaluate(model, root)
    assert (found.image.auroc, found.image.ap, found.image.f1_max) == (None, None, None)
    assert found.image.accuracy is not None
    assert len(found.results) == 4
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("size", [(95, 96), (48, 48)])
def test_a_mask_of_another_size(model: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    root = tiles.good_bad(tmp_path, sound=5, scratched=2)
    mask = tiles.write(root / "mask" / "傷101.png", np.full(size, 255, np.uint8))
    for skip in (False, True):
        with pytest.raises(DataError) as caught:
            kizu.evaluate(model, root, skip_unreadable=skip)
        assert str(caught.value) == (
            f"{mask}: the mask is {size[1]}×{size[0]} pixels, its image 傷101.png is 96×96; save the mask at the "
            "size of the image, or take it out"
        )


def test_a_mask_that_cannot_be_read(model: Path, tmp_path: Path) -> None:
    """Stops, or is skipped and counted; its image is judged all the same, as one that nobody has marked."""
    root = tiles.good_bad(tmp_path, sound=5, scratched=2)
    whole = kizu.evaluate(model, root)
    first, second = root / "mask" / "傷100.png", root / "mask" / "傷101.png"
    first.write_bytes(b"")
    with pytest.raises(ImageError, match=r"傷100\.png: the file is empty.*, or use --skip-unreadable\.$"):
        kizu.evaluate(model, root)
    with pytest.warns(KizuWarning, match=r"^skipped .*傷100\.png: the file is empty"):
        found = kizu.evaluate(model, root, skip_unreadable=True, out=tmp_path / "out")
    assert (found.skipped, len(found.results)) == (1, 3)
    assert found.image == whole.image
    assert whole.pixel is not None
    assert found.pixel is not None
    assert (whole.pixel.images, found.pixel.images) == (3, 2)
    assert len((tmp_path / "out" / "pixel_metrics.csv").read_text("utf-8-sig").splitlines()) == 3
    second.write_bytes(b"")
    next(result.path for result in whole.results if result.label == "good").write_bytes(b"")
    with pytest.warns(KizuWarning, match="^skipped "):  # as many files as there are images, but two images are left
        found = kizu.evaluate(model, root, skip_unreadable=True)
    assert (found.skipped, len(found.results), found.pixel) == (3, 2, None)


def test_nothing_to_evaluate(model: Path, tmp_path: Path) -> None:
    tiles.good(tmp_path / "良品", 3)
    with pytest.raises(
        DataError, match=r"良品: no labelled test images \(folder of good images\)\. Evaluation needs"
    ):
        kizu.evaluate(model, tmp_path / "良品")
    with pytest.raises(DataError, match="no such file or folder"):
        kizu.evaluate(model, tmp_path / "gone")


def test_unreadable_images(model: Path, tmp_path: Path) -> None:
    root = tiles.good_bad(tmp_path, sound=5, scratched=3)
    (root / "bad" / "傷101.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"傷101\.png: the file is empty"):
        kizu.evaluate(model, root)
    with pytest.warns(KizuWarning, match="skipped "):
        found = kizu.evaluate(model, root, skip_unreadable=True)
    assert (found.skipped, found.counts) == (1, {"bad": 2, "good": 1})
    assert found.to_dict()["skipped"] == 1


def test_it_is_the_same_every_time(each_model: Path, parts: Path) -> None:
    one, two = (kizu.evaluate(each_model, parts) for _ in range(2))
    assert one.image == two.image
    assert one.pixel == two.pixel
    assert [result.score for result in one.results] == [result.score for result in two.results]


def test_pictures_show_the_truth(model: Path, parts: Path, tmp_path: Path) -> None:
    from kizu.images import read_image

    found = kizu.evaluate(model, parts, out=tmp_path, save=["overlay"])
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert len(pictures) == len(found.results)
    overlay = read_image(tmp_path / "overlay" / "傷100.png").astype(int)
    green = (overlay[..., 1] > overlay[..., 0] + 60) & (overlay[..., 1] > overlay[..., 2] + 60)
    assert green.any()


@pytest.mark.filterwarnings("ignore:the model has learnt")
def test_good_images_that_are_for_fitting_are_counted(model: Path, tmp_path: Path) -> None:
    """Where the seed divides them; where folders do, nobody needs to be told."""
    divided = kizu.evaluate(model, tiles.good_bad(tmp_path / "divided", sound=6, scratched=1))
    assert (divided.kept_for_fitting, divided.to_dict()["kept_for_fitting"]) == (5, 5)
    assert kizu.evaluate(model, tiles.mvtec(tmp_path / "mvtec")).kept_for_fitting == 0


def test_images_that_the_model_has_learnt_are_told(parts: Path, model: Path, tmp_path: Path) -> None:
    """The division holds as long as the folder stays as it was: another image, and others are for testing."""
    root = tmp_path / "部品"
    shutil.copytree(parts, root)
    tiles.good(root / "good", 1, first=500)
    samples = [s.path for s in load_dataset(root, seed=kizu.load(model).config.seed).test() if s.label == "good"]
    fitted = {s.path.name for s in load_dataset(parts, seed=kizu.load(model).config.seed).train_good()}
    known = sum(path.name in fitted for path in samples)
    assert known
    said = rf"^the model has learnt {known} of the \d+ images judged, so figures are too good\. Give test images"
    with pytest.warns(KizuWarning, match=said):
        kizu.evaluate(model, root)
    with pytest.warns(KizuWarning, match=said):
        kizu.make_report(model, root, tmp_path / "r.html", check=False)
    with pytest.warns(KizuWarning) as caught:
        kizu.compare([model, model], root)
    told = [str(warning.message).split(" of the ")[0] for warning in caught]
    assert told == [f"model {name} has learnt {known}" for name in "AB"]


def test_images_learnt_since_are_told(parts: Path, model: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.kizu"
    test = [s.path for s in load_dataset(parts, seed=kizu.load(model).config.seed).test() if s.label == "good"]
    kizu.update(model, test, out=new)
    with pytest.warns(KizuWarning, match=rf"^the model has learnt {len(test)} of the"):
        kizu.evaluate(new, parts)
