from __future__ import annotations

import numpy as np
import pytest

from kizu.errors import ParameterError
from kizu.report import PARTS, check_parts, parts
from kizu.report._outline import FOUND, TRUTH
from report.viewing import LIMIT, truth, view

SIZE = (120, 160)


def test_each_part_has_the_size_of_the_image() -> None:
    shown = view(SIZE)
    made = parts(shown)
    assert set(PARTS) - set(made) == {"mask", "pixels"}, "nobody marked it, and pixels are no picture"
    assert tuple(made) == tuple(name for name in PARTS if name in made)
    for name in ("input", "heat_map", "segmentation", "overlay"):
        assert made[name].shape == (*SIZE, 3)
    for name in ("grey_map", "predicted_mask"):
        assert made[name].shape == SIZE
    assert {part.dtype for part in made.values()} == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(made["input"], shown.image)


def test_they_come_as_asked_and_are_the_callers_own() -> None:
    shown = view(SIZE)
    before = shown.image.copy()
    made = parts(shown, ["overlay", "input", "overlay"])
    assert tuple(made) == ("overlay", "input")
    for part in made.values():
        part[:] = 0
    np.testing.assert_array_equal(shown.image, before)


def test_the_mask_is_what_is_bright_in_the_grey_map() -> None:
    shown = view(SIZE)
    made = parts(shown, ["grey_map", "predicted_mask"])
    assert set(np.unique(made["predicted_mask"])) == {0, 255}
    np.testing.assert_array_equal(made["predicted_mask"] == 255, shown.full_map > LIMIT)
    np.testing.assert_array_equal(made["grey_map"] >= 128, shown.full_map > LIMIT)
    exact = np.clip(shown.full_map * 128 / LIMIT, 0, 255)
    assert np.abs(made["grey_map"] - exact).max() <= 1.001


def test_the_heat_map_is_grey_where_nothing_is() -> None:
    shown = view(SIZE)
    heat = parts(shown, ["heat_map"])["heat_map"].astype(int)
    colourful = heat.max(axis=2) != heat.min(axis=2)
    assert not colourful[shown.full_map < 0.75 * LIMIT].any()
    assert colourful[shown.full_map > 0.8 * LIMIT].all()


def test_the_overlay_has_both_lines_and_leaves_the_rest() -> None:
    shown = view(SIZE, truth=truth(SIZE))
    overlay = parts(shown, ["overlay"])["overlay"]
    for line in (FOUND, TRUTH):
        assert (overlay == np.array(line.colour)).all(axis=2).any()
    np.testing.assert_array_equal(overlay[shown.mask], shown.image[shown.mask])
    plain = view(SIZE, peak=1.0)
    np.testing.assert_array_equal(parts(plain, ["overlay"])["overlay"], plain.image)


def test_the_mask_is_the_truth_where_there_is_one() -> None:
    marked = truth(SIZE)
    mask = parts(view(SIZE, truth=marked), ["mask"])["mask"]
    np.testing.assert_array_equal(mask == 255, marked)
    assert set(np.unique(mask)) == {0, 255}
    assert parts(view(SIZE), ["mask"]) == {}


def test_the_segmentation_is_red_where_something_is_and_the_image_elsewhere() -> None:
    shown = view(SIZE)
    made = parts(shown, ["segmentation", "overlay"])
    picture = made["segmentation"].astype(int)
    assert ((picture - shown.image)[shown.mask] @ np.array([1, -1, -1]) > 50).all()
    np.testing.assert_array_equal(made["segmentation"][~shown.mask], made["overlay"][~shown.mask])
    plain = view(SIZE, peak=1.0)
    np.testing.assert_array_equal(parts(plain, ["segmentation"])["segmentation"], plain.image)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"unknown part 'heatmap'. Did you mean 'heat_map'"):
        parts(view(), ["heatmap"])
    assert check_parts(["overlay", "input", "overlay"]) == ("overlay", "input")


def test_what_was_not_inspected_is_pale() -> None:
    looked = np.zeros((120, 160), np.bool_)
    looked[20:100, 30:130] = True
    whole, cut = parts(view()), parts(view(inspected=looked))
    for name in ("heat_map", "segmentation", "overlay"):
        np.testing.assert_array_equal(cut[name][looked], whole[name][looked])
        np.testing.assert_array_equal(cut[name][~looked], whole[name][~looked] // 3 + 170)
    for name in ("input", "grey_map", "predicted_mask"):
        np.testing.assert_array_equal(cut[name], whole[name])
