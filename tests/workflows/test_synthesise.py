"""Data sets with drawn defects, from Python: what is refused, what is named, and what is drawn on."""

from __future__ import annotations

import csv
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kizu.datasets import Dataset, load_dataset
from kizu.errors import ImageError, ParameterError
from kizu.synthetic import KINDS
from kizu.workflows import synthesise
from workflows import tiles


def drawn(out: Path) -> Counter[tuple[str, str]]:
    """How often each kind was drawn on each image."""
    with (out / "defects.csv").open(encoding="utf-8-sig", newline="") as file:
        return Counter((row["kind"], row["drawn_on"]) for row in csv.DictReader(file))


@pytest.mark.parametrize("images", [25, 20, 12])
def test_every_kind_comes_to_every_image(tmp_path: Path, images: int) -> None:
    tiles.good(tmp_path / "good", images)
    held_out = synthesise(tmp_path / "good", tmp_path / "out", count=10).good
    found = drawn(tmp_path / "out")
    assert len(found) == len(KINDS) * held_out
    assert max(found.values()) - min(found.values()) <= 1


def test_without_a_count_one_is_drawn_on_each_image(tmp_path: Path) -> None:
    tiles.good(tmp_path / "good", 35)
    synthesise(tmp_path / "good", tmp_path / "out")
    assert set(Counter(image for _, image in drawn(tmp_path / "out")).values()) == {1}


@pytest.mark.parametrize("wrong", [{"strength": 11}, {"size": 0}, {"seed": -1}, {"count": 0}])
def test_numbers_are_checked_before_anything_is_read(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ParameterError, match=f"^`{name}` must be "):
        synthesise(tmp_path / "nowhere", tmp_path / "out", **wrong)


def divided(folder: Path) -> tuple[Dataset, list[Path], list[Path]]:
    """A data set, its images that are fitted on, and those that are held out."""
    paths = tiles.good(folder, 10)
    synthesise(folder, folder.parent / "first")
    fitted = [folder / path.name for path in (folder.parent / "first" / "train" / "good").iterdir()]
    return load_dataset(folder), fitted, [path for path in paths if path not in fitted]


@pytest.mark.parametrize("part", [1, 2])
def test_an_image_that_vanished_is_named(tmp_path: Path, part: int) -> None:
    data = divided(tmp_path / "good")
    gone = data[part][-1]
    gone.unlink()
    with pytest.raises(ImageError) as caught:
        synthesise(data[0], tmp_path / "out")
    assert caught.value.path == gone
    assert not (tmp_path / "out").exists()


def test_an_image_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, fitted, _ = divided(tmp_path / "good")
    opened = Path.open

    def forbidding(path: Path, *given: Any, **more: Any) -> Any:
        if path == fitted[0]:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *given, **more)

    monkeypatch.setattr(Path, "open", forbidding)
    with pytest.raises(ImageError, match="permission") as caught:
        synthesise(data, tmp_path / "out")
    assert caught.value.path == fitted[0]


def test_names_are_harmless_in_the_table(tmp_path: Path) -> None:
    """Neither formulas nor, where a drive takes it, what is no Unicode."""
    for path in tiles.good(tmp_path / "good", 10):
        path.rename(path.with_name(f"=1+{path.name}"))
    for path in sorted((tmp_path / "good").iterdir())[:5]:
        with suppress(OSError, UnicodeError):
            path.rename(path.with_name(f"\udcff{path.name}"))
    synthesise(tmp_path / "good", tmp_path / "out", count=10)
    assert {name[:4] for _, name in drawn(tmp_path / "out")} <= {"./=1", "\\udc"}
