from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import kizu
from kizu.errors import DataError, ImageError, KizuWarning, OutputError, ParameterError
from kizu.images import read_image
from kizu.report import PARTS
from kizu.workflows import predict
from workflows import tiles
from workflows.tiles import tile


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_files_and_folders_each_image_once(model: Path, parts: Path, tmp_path: Path) -> None:
    inner = tiles.write(tmp_path / "画像" / "奥" / "b.png", tile(1))
    outer = tiles.write(tmp_path / "画像" / "a.png", tile(2))
    alone = tiles.write(tmp_path / "c.png", tile(3))
    (tmp_path / "画像" / "メモ.txt").write_text("not an image")
    found = list(predict(model, [alone, tmp_path / "画像", inner, str(alone)]))
    assert [p.path for p in found] == [alone, outer, inner]
    inspector = kizu.load(model)
    assert [p.score for p in found] == [inspector.predict(p.path).score for p in found if p.path]


def test_pictures_that_kizu_made_are_no_parts(model: Path, tmp_path: Path) -> None:
    """In an output folder inside the folder, and beside the images themselves."""
    folder = tmp_path / "検査"
    (image,) = (tiles.write(folder / "a.png", tile(2)),)
    list(predict(model, [folder], out=folder / "結果", save=["overlay"]))
    with pytest.warns(KizuWarning, match=r"left out 2 pictures .* in .*結果[/\\]overlay, .*結果[/\\]pictures\."):
        assert [p.path for p in predict(model, [folder])] == [image]
    with pytest.warns(KizuWarning, match="left out 2"):
        list(predict(model, [folder], out=folder, save=["overlay"]))
    with pytest.warns(KizuWarning, match="left out 4"):
        assert [p.path for p in predict(model, [folder])] == [image]
    assert [p.path for p in predict(model, [folder / "pictures"])] == [folder / "pictures" / "a.png"]  # asked for
    mine = tiles.write(tmp_path / "別" / "pictures" / "a.png", tile(3))
    assert [p.path for p in predict(model, [mine.parent.parent])] == [mine]


def test_figures_and_comparisons_are_no_parts(model: Path, parts: Path, tmp_path: Path) -> None:
    image = tiles.write(tmp_path / "a.png", tile(2))
    kizu.evaluate(model, parts, out=tmp_path / "evaluated", plots=True)
    assert (tmp_path / "evaluated" / "roc.png").exists()
    tiles.write(tmp_path / "compared" / "only_A_right" / "b.png", tile(4))
    (tmp_path / "compared" / "comparison.csv").touch()
    mine = [tiles.write(tmp_path / "mine" / name, tile(5)) for name in ("only_A_right/c.png", "roc.png")]
    with pytest.warns(KizuWarning, match="left out"):
        assert [p.path for p in predict(model, [tmp_path])] == [image, *mine]


def test_photographs_in_a_folder_named_as_pictures_are(model: Path, tmp_path: Path) -> None:
    """kizu writes PNG files alone; where it may have written all there is, it says so."""
    photograph = tiles.write(tmp_path / "a" / "input" / "1.jpg", tile(2))
    other = tiles.write(tmp_path / "a" / "2.png", tile(3))
    list(predict(model, [tmp_path / "a"], out=tmp_path / "a"))
    with pytest.warns(KizuWarning, match="left out 2"):
        assert [p.path for p in predict(model, [tmp_path / "a"])] == [other, photograph]
    other.unlink()
    photograph.unlink()
    with pytest.raises(DataError, match="no images in this folder but pictures that kizu wrote"):
        predict(model, [tmp_path / "a"])


