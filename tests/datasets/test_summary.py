from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.tree import put
from images.making import encode, huge_png
from kizu.datasets import load_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ねじ"
    put(root, "train/good/a.png", "train/good/b.png", "train/good/c.jpg", "test/good/a.bmp")
    put(root, "test/crack/a.png", "test/crack/b.png", "ground_truth/crack/a_mask.png")
    put(root, "test/dent/a.webp", size=(16, 24))
    (root / "test/dent/壊.png").write_bytes(b"no image")
    (root / "test/dent/deep.png").write_bytes(encode(np.zeros((40, 50), np.uint16), "PNG"))
    return root


def test_for_people(root: Path) -> None:
    broken = root / "test/dent/壊.png"
    assert load_dataset(root).summary().lines() == [
        f"ねじ: 9 images (MVTec AD) in {root}",
        "  train: 3 good",
        "  test: 2 crack, 3 dent, 1 good",
        "  masks: 1; 1 of 5 bad test images marked",
        "  files: 5 PNG, 1 JPEG, 1 WebP, 1 BMP; 8 and 16 bits a sample",
        "  sizes in pixels: 24×16 to 50×40, most often 32×24 (6)",
        f"  unreadable: 1, the first: {broken}: not an image kizu reads (PNG, JPEG, BMP, TIFF, WebP); "
        "save it as one of these, or take it out",
        "  note: 16 bits a sample in 1 image: 65535 becomes 255 without --window. "
        "If the camera fills only part of that, fit with --window auto",
    ]


def test_for_programs(root: Path) -> None:
    found = json.loads(json.dumps(load_dataset(root).summary().to_dict(), ensure_ascii=False))
    assert found["images"] == 9
    assert found["layout"] == "MVTec AD"
    assert found["counts"] == {"train": {"good": 3}, "test": {"crack": 2, "dent": 3, "good": 1}}
    assert found["masks"] == {"found": 1, "defects": 5, "defects_without_mask": 4}
    assert found["formats"] == {"PNG": 5, "JPEG": 1, "WebP": 1, "BMP": 1}
    assert found["bits"] == {"8": 7, "16": 1}
    assert found["sizes"] == {
        "smallest": [24, 16],
        "largest": [50, 40],
        "most_common": [32, 24],
        "most_common_count": 6,
    }
    assert len(found["unreadable"]) == len(found["notes"]) == 1


def test_of_sizes_that_all_differ_none_is_the_most_frequent(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "b.png", size=(16, 24))
    assert load_dataset(tmp_path).summary().lines()[-1] == "  sizes in pixels: 24×16 to 32×24"


def test_one_size_no_masks_no_test(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    lines = load_dataset(tmp_path).summary().lines()
    assert lines[1:] == ["  train: 2 good", "  files: 2 PNG; 8 bits a sample", "  sizes in pixels: all 32×24"]


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    summary = load_dataset(tmp_path).summary()
    assert summary.most_common is None
    assert summary.to_dict()["sizes"]["largest"] is None
    assert len(summary.lines()) == 3


def test_huge_images_are_counted_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(huge_png(30_000))
    assert load_dataset(tmp_path).summary().largest == (30_000, 30_000)


def test_images_without_label(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    (tmp_path / "list.csv").write_text("path,split,label\na.png,train,good\nb.png,test,\n", encoding="utf-8")
    summary = load_dataset(tmp_path / "list.csv").summary()
    assert summary.counts == {"train": {"good": 1}, "test": {"unlabelled": 1}}


def test_files_of_several_pages_are_told_of_unless_channels_were_chosen(tmp_path: Path) -> None:
    pages = [Image.new("L", (32, 24), level) for level in (10, 20)]
    (tmp_path / "two.tif").write_bytes(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    (tmp_path / "one.tif").write_bytes(encode(pages[0], "TIFF"))
    dataset = load_dataset(tmp_path)
    (note,) = dataset.summary().notes
    assert note.startswith("1 file of several pages: the first is the image.")
    assert dataset.summary(channelled=True).notes == ()
