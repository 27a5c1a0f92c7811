from __future__ import annotations

import os
import unicodedata
from contextlib import nullcontext
from pathlib import Path

import pytest

from kizu.errors import DataError
from kizu.images import SUFFIXES, find_images, is_image, sort_key
from kizu.images.listing import list_folder


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_suffixes_count_in_any_case(suffix: str) -> None:
    assert is_image(f"日本語{suffix}")
    assert is_image(Path("folder") / f"A{suffix.upper()}")


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", "._a.png", ".hidden.jpg", "a.txt", "png", "a.png.part"])
def test_other_files_are_no_images(name: str) -> None:
    assert not is_image(name)


def test_images_are_sorted_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.JPG", "日本.bmp", "a.txt", "._a.JPG", "c.tif", "inner/d.png", "Thumbs.db")
    assert [path.name for path in find_images(tmp_path)] == ["a.JPG", "b.png", "c.tif", "日本.bmp"]


def test_recursion_leaves_hidden_folders_out(tmp_path: Path) -> None:
    touch(tmp_path, "z.png", "a/b.png", "a/c/d.png", ".git/x.png", "__MACOSX/y.png", "a/@eaDir/z.png")
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path, recursive=True)]
    assert found == ["a/b.png", "a/c/d.png", "z.png"]


def test_a_folder_named_like_an_image_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    assert find_images(tmp_path) == ()


def test_order_is_the_same_for_both_forms_of_a_name() -> None:
    names = ["ガ.png", "カ.png", "キ.png"]
    decomposed = [unicodedata.normalize("NFD", name) for name in names]
    ordered = [unicodedata.normalize("NFC", name) for name in sorted(decomposed, key=sort_key)]
    assert ordered == sorted(names, key=sort_key)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"無い: no such folder; check the name, or whether the drive is conn"):
        find_images(tmp_path / "無い")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"a\.png: "):
        find_images(tmp_path / "a.png")


def test_linked_folders_are_not_entered(tmp_path: Path) -> None:
    touch(tmp_path / "data", "a.png", "inner/b.png")
    touch(tmp_path / "elsewhere", "c.png")
    (tmp_path / "data" / "self").symlink_to(".")
    (tmp_path / "data" / "inner" / "up").symlink_to("..")
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "elsewhere")
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path / "data", recursive=True)]
    assert found == ["data/a.png", "data/inner/b.png"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path / "data", "a.png", "inner/b.png")
    (tmp_path / "link").symlink_to("data")
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path / "link", recursive=True)]
    assert found == ["link/a.png", "link/inner/b.png"]


def test_layouts_follow_links_to_folders(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "a.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "good").symlink_to(tmp_path / "elsewhere")
    assert list_folder(tmp_path / "data") == ((tmp_path / "data" / "good",), ())


def test_links_that_lead_nowhere_count_as_files(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "lost.png").symlink_to("nothing")
    assert [path.name for path in find_images(tmp_path, recursive=True)] == ["a.png", "loop.png", "lost.png"]
    assert [path.name for path in list_folder(tmp_path)[1]] == ["a.png", "loop", "loop.png", "lost.png"]


class Forbidden:
    """An entry of a folder that the system says nothing about."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.name = path.name

    def is_dir(self) -> bool:
        raise PermissionError(13, "Permission denied")


def test_a_link_that_cannot_be_followed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [Forbidden(tmp_path / "a.png")]
    monkeypatch.setattr("kizu.images.listing.os.scandir", lambda _: nullcontext(entries))
    assert find_images(tmp_path) == (tmp_path / "a.png",)
    entries.append(Forbidden(tmp_path / "good"))
    with pytest.raises(DataError, match="good: no permission to list it; change its permissions"):
        find_images(tmp_path)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (PermissionError(13, "Permission denied"), "no permission to list it; change its permissions"),
        (OSError(112, "Host is down"), r"cannot be listed \(Host is down\); check the drive or network"),
        (NotADirectoryError(20, "Not a directory"), "is a file, not a folder"),
    ],
)
def test_a_folder_that_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, problem: str
) -> None:
    real = os.scandir

    def scandir(folder: Path) -> object:
        if Path(folder).name == "inner":
            raise error
        return real(folder)

    touch(tmp_path, "inner/a.png")
    monkeypatch.setattr("kizu.images.listing.os.scandir", scandir)
    with pytest.raises(DataError, match=f"inner: {problem}"):
        find_images(tmp_path, recursive=True)