def test_results_never_take_the_place_of_the_images(model: Path, tmp_path: Path) -> None:
    root = tmp_path / "検査"
    inputs = [tiles.write(root / folder / "a.png", tile(2)) for folder in ("pictures", "input", "c")]
    linked = tmp_path / "linked.png"
    linked.symlink_to(inputs[1])
    before = {path: path.read_bytes() for path in inputs}
    for given, save in ((inputs[0], ()), (root / "pictures", ()), (inputs[1], ("input",)), (linked, ("input",))):
        with pytest.raises(OutputError, match=r"lies in .*, where pictures of the results would take the place"):
            list(predict(model, [given], out=root, save=save))
    assert {path: path.read_bytes() for path in inputs} == before
    assert not list(root.glob("*.csv*"))
    assert len(list(predict(model, [inputs[1], inputs[2]], out=root, save=["overlay"]))) == 2


def test_a_link_to_itself_is_one_file_that_cannot_be_read(model: Path, tmp_path: Path) -> None:
    seen = tiles.write(tmp_path / "a" / "1.png", tile(2))
    (tmp_path / "a" / "2.png").symlink_to("2.png")
    out = tmp_path / "検査"
    (out / "pictures").mkdir(parents=True)
    with pytest.raises(ImageError, match=r"2\.png: cannot be read"):
        list(predict(model, [tmp_path / "a"], out=out))
    with pytest.warns(KizuWarning, match=r"skipped .*2\.png: cannot be read"):
        assert [p.path for p in predict(model, [tmp_path / "a"], out=out, skip_unreadable=True)] == [seen]


def test_truth_masks_are_not_overwritten(model: Path, tmp_path: Path) -> None:
    data = tiles.good_bad(tmp_path / "部品")
    before = {path: path.read_bytes() for path in (data / "mask").iterdir()}
    assert before
    with pytest.raises(OutputError, match="would take the place of the images given"):
        kizu.evaluate(model, data, out=data, save=["mask"])
    assert {path: path.read_bytes() for path in (data / "mask").iterdir()} == before


def test_two_programs_do_not_write_in_one_folder(model: Path, parts: Path, tmp_path: Path) -> None:
    first = predict(model, [parts / "good"], out=tmp_path)
    next(first)
    with pytest.raises(OutputError, match="another kizu is writing in it"):
        list(predict(model, [parts / "bad"], out=tmp_path))
    rest = list(first)
    assert len(table(tmp_path / "predictions.csv")) == 1 + len(rest)
    list(predict(model, [parts / "bad"], out=tmp_path))


def test_a_path_that_does_not_exist_is_told_before_anything_is_done(model: Path, parts: Path, tmp_path: Path) -> None:
    for missing, words in (
        (tmp_path / "無い", "no such file or folder"),
        (tmp_path / "空", "no images in this folder"),
    ):
        if "空" in missing.name:
            missing.mkdir()
        with pytest.raises(DataError, match=words) as caught:
            predict(model, [parts / "bad", missing], out=tmp_path / "out")
        assert str(caught.value).startswith(f"{missing}: ")
    with pytest.raises(DataError, match="no images given"):
        predict(model, [])
    with pytest.raises(ParameterError, match=r"unknown part 'heatmap'\. Did you mean 'heat_map'"):
        predict(model, [parts], out=tmp_path / "out", save=["heatmap"])
    assert not (tmp_path / "out").exists()


def test_the_table_holds_the_predictions(each_model: Path, parts: Path, tmp_path: Path) -> None:
    good = sorted((parts / "good").iterdir())[:4]
    found = list(predict(each_model, [parts / "bad", *good], out=tmp_path / "結果"))
    rows = table(tmp_path / "結果" / "predictions.csv")
    assert [
        (r["path"], float(r["score"]), float(r["threshold"]), r["verdict"], r["label"], r["type"]) for r in rows
    ] == [(str(p.path), p.score, p.threshold, p.verdict, "", "") for p in found]
    assert [float(row["milliseconds"]) for row in rows] == pytest.approx([p.milliseconds for p in found], abs=1e-3)
    assert {p.verdict for p in found} == {"ok", "ng"}


