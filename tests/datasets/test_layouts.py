"""Every layout, found by looking; masks by name; what is left out is noted."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from datasets.tree import put, relative
from kizu.datasets import Dataset, find_products, load_dataset
from kizu.errors import DataError


def facts(dataset: Dataset) -> list[tuple[str | None, str, str | None, str, str | None]]:
    root = dataset.root
    return [
        (relative(root, s.path), s.split, s.label, s.defect_type, relative(root, s.mask)) for s in dataset.samples
    ]


def test_mvtec(tmp_path: Path) -> None:
    root = tmp_path / "ねじ"
    put(root, "train/good/b.png", "train/good/a.JPG", "test/good/正常.png", "test/crack/001.png")
    put(root, "test/crack/002.bmp", "test/欠け/001.png", "ground_truth/crack/001_mask.png")
    put(root, "ground_truth/crack/002.tif", "ground_truth/欠け/001_mask.png")
    dataset = load_dataset(root)
    assert facts(dataset) == [
        ("train/good/a.JPG", "train", "good", "good", None),
        ("train/good/b.png", "train", "good", "good", None),
        ("test/crack/001.png", "test", "bad", "crack", "ground_truth/crack/001_mask.png"),
        ("test/crack/002.bmp", "test", "bad", "crack", "ground_truth/crack/002.tif"),
        ("test/good/正常.png", "test", "good", "good", None),
        ("test/欠け/001.png", "test", "bad", "欠け", "ground_truth/欠け/001_mask.png"),
    ]
    assert (dataset.layout, dataset.product, dataset.notes) == ("MVTec AD", "ねじ", ())
    assert [s.path.name for s in dataset.train_good()] == ["a.JPG", "b.png"]
    assert len(dataset.test()) == 4
    assert dataset.calibration() == ()


def test_mvtec_without_truth_and_with_calibration(tmp_path: Path) -> None:
    put(tmp_path, "train/good/a.png", "validation/good/b.png", "test/dent/c.png")
    dataset = load_dataset(str(tmp_path))
    assert [s.path.name for s in dataset.calibration()] == ["b.png"]
    assert [s.mask for s in dataset.test()] == [None]


def test_mvtec_of_test_images_alone(tmp_path: Path) -> None:
    put(tmp_path, "test/good/a.png", "test/dent/c.png")
    assert load_dataset(tmp_path).train_good() == ()


def test_masks_are_paired_by_name_and_never_by_position(tmp_path: Path) -> None:
    put(tmp_path, *(f"test/dent/{name}.png" for name in "abc"), "train/good/a.png")
    put(tmp_path, "ground_truth/dent/b_mask.png", "ground_truth/dent/x_mask.png", "ground_truth/burr/a.png")
    dataset = load_dataset(tmp_path)
    masks = {s.path.stem: relative(tmp_path, s.mask) for s in dataset.test()}
    assert masks == {"a": None, "b": "ground_truth/dent/b_mask.png", "c": None}
    assert dataset.notes == (
        "masks without an image in ground_truth/dent/: x_mask.png",
        "ignored ground_truth/burr/: there is no test/burr/",
    )
    assert dataset.summary().defects_without_mask == 2


def test_both_forms_of_a_name_are_one(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "ガス") for form in ("NFC", "NFD"))
    put(tmp_path, f"test/{composed}/{composed}.png", f"ground_truth/{decomposed}/{decomposed}_mask.png")
    assert load_dataset(tmp_path).test()[0].mask is not None


def test_a_mask_of_its_own_goes_before_a_name_that_ends_like_one(tmp_path: Path) -> None:
    put(tmp_path, "test/dent/a.png", "test/dent/a_mask.png", "train/good/a.png")
    put(tmp_path, "ground_truth/dent/a_mask.png", "ground_truth/dent/a_mask_mask.png")
    masks = {s.path.name: s.mask.name for s in load_dataset(tmp_path).test() if s.mask}
    assert masks == {"a.png": "a_mask.png", "a_mask.png": "a_mask_mask.png"}


def test_masks_that_are_not_clear_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "test/dent/a.png", "ground_truth/dent/a_mask.png", "ground_truth/dent/a_mask.bmp")
    with pytest.raises(DataError, match=r"a_mask\.bmp and a_mask\.png are both masks of a\.png; take one out"):
        load_dataset(tmp_path)
    (tmp_path / "ground_truth/dent/a_mask.bmp").unlink()
    put(tmp_path, "test/dent/a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg and a\.png both claim the mask a_mask\.png; rename one"):
        load_dataset(tmp_path)


def test_what_mvtec_folders_hold_besides_is_noted(tmp_path: Path) -> None:
    put(tmp_path, "train/good/a.png", "train/good/lot/b.png", "train/crack/c.png", "train/d.png")
    put(tmp_path, "train/good/._a.png", "test/good/Thumbs.png")
    assert load_dataset(tmp_path).notes == (
        "ignored in train/: d.png",
        "ignored train/crack/: only good images belong in train/",
        "ignored in train/good/: lot/",
    )
    assert len(load_dataset(tmp_path).train_good()) == 1


def test_good_words_are_not_types_of_defect(tmp_path: Path) -> None:
    put(tmp_path, "train/OK/a.png", "test/ok/b.png", "test/NG/c.png")
    assert [(s.label, s.defect_type) for s in load_dataset(tmp_path).samples] == [
        ("good", "good"),
        ("bad", "bad"),
        ("good", "good"),
    ]


def good_bad(root: Path) -> Path:
    put(root, *(f"good/{number:02}{suffix}" for number in range(5) for suffix in (".png", ".jpg")))
    put(root, "bad/01.png", "bad/02.png", "bad/キズ/01.png", "bad/キズ/02.png")
    put(root, "mask/01.png", "mask/02_mask.bmp", "mask/キズ/02.png")
    return root


def test_good_bad(tmp_path: Path) -> None:
    dataset = load_dataset(good_bad(tmp_path / "部品"))
    assert (dataset.layout, dataset.product, dataset.notes) == ("good/bad folders", "部品", ())
    assert len(dataset.train_good()) == 8
    assert [s.label for s in dataset.test()].count("good") == 2
    assert [fact for fact in facts(dataset) if fact[2] == "bad"] == [
        ("bad/01.png", "test", "bad", "bad", "mask/01.png"),
        ("bad/02.png", "test", "bad", "bad", "mask/02_mask.bmp"),
        ("bad/キズ/01.png", "test", "bad", "キズ", None),
        ("bad/キズ/02.png", "test", "bad", "キズ", "mask/キズ/02.png"),
    ]


def test_the_seed_decides_the_division(tmp_path: Path) -> None:
    good_bad(tmp_path)
    assert load_dataset(tmp_path, seed=3) == load_dataset(tmp_path, seed=3)
    divisions = {load_dataset(tmp_path, seed=seed).train_good() for seed in range(8)}
    assert len(divisions) > 4


def test_good_alone_and_few(tmp_path: Path) -> None:
    put(tmp_path, "Good/a.png")
    dataset = load_dataset(tmp_path)
    assert (len(dataset.train_good()), len(dataset.test())) == (1, 0)


def test_what_good_bad_folders_hold_besides_is_noted(tmp_path: Path) -> None:
    put(tmp_path, "good/a.png", "bad/a.png", "mask/b.png", "mask/crack/a.png", "other/a.png", "cover.png")
    assert load_dataset(tmp_path).notes == (
        "masks without an image in mask/: b.png",
        "ignored mask/crack/: there is no bad/crack/",
        "ignored in the data folder: other/, cover.png",
    )


def test_plain_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "二.png", "一.jpg", "sub/c.png")
    (tmp_path / "readme.txt").touch()
    monkeypatch.chdir(tmp_path)
    dataset = load_dataset(".")
    assert [s.path.name for s in dataset.train_good()] == ["一.jpg", "二.png"]
    assert dataset.layout == "folder of good images"
    assert dataset.product == tmp_path.name
    assert dataset.notes == ("ignored in the data folder: sub/",)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (
            [],
            r"the folder is empty; expected train/good/ and test/ \(MVTec AD\), Data/Images/ \(VisA\), good/",
        ),
        (
            ["a.txt", "b.gif"],
            r"no images, but the files a\.txt, b\.gif; expected .* Put the images of good parts",
        ),
        (["x/a.txt", "y/a.txt", "z/a.txt", "w/a.txt"], r"no images, but the folders w/, x/, y/ and 1 more;"),
        (["screw/train/good/a.png", "nut/a.txt"], r"Give one product, such as \S*screw$"),
        (["screw/good/a.png"], r"Give one product, such as \S*screw$"),
        (["photos/a.png"], r"If photos/ holds good images, give \S*photos or rename it to good/$"),
        (["bad/a.png"], r"no images, but the folders bad/;"),
        (["list.csv", "photos/a.txt"], r"To use the list, give \S*list\.csv$"),
        (
            ["train/good/a.txt"],
            r"no image in train/good/, test/good/ or test/TYPE/; put the good images there",
        ),
        (["train/a.png"], r"no image in train/good/"),
        (["good/a.txt", "bad/a.png"], r"no image in good/; put the good images there"),
        (["good/a.png", "OK/b.png"], r"OK/ and good/ mean the same; merge them, or take one out"),
        (["good/a.png", "train/good/a.png"], r"holds both train/ or test/ and good/; move one"),
    ],
)
def test_folders_that_are_no_data_set(tmp_path: Path, names: list[str], problem: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=problem) as caught:
        load_dataset(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_table_of_something_else_is_not_advised(tmp_path: Path) -> None:
    (tmp_path / "1cls.csv").write_text(
        "object,split,label,image,mask\ncandle,train,normal,a.JPG,\n", encoding="utf-8"
    )
    with pytest.raises(
        DataError, match=r"no images, but the files 1cls\.csv; .* Put the images of good parts there$"
    ):
        load_dataset(tmp_path)
    (tmp_path / "parts.csv").write_text("label, Path\ngood,a.png\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"To use the list, give \S*parts\.csv$"):
        load_dataset(tmp_path)
    (tmp_path / "parts.csv").write_text("path,label\na.png,good\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"To use the list, give \S*parts\.csv$"):  # which then says: not UTF-8
        load_dataset(tmp_path)


def test_paths_that_are_no_data_set(tmp_path: Path) -> None:
    put(tmp_path, "一.png")
    (tmp_path / "a.docx").touch()
    with pytest.raises(DataError, match=r"無: no such file or folder; check the name, or whether the drive"):
        load_dataset(tmp_path / "無")
    with pytest.raises(DataError, match=r"一\.png: is a single image; give a folder of images, such as "):
        load_dataset(tmp_path / "一.png")
    with pytest.raises(DataError, match=r"a\.docx: is not a data set; give a folder, or a list named \.csv or"):
        load_dataset(tmp_path / "a.docx")


def test_mvtec_loco_with_several_masks_an_image(tmp_path: Path) -> None:
    put(tmp_path, "train/good/000.png", "validation/good/000.png", "test/good/000.png")
    put(
        tmp_path,
        "test/logical_anomalies/000.png",
        "test/logical_anomalies/001.png",
        "test/structural_anomalies/000.png",
    )
    put(tmp_path, "ground_truth/logical_anomalies/000/000.png", "ground_truth/logical_anomalies/000/001.png")
    put(tmp_path, "ground_truth/logical_anomalies/002/000.png", "ground_truth/structural_anomalies/000/000.png")
    dataset = load_dataset(tmp_path)
    assert facts(dataset) == [
        ("train/good/000.png", "train", "good", "good", None),
        ("validation/good/000.png", "calibration", "good", "good", None),
        ("test/good/000.png", "test", "good", "good", None),
        ("test/logical_anomalies/000.png", "test", "bad", "logical_anomalies", "ground_truth/logical_anomalies/000"),
        ("test/logical_anomalies/001.png", "test", "bad", "logical_anomalies", None),
        (
            "test/structural_anomalies/000.png",
            "test",
            "bad",
            "structural_anomalies",
            "ground_truth/structural_anomalies/000",
        ),
    ]
    assert dataset.notes == ("masks without an image in ground_truth/logical_anomalies/: 002",)


def test_btad(tmp_path: Path) -> None:
    put(tmp_path, "train/ok/0000.bmp", "test/ok/0001.bmp", "test/ko/0002.bmp", "ground_truth/ko/0002.png")
    assert facts(load_dataset(tmp_path)) == [
        ("train/ok/0000.bmp", "train", "good", "good", None),
        ("test/ko/0002.bmp", "test", "bad", "bad", "ground_truth/ko/0002.png"),
        ("test/ok/0001.bmp", "test", "good", "good", None),
    ]


def visa(root: Path) -> Path:
    """A product of VisA, ten normal images and three anomalies, as its archive unpacks."""
    put(root, *(f"candle/Data/Images/Normal/{n:04}.JPG" for n in range(10)))
    put(root, *(f"candle/Data/Images/Anomaly/{n:03}.JPG" for n in range(3)))
    put(root, *(f"candle/Data/Masks/Anomaly/{n:03}.png" for n in range(2)))
    lines = ["image,label,mask", "candle/Data/Images/Normal/0000.JPG,normal,"]
    lines += ["candle/Data/Images/Anomaly/000.JPG,melded,candle/Data/Masks/Anomaly/000.png"]
    lines += ['candle/Data/Images/Anomaly/001.JPG,"melded,chunk of wax missing",candle/Data/Masks/Anomaly/001.png']
    (root / "candle/image_anno.csv").write_text("\n".join(lines), encoding="utf-8")
    return root / "candle"


def test_visa_by_its_list(tmp_path: Path) -> None:
    root = visa(tmp_path)
    rows = [
        f"candle,{'test' if n in (3, 7) else 'train'},normal,candle/Data/Images/Normal/{n:04}.JPG," for n in range(10)
    ]
    rows += ["capsules,test,normal,capsules/Data/Images/Normal/0000.JPG,"]
    rows += [f"candle,test,anomaly,candle/Data/Images/Anomaly/{n:03}.JPG,x" for n in range(3)]
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text(
        "\n".join(["object,split,label,image,mask", *rows]), encoding="utf-8"
    )
    dataset = load_dataset(root)
    assert (dataset.layout, dataset.product, dataset.notes) == ("VisA", "candle", ())
    assert [s.path.name for s in dataset.train_good()] == [f"{n:04}.JPG" for n in range(10) if n not in (3, 7)]
    assert facts(dataset)[8:] == [
        ("Data/Images/Normal/0003.JPG", "test", "good", "good", None),
        ("Data/Images/Normal/0007.JPG", "test", "good", "good", None),
        ("Data/Images/Anomaly/000.JPG", "test", "bad", "melded", "Data/Masks/Anomaly/000.png"),
        ("Data/Images/Anomaly/001.JPG", "test", "bad", "combined", "Data/Masks/Anomaly/001.png"),
        ("Data/Images/Anomaly/002.JPG", "test", "bad", "bad", None),
    ]


def test_visa_of_equal_names_among_good_and_bad(tmp_path: Path) -> None:
    """As capsules, cashew, chewinggum and pipe_fryum have them."""
    put(tmp_path, *(f"cashew/Data/Images/Normal/{n:03}.JPG" for n in range(10)))
    put(tmp_path, *(f"cashew/Data/Images/Anomaly/{n:03}.JPG" for n in range(5)))
    rows = [f"cashew,{'test' if n > 7 else 'train'},normal,cashew/Data/Images/Normal/{n:03}.JPG," for n in range(10)]
    rows += [f"cashew,test,anomaly,cashew/Data/Images/Anomaly/{n:03}.JPG,x" for n in range(5)]
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text("\n".join(["object,split,label,image,mask", *rows]))
    dataset = load_dataset(tmp_path / "cashew")
    assert dataset.counts() == {"train": {"good": 8}, "test": {"good": 2, "bad": 5}}
    assert [s.path.name for s in dataset.train_good()] == [f"{n:03}.JPG" for n in range(8)]


def test_visa_images_that_its_list_does_not_name_are_left_out(tmp_path: Path) -> None:
    root = visa(tmp_path)
    rows = [f"candle,train,normal,candle/Data/Images/Normal/{n:04}.JPG" for n in range(9)]
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text("\n".join(["object,split,label,image", *rows]), encoding="utf-8")
    dataset = load_dataset(root)
    assert len(dataset.train_good()) == 9
    assert "0009.JPG" not in {sample.path.name for sample in dataset.samples}
    assert dataset.notes == ("ignored in Data/Images/Normal/: 0009.JPG",)


def test_visa_without_its_list_is_divided_by_the_seed(tmp_path: Path) -> None:
    root = visa(tmp_path)
    drawn = {tuple(s.path.name for s in load_dataset(root, seed=seed).train_good()) for seed in range(5)}
    assert {len(names) for names in drawn} == {8}
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("object,split\n", "there is no column `label`; restore the list, or take it away"),
        (
            "object,split,label,image\nfryum,train,normal,a.JPG\n",
            "names no image of candle for training; check the list",
        ),
        ('object,split,label,image\ncandle,train,"normal', "cannot be read as a list (unexpected end of data)"),
    ],
)
def test_visa_with_a_list_that_is_not_one(tmp_path: Path, text: str, problem: str) -> None:
    root = visa(tmp_path)
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_dataset(root)
    assert str(caught.value).startswith(f"{tmp_path / 'split_csv' / '1cls.csv'}: {problem}")


def test_visa_without_normal_images(tmp_path: Path) -> None:
    put(tmp_path, "Data/Images/Anomaly/000.JPG")
    (tmp_path / "Data/Images/Normal").mkdir()
    with pytest.raises(DataError, match=r"no image in Data/Images/Normal/; put the good images there"):
        load_dataset(tmp_path)


def test_products_of_a_collection(tmp_path: Path) -> None:
    put(tmp_path, "mvtec/bottle/train/good/0.png", "mvtec/cable/test/good/0.png", "mvtec/papers/0.png", "plain/0.png")
    candle = visa(tmp_path / "visa")
    assert [path.name for path in find_products(tmp_path / "mvtec")] == ["bottle", "cable"]
    assert find_products(tmp_path / "visa") == (candle,)
    for one in (candle, tmp_path / "plain", tmp_path / "mvtec" / "bottle", tmp_path / "list.csv"):
        assert find_products(one) == (one,)
    with pytest.raises(DataError, match=r"Give one product, such as .*bottle"):
        load_dataset(tmp_path / "mvtec")


def test_images_beside_the_folders_of_mvtec_are_told(tmp_path: Path) -> None:
    put(tmp_path, "train/good/a.png", "test/good/b.png", "c.png", "d.png")
    (tmp_path / "readme.txt").touch()
    assert any("c.png, d.png" in note for note in load_dataset(tmp_path).notes)
