from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kizu.report import picture_names
from kizu.report.naming import LONGEST


def names(*paths: str) -> list[str]:
    return list(picture_names(paths).values())


def test_one_folder_keeps_its_names() -> None:
    assert names("a/部品 1.png", "a/部品 2.png") == ["部品 1", "部品 2"]
    assert names("/data/good/001.png") == ["001"]
    assert names() == []


def test_folders_come_in_front_where_names_meet() -> None:
    assert names("a/x.png", "b/x.png") == ["a_x", "b_x"]
    assert names("t/good/000.png", "t/良品/000.png", "t/crack/207.png") == ["good_000", "良品_000", "crack_207"]
    assert names("/1/t/x.png", "/2/t/x.png") == ["1_t_x", "2_t_x"]


def test_suffixes_come_behind_where_they_alone_differ() -> None:
    assert names("x.png", "x.jpg", "y.png") == ["x_png", "x_jpg", "y"]


def test_names_that_differ_in_case_alone_are_the_same_on_windows() -> None:
    found = names("X.png", "x.png", "y.png")
    assert re.fullmatch(r"X_png~[0-9a-f]{8}", found[0])
    assert re.fullmatch(r"x_png~[0-9a-f]{8}", found[1])
    assert found[2] == "y"


def test_joining_does_not_make_new_collisions() -> None:
    found = names("a/b_c.png", "a_b/c.png", "x/c.png")
    assert len({name.casefold() for name in found}) == 3


def test_a_path_given_twice_has_one_name() -> None:
    assert picture_names(["a/x.png", Path("a/x.png")]) == {Path("a/x.png"): "x"}


def test_order_does_not_matter() -> None:
    paths = [f"{folder}/{number}.png" for folder in ("good", "bad") for number in range(20)]
    shuffled = random.Random(0).sample(paths, len(paths))
    assert picture_names(shuffled) == picture_names(paths)


def test_both_forms_of_a_japanese_name_become_one_form() -> None:
    decomposed = unicodedata.normalize("NFD", "ガラス.png")
    assert names(decomposed) == ["ガラス"]
    assert len({unicodedata.normalize("NFC", name) for name in names("ガラス.png", decomposed)}) == 2


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("con.png", "_con"),
        ("COM1.old.png", "_COM1.old"),
        ("LPT¹.png", "_LPT¹"),
        ("console.png", "console"),
        ('a<b>:"c|?*\\.png', "a_b___c____"),
        ("a\tb\n.png", "a_b_"),
        ("dots. ..png", "dots"),
        (".hidden.png", "_.hidden"),
        ("-rf.png", "_-rf"),
        (" .png", "_"),
        ("a\udc80.png", "a_"),
    ],
)
def test_windows_and_shells_can_take_every_name(path: str, name: str) -> None:
    assert names(path) == [name]


def test_long_names_are_cut_and_stay_different() -> None:
    long, japanese = "a" * 240, "傷" * 80
    found = names(f"{long}1.png", f"{long}2.png", f"{japanese}.png")
    assert all(len(name) <= LONGEST and len(name.encode()) <= 180 for name in found)
    assert len(set(found)) == 3
    assert found[0].startswith("aaaa")
    assert found[2].startswith("傷傷")


paths = st.lists(
    st.text(st.sampled_from("aAb_~.0/ éé傷:CON"), min_size=1, max_size=12).map(lambda stem: f"{stem}x.png")
    | st.sampled_from(["a/x.png", "a/x.jpg", "A/x.PNG", "/a/x.png", "../a/x.png", "a_x.png", "con/nul.png"]),
    max_size=12,
)


@given(paths)
def test_no_two_paths_share_a_name(given_paths: list[str]) -> None:
    found = picture_names(given_paths)
    assert set(found) == set(map(Path, given_paths))
    assert len({unicodedata.normalize("NFC", name).casefold() for name in found.values()}) == len(found)
    for name in found.values():
        assert 0 < len(name) <= LONGEST
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^[. -]', name)
