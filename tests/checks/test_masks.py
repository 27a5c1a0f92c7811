from __future__ import annotations

from pathlib import Path

import pytest

from checks.making import a_look, a_mask
from kizu.checks.masks import left_over, wrong_masks
from kizu.datasets import load_dataset
from kizu.wording import Wording
from workflows import tiles


@pytest.mark.parametrize(
    ("label", "mask", "kind", "words"),
    [
        ("bad", {"size": (150, 300)}, "mask_size", "the mask is 300×150 pixels, its image 300×300."),
        ("bad", {"marked": 0.0}, "mask_empty", "nothing is marked"),
        ("bad", {"marked": 1.0}, "mask_full", "100 % of the image is marked."),
        ("good", {"marked": 0.05}, "mask_on_good", "a good image with 5.0 % of it marked"),
        ("bad", {"problem": Wording("file_empty")}, "mask_unreadable", "the file is empty (0 bytes)."),
    ],
)
def test_a_mask_that_is_not_what_it_should_be(label: str, mask: dict[str, object], kind: str, words: str) -> None:
    (finding,) = wrong_masks([a_look("a", "test", label, mask=a_mask(**mask)), a_look("b", "test")])
    assert finding.kind == kind
    assert finding.message.startswith(words)
    assert [path.name for path in finding.paths] == ["a_mask.png", "a"]


def test_masks_as_they_should_be() -> None:
    looks = [a_look("a", "test", "bad", mask=a_mask()), a_look("b", "test", mask=a_mask(marked=0.0))]
    assert list(wrong_masks(looks)) == []


def test_missing_masks_are_told_where_other_defects_have_theirs() -> None:
    without = [a_look(f"{n}", "test", "bad") for n in range(3)]
    assert list(wrong_masks(without)) == []
    (finding,) = wrong_masks([*without, a_look("a", "test", "bad", mask=a_mask())])
    assert (finding.kind, len(finding.paths)) == ("mask_missing", 3)
    assert finding.message.startswith("3 of 4 images of defects have no mask")


@pytest.mark.parametrize("make", [tiles.good_bad, tiles.mvtec])
def test_masks_left_over_are_named(tmp_path: Path, make: object) -> None:
    root = make(tmp_path / "部品")  # type: ignore[operator]
    assert list(left_over(load_dataset(root))) == []
    folder = next(path for path in root.rglob("*") if path.name in ("mask", "ground_truth"))
    spare = [tiles.write(folder / name, tiles.tile(0)[..., 0]) for name in ("余り.png", "ほか/傷9.png")]
    (finding,) = left_over(load_dataset(root))
    assert (finding.kind, set(finding.paths)) == ("mask_left_over", set(spare))


def test_masks_left_over_of_visa(tmp_path: Path) -> None:
    root = tmp_path / "candle"
    for name in ("Images/Normal/0.png", "Images/Anomaly/000.png", "Masks/Anomaly/000.png"):
        tiles.write(root / "Data" / name, tiles.tile(0))
    assert list(left_over(load_dataset(root))) == []
    spare = tiles.write(root / "Data" / "Masks" / "Anomaly" / "typo.png", tiles.tile(0))
    (finding,) = left_over(load_dataset(root))
    assert finding.paths == (spare,)