def test_a_picture_an_image_and_parts_on_demand(model: Path, parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "結果"
    list(predict(model, [parts / "bad"], out=out))
    tables = ["predictions.csv", "regions.coco.json", "regions.csv"]
    assert sorted(path.name for path in out.iterdir()) == ["pictures", *tables]
    list(predict(model, [parts / "bad"], out=out, save=PARTS))
    here = [part for part in PARTS if part != "mask"]  # nobody says where the defects of new images are
    assert sorted(path.name for path in out.iterdir()) == sorted([*here, "pictures", *tables])
    names = [f"傷{number}.png" for number in range(100, 106)]
    for folder in ("pictures", *here):
        suffix = ".csv" if folder == "pixels" else ".png"
        assert sorted(path.name for path in (out / folder).iterdir()) == [Path(n).stem + suffix for n in names]
    for part in ("input", "grey_map", "heat_map", "predicted_mask", "segmentation", "overlay"):
        assert read_image(out / part / names[0]).shape == (96, 96, 3)
    assert (read_image(out / "input" / names[0]) == tile(100, scratched=True)).all()
    expected = kizu.load(model).predict(tile(100, scratched=True)).predicted_mask
    assert ((read_image(out / "predicted_mask" / names[0])[..., 0] > 0) == expected).all()


def test_the_regions_of_the_tables_are_those_of_the_predictions(
    each_model: Path, parts: Path, tmp_path: Path
) -> None:
    found = list(predict(each_model, [parts], out=tmp_path / "a"))
    assert {bool(p.regions) for p in found} == {True, False}
    rows = table(tmp_path / "a" / "regions.csv")
    expected = [(str(p.path), p.verdict, number, region) for p in found for number, region in enumerate(p.regions, 1)]
    assert len(rows) == len(expected)
    for row, (path, verdict, number, region) in zip(rows, expected, strict=True):
        assert (row["path"], row["verdict"], row["region"]) == (path, verdict, str(number))
        assert (int(row["area"]), float(row["peak"])) == (region.area, region.peak)
    document = json.loads((tmp_path / "a" / "regions.coco.json").read_text("utf-8"))
    assert [image["file_name"] for image in document["images"]] == [str(p.path) for p in found]
    assert [(image["height"], image["width"]) for image in document["images"]] == [p.size for p in found]
    assert [a["area"] for a in document["annotations"]] == [region.area for *_, region in expected]
    least = sorted(region.area for *_, region in expected)[len(expected) // 2]
    list(predict(each_model, [parts], out=tmp_path / "b", min_area=least))
    large = [region.area for *_, region in expected if region.area >= least]
    assert [int(row["area"]) for row in table(tmp_path / "b" / "regions.csv")] == large
    with pytest.raises(ParameterError, match="`min_area` must be 1 pixel or more"):
        predict(each_model, [parts], min_area=0)


def test_the_pixels_are_the_map(model: Path, parts: Path, tmp_path: Path) -> None:
    (found,) = predict(model, [parts / "bad" / "傷100.png"], out=tmp_path, save=["pixels"])
    with (tmp_path / "pixels" / "傷100.csv").open(encoding="utf-8-sig") as file:
        grid = np.genfromtxt(file, delimiter=",", skip_header=1)
    np.testing.assert_allclose(grid[:, 1:], found.anomaly_map, rtol=1e-6)
    np.testing.assert_allclose(grid[:, 0], (np.arange(64) + 0.5) * 96 / 64 - 0.5)


def test_images_of_the_same_name_get_pictures_of_their_own(model: Path, tmp_path: Path) -> None:
    for folder in "ab":
        tiles.write(tmp_path / folder / "1.png", tile(1))
    list(predict(model, [tmp_path / "a", tmp_path / "b"], out=tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out" / "pictures").iterdir()) == ["a_1.png", "b_1.png"]


def test_stopping_early_keeps_what_was_scored(model: Path, parts: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_bytes(b"old")
    found = predict(model, [parts / "good"], out=tmp_path)
    first = [next(found), next(found)]
    found.close()
    assert (tmp_path / "predictions.csv").read_bytes() == b"old"
    assert not (tmp_path / "regions.csv").exists()
    begun = [json.loads(line) for line in (tmp_path / "regions.coco.json.part").read_text("utf-8").splitlines()]
    assert [line["image"]["file_name"] for line in begun] == [str(p.path) for p in first]
    rows = table(tmp_path / "predictions.csv.part")
    assert [(row["path"], float(row["score"])) for row in rows] == [(str(p.path), p.score) for p in first]
    assert list(found) == []
    list(predict(model, [parts / "bad"], out=tmp_path))
    assert len(table(tmp_path / "predictions.csv")) == 6
    assert not (tmp_path / "predictions.csv.part").exists()


def test_unreadable_images(model: Path, tmp_path: Path) -> None:
    tiles.good(tmp_path / "画像", 4)
    (tmp_path / "画像" / "良品001.png").write_bytes(b"")
    (tmp_path / "predictions.csv").write_bytes(b"old")
    with pytest.raises(ImageError, match=r"良品001\.png: the file is empty .* or use --skip-unreadable\.$"):
        list(predict(model, [tmp_path / "画像"], out=tmp_path))
    assert (tmp_path / "predictions.csv").read_bytes() == b"old"
    found = predict(model, [tmp_path / "画像"], out=tmp_path, skip_unreadable=True)
    with pytest.warns(KizuWarning, match=r"skipped .*良品001\.png: the file is empty"):
        assert len(list(found)) == 3
    assert found.skipped == 1
    assert len(table(tmp_path / "predictions.csv")) == 3


@pytest.mark.parametrize("left_empty", [False, True], ids=["gone", "empty"])
def test_a_drive_that_goes_away_is_no_unreadable_image(model: Path, tmp_path: Path, left_empty: bool) -> None:
    tiles.good(tmp_path / "棚", 40)
    found = predict(model, [tmp_path / "棚"], out=tmp_path / "out", skip_unreadable=True)
    first = next(found)
    (tmp_path / "棚").rename(tmp_path / "away")
    if left_empty:  # where a drive was mounted
        (tmp_path / "棚").mkdir()
    with pytest.raises(
        DataError, match=r"棚: the folder has gone since the first images were read\. Connect its drive"
    ):
        list(found)
    assert found.skipped == 0
    assert table(tmp_path / "out" / "predictions.csv.part")[0]["path"] == str(first.path)


@pytest.mark.filterwarnings("ignore::kizu.KizuWarning")
def test_nothing_readable(model: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 2 images can be read; the first: .*a\.png: the file is empty"):
        list(predict(model, [tmp_path], skip_unreadable=True))


def test_where_nothing_can_be_written(model: Path, parts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for out in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/out")):
        with pytest.raises(OutputError):
            next(predict(model, [parts / "bad"], out=out))
    assert (tmp_path / "file").read_bytes() == b"old"


def test_it_is_the_same_every_time(each_model: Path, parts: Path) -> None:
    one, two = ([(p.score, p.anomaly_map.tobytes()) for p in predict(each_model, [parts])] for _ in range(2))
    assert one == two


def test_an_error_leaves_no_reading_thread_behind(model: Path, tmp_path: Path) -> None:
    """Once the garbage collector had to stop them, from one of themselves at times: "cannot join current thread"."""
    import threading

    tiles.good(tmp_path, 30)
    (tmp_path / "良品003.png").write_bytes(b"")
    try:
        list(predict(model, [tmp_path]))
    except ImageError as error:
        kept = error  # its traceback holds on to everything
    assert "良品003" in str(kept)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("kizu-read")] == []


def test_a_path_and_a_part_alone_are_one(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles.good(tmp_path / "ab", 2)
    tiles.good(tmp_path / "a", 1)
    monkeypatch.chdir(tmp_path)
    found = list(predict(model, "ab", out=tmp_path / "out", save="overlay"))
    assert [one.path.parent for one in found if one.path] == [Path("ab")] * 2
    assert len(list((tmp_path / "out" / "overlay").iterdir())) == 2
