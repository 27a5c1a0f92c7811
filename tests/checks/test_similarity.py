from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from checks.making import copies, part
from kizu.checks.duplicates import LIKELY
from kizu.checks.similarity import COMPARE_ALL, NEIGHBORS, SIDE, _at_double_size, candidates, similarity
from kizu.images import resize


def thumbnail(image: np.ndarray) -> np.ndarray:
    return resize(image, (SIDE, SIDE))


PARTS = np.stack([thumbnail(part(seed)) for seed in range(40)])


@pytest.mark.parametrize("change", copies().values(), ids=copies().keys())
def test_a_copy_is_found_among_parts_that_look_alike(change: Callable[[np.ndarray], np.ndarray]) -> None:
    every = np.concatenate([PARTS, thumbnail(change(part(7)))[None]])
    assert (7, 40) in set(candidates(every))
    assert similarity(every[7], every[40]) > LIKELY


def test_a_copy_is_a_candidate_among_parts_that_lie_a_little_differently() -> None:
    """Where a part lies changes its picture more than its grain does; without whitening that decides."""
    rng = np.random.default_rng(0)
    lying = [np.roll(part(seed), rng.integers(-3, 4, 2), axis=(0, 1)) for seed in range(200)]
    moved = [np.roll(lying[seed], (1, -1), axis=(0, 1)) for seed in range(10)]
    pairs = set(candidates(np.stack([thumbnail(image) for image in [*lying, *moved]])))
    assert sum((seed, 200 + seed) in pairs for seed in range(10)) >= 9


def test_an_alignment_means_the_same_at_twice_the_size() -> None:
    warp = np.array([[1.02, 0.01, 3.0], [-0.03, 0.97, -1.5]], np.float32)
    point = np.array([10.0, 20.0])

    def at(of: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.asarray(of[:, :2] @ x + of[:, 2])

    assert at(_at_double_size(warp), 2 * point + 0.5) == pytest.approx(2 * at(warp, point) + 0.5, abs=1e-4)


def test_different_parts_are_not_alike() -> None:
    """The weave they share correlates at 0.99; it does not count."""
    assert np.corrcoef(PARTS[0].ravel(), PARTS[1].ravel())[0, 1] > 0.9
    values = [similarity(PARTS[i], PARTS[j]) for i, j in candidates(PARTS)]
    assert max(values) < LIKELY


def test_it_does_not_change_with_brightness_and_contrast_and_hardly_with_order() -> None:
    other = copies()["nearer"](part(3))
    expected = similarity(PARTS[3], thumbnail(other))
    changed = thumbnail((other * 0.8 + 20).astype(np.uint8))
    assert similarity(PARTS[3], changed) == pytest.approx(expected, abs=0.02)
    assert similarity(thumbnail(other), PARTS[3]) == pytest.approx(expected, abs=0.05)
    assert similarity(PARTS[3], PARTS[3]) == pytest.approx(1, abs=0.01)


def test_images_without_detail_are_not_alike() -> None:
    """Two blank parts are two parts; that they have the same pixels, where they do, is told elsewhere."""
    blank = np.full((SIDE, SIDE), 128, np.uint8)
    assert similarity(blank, blank) == 0
    assert similarity(blank, PARTS[0]) == 0
    assert similarity(PARTS[0], blank) == 0


def test_detail_on_a_plain_background_is_what_counts() -> None:
    """Most of a picture of a small part is empty; copies are found all the same."""
    picture = np.full((SIDE, SIDE), 200, np.uint8)
    other = picture.copy()
    picture[40:80, 40:80], other[40:80, 40:80] = PARTS[0][:40, :40], PARTS[1][:40, :40]
    assert similarity(picture, (picture * 0.9).astype(np.uint8)) > LIKELY
    assert similarity(picture, other) < LIKELY


@pytest.mark.parametrize("count", [0, 1, 2, COMPARE_ALL])
def test_of_few_images_every_pair_is_compared(count: int) -> None:
    assert len(list(candidates(PARTS[:count]))) == count * (count - 1) // 2


def test_of_many_each_is_compared_with_a_few_others_and_never_with_itself() -> None:
    pairs = list(candidates(PARTS))
    assert len(pairs) == len(set(pairs)) <= NEIGHBORS * len(PARTS)
    assert all(0 <= i < j < len(PARTS) for i, j in pairs)
    assert {member for pair in pairs for member in pair} == set(range(len(PARTS)))


def test_images_that_are_all_the_same_break_nothing() -> None:
    same = np.repeat(PARTS[:1], 20, axis=0)
    assert all(similarity(same[i], same[j]) == pytest.approx(1, abs=0.01) for i, j in candidates(same))
