"""Defects among the good images: found at their positions, set aside, and nothing else."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter
from scipy.stats import false_discovery_control, norm

from kizu import detectors
from kizu.detectors import _robust
from kizu.detectors._robust import level, overwrite, standing_out, suspicion
from kizu.errors import KizuWarning, ModelFileError
from kizu.progress import Silent

GRID, CHANNELS = (8, 9), 12
DEFECTIVE = [3, 30, 57]


def good(images: int = 60, seed: int = 0) -> np.ndarray:
    """``(n, h, w, D)`` float32: parts that lie alike, so what is ordinary depends on the position."""
    rng = np.random.default_rng(seed)
    part = 5 * np.random.default_rng(99).standard_normal((*GRID, CHANNELS))
    found: np.ndarray = (part + rng.standard_normal((images, *GRID, CHANNELS))).astype(np.float32)
    return found


def defective(images: int = 60) -> np.ndarray:
    """The same, with a defect of its own in three of them, at rows 2–4, columns 3–5."""
    found = good(images)
    for number in DEFECTIVE:
        found[number, 2:5, 3:6] += 4 * np.random.default_rng(number).standard_normal(CHANNELS).astype(np.float32)
    return found


def looked_at(images: np.ndarray) -> _robust.Suspicion:
    return suspicion(images.reshape(-1, CHANNELS), GRID)


def test_oddness_is_the_distance_to_the_second_nearest_at_the_position() -> None:
    images = good(25)
    second = np.empty((25, *GRID))
    for image in range(25):
        apart = np.linalg.norm(np.delete(images, image, axis=0) - images[image], axis=3)
        second[image] = np.sort(apart, axis=0)[1]
    averaged = uniform_filter(second, (0, 5, 5), mode="nearest")
    np.testing.assert_allclose(looked_at(images).patches, averaged, rtol=1e-4)


def test_images_that_went_no_longer_vouch() -> None:
    images = good()
    for number in (3, 30):  # oddness of a third like them depends on whether these two count
        images[number, 2:5, 3:6] += 40
    images[57, 2:5, 3:6] += 40
    images[[3, 30], 6:, :] += 30  # by which the two stand out themselves
    found = looked_at(images)
    assert np.flatnonzero(found.images).tolist() == DEFECTIVE


def test_defects_stand_out_and_their_patches_go() -> None:
    found = looked_at(defective())
    assert np.flatnonzero(found.images).tolist() == DEFECTIVE
    assert found.aside[DEFECTIVE, 3, 4].all()
    assert not np.delete(found.aside, DEFECTIVE, axis=0).any()
    assert found.aside[DEFECTIVE][:, [0, 0, -1], [0, -1, -1]].mean() < 0.2  # corners, where they are as others
    assert sorted(found.counts[:, 0].tolist()) == DEFECTIVE
    assert found.counts[:, 1].tolist() == sorted(found.aside[DEFECTIVE].sum(axis=(1, 2)).tolist(), reverse=True)


def test_one_equal_defect_does_not_vouch() -> None:
    images = good()
    images[[10, 20], 2:5, 3:6] += 8
    assert np.flatnonzero(looked_at(images).images).tolist() == [10, 20]


def test_the_same_elsewhere_does_not_vouch() -> None:
    """What is ordinary at other positions, and odd here."""
    images = good()
    images[7, 2:7, 2:7] = good(1, seed=5)[0, 0:5, 4:9]
    assert np.flatnonzero(looked_at(images).images).tolist() == [7]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_stands_out_among_good_images(seed: int) -> None:
    assert not looked_at(good(200, seed)).images.any()


def test_too_few_images_tell_nothing() -> None:
    images = defective(60)[: _robust.FEWEST - 1]
    with pytest.warns(KizuWarning, match="19 good images do not tell which stand out; .* Give 20 or more"):
        found = _robust.doubted(images.reshape(-1, CHANNELS), GRID, Silent())
    assert not found.images.any()
    assert not found.aside.any()


def test_many_that_stand_out_are_told() -> None:
    images = good()
    rng = np.random.default_rng(3)
    images[::3] += (rng.standard_normal((20, 1, 1, CHANNELS)) * rng.uniform(5, 50, (20, 1, 1, 1))).astype(np.float32)
    with pytest.warns(KizuWarning, match="15 of 60 images stand out, too many for exceptions.*kizu check"):
        _robust.doubted(images.reshape(-1, CHANNELS), GRID, Silent())


@pytest.mark.parametrize("images", [good(1).repeat(30, axis=0), np.zeros((30, *GRID, CHANNELS), np.float32)])
def test_equal_images_have_nothing_that_stands_out(images: np.ndarray) -> None:
    found = looked_at(images)
    assert not found.images.any()
    assert not found.aside.any()


@given(st.integers(20, 400), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_what_stands_out_does_not_depend_on_the_unit(count: int, unit: float, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(0, 0.3, count)
    values[:2] *= 20
    found = standing_out(values)
    assert found[:2].all()
    assert found.sum() <= _robust.AT_MOST * count
    assert (values[found].min() > values[~found]).all()
    np.testing.assert_array_equal(standing_out(unit * values), found)


def test_of_good_scores_next_to_none_stand_out() -> None:
    """By chance alone some highest value does at times; a false share of 0.2 of nothing else allows that."""
    found = [standing_out(np.random.default_rng(seed).lognormal(0, 0.3, 300)).sum() for seed in range(300)]
    assert np.mean(found) / 300 < 0.002


def test_what_stands_out_is_told_by_benjamini_and_hochberg() -> None:
    """Of values whose upper half lies farther apart than their lower half says."""
    numbers = set()
    for seed in range(40):
        values = np.random.default_rng(seed).normal(0, 0.3, 200)
        values[values > 0] *= np.random.default_rng(seed).uniform(1, 1.9)
        tenth, middle = np.quantile(values, [0.1, 0.5])
        deviation = (middle - tenth) / -norm.ppf(0.1) * (1 + _robust.UNSURE / np.sqrt(200))
        expected = false_discovery_control(norm.sf(values, middle, deviation)) <= _robust.FALSE_SHARE
        np.testing.assert_array_equal(standing_out(np.exp(values)), expected)
        numbers.add(int(expected.sum()))
    assert len(numbers) > 10
    assert max(numbers) < _robust.AT_MOST * 200


def test_what_is_ordinary_is_told_by_those_among() -> None:
    """Values that are not among them widen nothing, and are judged all the same."""
    values = np.random.default_rng(0).lognormal(0, 0.2, 100)
    values[:15], values[15], values[16] = 0.02, 5.0, 5.0
    among = np.arange(100) > 15
    assert np.flatnonzero(standing_out(values, among)).tolist() == [15, 16]
    assert not standing_out(values).any()


def test_who_vouches_is_the_second_nearest_of_those_ordinary() -> None:
    rng = np.random.default_rng(0)
    distances = np.sort(rng.random((30, 7, 8), np.float32), axis=2)
    others = np.argsort(rng.random((30, 7, 30)), axis=2)[..., :8].astype(np.int32)
    ordinary = rng.random(30) < 0.3
    found = _robust._vouched(distances, others, ordinary)
    for image, position in np.ndindex(30, 7):
        known = distances[image, position][ordinary[others[image, position]]]
        assert found[image, position] == (known[1] if len(known) > 1 else distances[image, position, -1])


def test_of_few_scores_none_stands_out() -> None:
    values = np.r_[np.random.default_rng(0).lognormal(0, 0.2, 19), 100.0]
    assert standing_out(values).tolist() == [False] * 19 + [True]
    assert not standing_out(values[1:]).any()


def test_a_few_odd_ones_do_not_move_what_is_ordinary() -> None:
    values = np.random.default_rng(0).lognormal(0, 0.2, 400)
    values[:60] *= 4
    found = standing_out(values)
    assert found[:60].mean() > 0.9
    assert found[60:].sum() <= 15


@pytest.mark.parametrize("pairs", [_robust.PAIRS, 20, 1])
def test_patches_give_way_to_the_nearest_of_their_image(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    monkeypatch.setattr(_robust, "PAIRS", pairs)
    images = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4, 1)
    aside = np.zeros((2, 3, 4), bool)
    aside[1, 0, :2] = aside[1, 1, 0] = True
    expected = images.copy()
    expected[1, 0, 0], expected[1, 0, 1], expected[1, 1, 0] = images[1, 1, 1], images[1, 0, 2], images[1, 1, 1]
    rows = images.reshape(-1, 1)
    overwrite(rows, aside)
    np.testing.assert_array_equal(rows.reshape(images.shape), expected)


def test_patches_give_way_to_the_mean_of_their_position() -> None:
    images = np.arange(4 * 2 * 2, dtype=np.float32).reshape(4, 2, 2, 1)
    aside = np.zeros((4, 2, 2), bool)
    aside[1, 0, 1] = aside[2, 0, 1] = aside[0, 1, 0] = True
    expected = images.copy()
    expected[[1, 2], 0, 1], expected[0, 1, 0] = (images[0, 0, 1] + images[3, 0, 1]) / 2, images[1:, 1, 0].mean()
    rows = images.reshape(-1, 1)
    level(rows, aside)
    np.testing.assert_array_equal(rows.reshape(images.shape), expected)


def test_a_patch_of_every_image_stays() -> None:
    images = good()
    images[9] += 1000
    assert not looked_at(images).aside.all(axis=(1, 2)).any()


def test_memory_is_a_share_of_the_rows() -> None:
    rows = np.random.default_rng(0).standard_normal((200 * 16 * 16, 368), dtype=np.float32)
    tracemalloc.start()
    try:
        suspicion(rows, (16, 16))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.15 * rows.nbytes


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
@pytest.mark.parametrize("name", ["patchcore", "padim"])
@pytest.mark.parametrize("leave_one_out", [False, True])
def test_nothing_changes_where_nothing_stands_out(name: str, leave_one_out: bool) -> None:
    plain, robust = (
        detectors.build(name, {"robust": robust}).fit([good()], leave_one_out=leave_one_out)  # type: ignore[call-arg]
        for robust in (False, True)
    )
    state = robust.state()
    assert state.pop("set_aside").shape == (0, 2)
    assert state.keys() == plain.state().keys()
    for key, array in plain.state().items():
        np.testing.assert_array_equal(state[key], array)
    assert "images set aside" not in plain.summary()
    assert robust.summary() == plain.summary() | {"images set aside": 0, "patches set aside": 0}


ALL: dict[str, dict[str, float]] = {"patchcore": {"coreset_ratio": 1.0}, "padim": {}}
"""Parameters by which nothing depends on what a coreset happens to pick."""


def robust(name: str, images: np.ndarray) -> detectors.Detector:
    return detectors.build(name, {**ALL[name], "robust": True}).fit([images], leave_one_out=True)  # type: ignore[call-arg]


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_a_defect_that_was_learnt_scores_as_if_it_had_not_been(name: str) -> None:
    images = defective()
    test, spared = images[DEFECTIVE], np.delete(images, DEFECTIVE, axis=0)
    naive = detectors.build(name, ALL[name]).fit([images]).score(test).images
    without = detectors.build(name, ALL[name]).fit([spared]).score(test).images
    found = robust(name, images).score(test).images
    assert (naive < 0.8 * without).all()
    np.testing.assert_allclose(found, without, rtol=0.1)


def test_no_patch_of_a_defect_is_in_the_bank() -> None:
    images = defective()
    detector = detectors.build("patchcore", {"robust": True, "coreset_ratio": 0.5}).fit([images])
    bank = detector.state()["bank"]
    defects = images[DEFECTIVE, 3, 4]
    assert (np.linalg.norm(bank[:, None] - defects, axis=2) > 1).all()
    assert set(DEFECTIVE) <= set(detector.state()["owners"].tolist())  # the rest of these images is learnt


def test_padim_learns_the_other_patches_of_a_position() -> None:
    images = defective(150)
    aside = looked_at(images).aside
    state = robust("padim", images).state()
    for row, column in ((3, 4), (0, 0), (7, 8)):
        position = row, column
        others = images[:, row, column][~aside[:, row, column]].astype(np.float64)
        np.testing.assert_allclose(state["mean"][position], others.mean(axis=0), atol=1e-5)
        lower = np.zeros((CHANNELS, CHANNELS))
        lower[np.tril_indices(CHANNELS)] = state["cholesky"].T.reshape(*GRID, -1)[position]
        covariance = np.cov(others.T) * (len(others) - 1) / 149 + 0.01 * np.eye(CHANNELS)
        np.testing.assert_allclose(lower @ lower.T, covariance, atol=1e-4)


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_left_out_scores_are_those_of_the_other_images(name: str) -> None:
    images = defective()
    left_out = robust(name, images).left_out_  # type: ignore[attr-defined]
    assert left_out.images.shape == (57,)
    assert left_out.patches.shape == (57, *GRID)
    every = detectors.build(name, ALL[name]).fit([images], leave_one_out=True)  # type: ignore[call-arg]
    naive = every.left_out_  # type: ignore[attr-defined]
    assert left_out.images.max() < 0.7 * naive.images.max()
    others = np.delete(naive.images, DEFECTIVE)
    assert np.corrcoef(left_out.images, others)[0, 1] > 0.9  # in the same order


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_what_was_set_aside_is_kept_in_the_model(name: str) -> None:
    detector = robust(name, defective())
    again = detectors.restore(name, {"robust": True}, detector.state())
    assert again.summary() == detector.summary()
    assert again.summary()["images set aside"] == 3
    for damaged in (np.zeros(3, np.int64), np.zeros((3, 3), np.int64), np.zeros((3, 2))):
        with pytest.raises(ModelFileError, match="set aside at the fit is not a table"):
            detectors.restore(name, {"robust": True}, detector.state() | {"set_aside": damaged})


@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_embeddings_are_read_once(name: str) -> None:
    images = defective()
    detectors.build(name, {"robust": True}).fit(iter(images[:, None]), leave_one_out=True)  # type: ignore[call-arg]


@pytest.mark.parametrize("copies", [12, 30])
def test_copies_and_blank_frames_hide_no_defect(copies: int) -> None:
    """What is the same in many images is hardly odd, and says nothing of how much good parts differ."""
    blank = np.zeros((copies // 2, *GRID, CHANNELS), np.float32)
    images = np.concatenate([defective(), good()[:1].repeat(copies - copies // 2, axis=0), blank])
    found = looked_at(images)
    assert np.flatnonzero(found.images).tolist() == DEFECTIVE


def test_too_few_that_differ_tell_nothing() -> None:
    images = np.concatenate([defective()[:12], good()[:1].repeat(40, axis=0)])
    with pytest.warns(KizuWarning, match="11 different good images do not tell which stand out; nothing is set"):
        found = _robust.doubted(images.reshape(-1, CHANNELS), GRID, Silent())
    assert not found.images.any()
