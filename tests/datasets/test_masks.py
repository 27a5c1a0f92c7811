from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from images.making import encode
from kizu.datasets import Sample, load_mask
from kizu.errors import DataError, ImageError

BAD = Sample(Path("部品.png"), "test", "bad", "crack")
GOOD = Sample(Path("good.png"), "test", "good", "good")


def with_mask(folder: Path, mask: np.ndarray) -> Sample:
    path = folder / "部品_mask.png"
    path.write_bytes(encode(mask.astype(np.uint8) * 255, "PNG"))
    return dataclasses.replace(BAD, mask=path)


def test_a_mask_of_the_right_size(tmp_path: Path) -> None:
    mask = np.zeros((24, 32), bool)
    mask[3:9, 4:20] = True
    loaded = load_mask(with_mask(tmp_path, mask), (24, 32, 3))
    assert loaded is not None
    assert loaded.dtype == np.bool_
    np.testing.assert_array_equal(loaded, mask)


def test_a_good_image_has_nothing_marked() -> None:
    loaded = load_mask(GOOD, (24, 32, 3))
    assert loaded is not None
    assert loaded.shape == (24, 32)
    assert not loaded.any()


@pytest.mark.parametrize("sample", [BAD, Sample(Path("a.png"), "test", None, "")])
def test_what_nobody_has_marked_is_not_known(sample: Sample) -> None:
    assert load_mask(sample, (24, 32)) is None


def test_another_size_is_refused(tmp_path: Path) -> None:
    sample = with_mask(tmp_path, np.ones((24, 30), bool))
    with pytest.raises(DataError) as caught:
        load_mask(sample, (24, 32, 3))
    assert str(caught.value) == (
        f"{sample.mask}: the mask is 30×24 pixels, its image 部品.png is 32×24; "
        "save the mask at the size of the image, or take it out"
    )
    assert not isinstance(caught.value, ImageError)  # it can be read: nothing to skip


def test_a_turned_mask_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="save the mask turned as the image is shown"):
        load_mask(with_mask(tmp_path, np.ones((32, 24), bool)), (24, 32, 3))


def test_the_limit_counts_for_masks_too(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="--max-pixels"):
        load_mask(with_mask(tmp_path, np.ones((24, 32), bool)), (24, 32), max_pixels=100)


def folder_of(folder: Path, *masks: np.ndarray) -> Sample:
    (folder / "部品").mkdir()
    for number, mask in enumerate(masks):
        (folder / "部品" / f"{number:03}.png").write_bytes(encode(mask.astype(np.uint8) * 255, "PNG"))
    return dataclasses.replace(BAD, mask=folder / "部品")


def test_the_masks_of_a_folder_count_together(tmp_path: Path) -> None:
    one, other = np.zeros((24, 32), bool), np.zeros((24, 32), bool)
    one[3:9, 4:20] = other[15:, 2:8] = True
    loaded = load_mask(folder_of(tmp_path, one, other), (24, 32, 3))
    assert loaded is not None
    np.testing.assert_array_equal(loaded, one | other)


@pytest.mark.parametrize(
    ("shapes", "problem"),
    [
        ([], "the folder holds no mask; put the masks of the image there, or take the folder out"),
        ([(24, 32), (24, 30)], "the masks in the folder differ in size; save each at the size of the image"),
        ([(24, 30)] * 2, "the mask is 30×24 pixels, its image 部品.png is 32×24"),
    ],
)
def test_folders_of_masks_that_are_none(tmp_path: Path, shapes: list[tuple[int, int]], problem: str) -> None:
    sample = folder_of(tmp_path, *(np.ones(shape, bool) for shape in shapes))
    with pytest.raises(DataError) as caught:
        load_mask(sample, (24, 32, 3))
    assert str(caught.value).startswith(f"{sample.mask}: {problem}")
