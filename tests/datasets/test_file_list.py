from __future__ import annotations

import json
from pathlib import Path

import pytest

from datasets.tree import put, relative
from kizu.datasets import load_dataset
from kizu.errors import DataError

IMAGES = ("a.png", "b.png", "c.png", "写真/d.jpg", "masks/c.png")


def written(folder: Path, text: str, name: str = "一覧.csv", encoding: str = "utf-8") -> Path:
    put(folder, *IMAGES)
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


def facts(path: Path) -> list[tuple[str | None, str, str | None, str, str | None]]:
    folder = path.parent
    return [
        (relative(folder, s.path), s.split, s.label, s.defect_type, relative(folder, s.mask))
        for s in load_dataset(path).samples
    ]


FULL = [
    ("a.png", "train", "good", "good", None),
    ("b.png", "calibration", "good", "good", None),
    ("写真/d.jpg", "test", "good", "good", None),
    ("c.png", "test", "bad", "傷", "masks/c.png"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv(tmp_path: Path, encoding: str, newline: str) -> None:
    lines = [
        "Path, label,split,mask",
        "a.png,good,train,",
        "b.png,OK,calibration,",
        "",
        "c.png,傷,test,masks/c.png",
    ]
    path = written(tmp_path, newline.join([*lines, '"写真/d.jpg",0,test,']), encoding=encoding)
    assert facts(path) == FULL
    dataset = load_dataset(path)
    assert (dataset.layout, dataset.product, dataset.root) == ("list", "一覧", path)


def test_jsonl(tmp_path: Path) -> None:
    rows = [
        {"path": "a.png", "label": "good", "split": "train"},
        {"path": "b.png", "label": "ok", "split": "calibration", "mask": None},
        {"path": "c.png", "label": "傷", "split": "test", "mask": "masks/c.png"},
        {"path": "写真/d.jpg", "label": 0, "split": "test"},
    ]
    text = "\n".join(json.dumps(row, ensure_ascii=index % 2 == 0) for index, row in enumerate(rows))
    assert facts(written(tmp_path, text + "\n\n", "list.jsonl")) == FULL


@pytest.mark.parametrize(
    ("word", "label", "kind"),
    [
        ("good", "good", "good"),
        ("GOOD", "good", "good"),
        ("ok", "good", "good"),
        ("0", "good", "good"),
        ("良品", "good", "good"),
        ("bad", "bad", "bad"),
        ("NG", "bad", "bad"),
        ("1", "bad", "bad"),
        ("不良", "bad", "bad"),
        ("Scratch", "bad", "Scratch"),
    ],
)
def test_labels(tmp_path: Path, word: str, label: str, kind: str) -> None:
    sample = load_dataset(written(tmp_path, f"path,label\na.png,{word}\n")).samples[0]
    assert (sample.label, sample.defect_type) == (label, kind)
    assert sample.split == ("train" if label == "good" else "test")


def test_what_is_left_open(tmp_path: Path) -> None:
    rows = "path,split,mask,label\na.png,train\nb.png,test,,\nc.png,,masks/c.png,\n写真/d.jpg,calibration\n"
    assert facts(written(tmp_path, rows)) == [
        ("a.png", "train", "good", "good", None),
        ("写真/d.jpg", "calibration", "good", "good", None),
        ("b.png", "test", None, "", None),
        ("c.png", "test", "bad", "bad", "masks/c.png"),
    ]


def test_paths_alone_are_good_images(tmp_path: Path) -> None:
    path = written(tmp_path, f"path\na.png\n{tmp_path / 'b.png'}\n")
    assert [s.path.name for s in load_dataset(path).train_good()] == ["a.png", "b.png"]


def test_bad_images_outside_the_test_split_are_noted(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, "path,label,split\na.png,bad,train\nb.png,good,train\n"))
    assert dataset.notes == ("not used: bad images outside the test split: a.png",)
    assert [s.path.name for s in dataset.train_good()] == ["b.png"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("path,lable\na.png,good\n", 1, r"unknown column 'lable'\. Did you mean 'label'\?"),
        ("path,label,label\na.png,good,good\n", 1, "the column `label` comes twice; take one out"),
        ("file,label\na.png,good\n", 1, "unknown column 'file'"),
        ("label\ngood\n", 1, "there is no column `path`; name the columns, as 'path,label,split,mask'"),
        ("", 1, "there is no column `path`"),
        ("path,label\na.png,good\n,good\n", 3, "`path` is empty; name the image, or take the line out"),
        (
            "path,label\nzzz.png,good\n",
            2,
            r"no such image: .*zzz\.png; paths are relative to the list's folder",
        ),
        ("path,mask\na.png,masks/z.png\n", 2, r"no such mask: .*z\.png"),
        ("path,split\na.png,trian\n", 2, r"unknown split 'trian'\. Did you mean 'train'\?"),
        (
            "path,label\na.png,good\nb.png,\n",
            3,
            "neither `label` nor `split` is given; say whether it is good",
        ),
        ("path,label\na.png,good,more\n", 2, "more values than columns; quote those with commas"),
        (
            "path,label\na.png,good\n./写真/../a.png,good\n",
            3,
            "the same image as in line 2; take one of the two",
        ),
        ('path,label\n"a.png,good\n', 2, "not CSV .*; check the quotes"),
        ("path\na\0.png\n", 2, "no such image|not CSV"),
    ],
)
def test_mistakes_in_csv_name_file_and_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=problem) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('{"path": "a.png"}\n{"path": "b.png"\n', 2, "not JSON .*; write one object a line"),
        ("[" * 100_000, 1, r"not JSON \(maximum recursion depth .*\); write one object a line"),
        ('\n["a.png"]\n', 2, "not a JSON object; write"),
        ('{"path": "a.png", "spilt": "train"}', 1, r"unknown column 'spilt'\. Did you mean 'split'\?"),
        ('{"path": "a.png", "label": true}', 1, '`label` is true; write text, as "good"'),
        ('{"path": ["a.png"]}', 1, r'`path` is \["a\.png"\]; write text'),
        ('{"label": "good"}', 1, "there is no column `path`"),
    ],
)
def test_mistakes_in_jsonl_name_file_and_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    path = written(tmp_path, text, "list.JSONL")
    with pytest.raises(DataError, match=problem) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_lists_without_images(tmp_path: Path) -> None:
    for name, text in (("a.csv", "path,label\n"), ("a.jsonl", "\n")):
        with pytest.raises(DataError, match="the list names no image; give a line for each"):
            load_dataset(written(tmp_path, text, name))


def test_other_encodings_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "path,label\na.png,傷\n", encoding="cp932")
    with pytest.raises(DataError, match=r"is not UTF-8 text; save it as UTF-8 \(in Excel: 'CSV UTF-8'\)"):
        load_dataset(path)


def test_a_list_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, "path\na.png\n")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\); check its permissions"):
        load_dataset(path)
