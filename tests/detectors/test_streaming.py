"""PatchCore's bank of more patches than memory holds."""

from __future__ import annotations

import contextlib
import re
import tracemalloc
import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from kizu import gaussian
from kizu.detectors import _padim_memory, _streaming
from kizu.detectors._joining import RunningSpread
from kizu.detectors._streaming import OVERSAMPLED, SCRATCH, plan
from kizu.detectors.ensemble import Ensemble
from kizu.detectors.padim import PaDiM
from kizu.detectors.patchcore import PatchCore
from kizu.errors import DataError, KizuWarning, ParameterError
from kizu.gaussian import RunningGaussian
from kizu.memory import parse_size


def embeddings(images, height=4, width=5, channels=6, seed=0):
    shape = (images, height, width, channels)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.fixture
def nothing_fixed(monkeypatch):
    monkeypatch.setattr(_streaming, "FIXED", 0)
    monkeypatch.setattr(_streaming, "FEWEST_ROWS", 1)
    monkeypatch.setattr(_streaming, "BLOCK_ROWS", 200)


ROW = 6 * 4 + SCRATCH
SMALL = 20 * 20 * ROW
"""Bytes for 20 of the images above."""


def streamed(good, budget=SMALL, batch=1, **parameters):
    detector = PatchCore(**{"coreset_ratio": 0.1, **parameters})
    assert detector.streams(budget, len(good), (4, 5), 6)
    batches = (good[first : first + batch] for first in range(0, len(good), batch))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KizuWarning)
        return detector.fit(batches, images=len(good), memory=budget, rng=np.random.default_rng(0))


@pytest.mark.usefixtures("nothing_fixed")
@pytest.mark.parametrize("count", [60, 61, 77, 200])
def test_every_patch_lies_within_the_cover_radius_told(count):
    good = embeddings(count)
    detector = streamed(good)
    rows = good.reshape(-1, 6)
    exact = cdist(rows.astype(np.float64), detector.bank_.astype(np.float64)).min(axis=1).max()
    assert exact <= detector.cover_radius_ * (1 + 1e-6)
    assert detector.cover_radius_ < 4 * exact
    assert detector.patches_ == len(rows)


@pytest.mark.usefixtures("nothing_fixed")
def test_rows_are_patches_of_the_images_they_are_said_to_be_from():
    good = embeddings(100)
    detector = streamed(good)
    assert (np.diff(detector.owners_) >= 0).all()
    assert len(set(detector.owners_.tolist())) > 20
    for row, owner in zip(detector.bank_, detector.owners_, strict=True):
        assert (good[owner].reshape(-1, 6) == row).all(axis=1).any()


@pytest.mark.usefixtures("nothing_fixed")
def test_as_many_rows_as_asked_for_where_they_fit():
    assert len(streamed(embeddings(100), coreset_count=40).bank_) == 40


@pytest.mark.usefixtures("nothing_fixed")
def test_a_bank_that_does_not_fit_is_smaller_and_says_so():
    good = embeddings(300)
    with pytest.warns(KizuWarning, match=r"hold a bank of \d+ rows, not the 3,000 asked for"):
        detector = PatchCore(coreset_ratio=0.5).fit(iter([good]), images=300, memory=SMALL)
    assert len(detector.bank_) * OVERSAMPLED <= SMALL // ROW


@pytest.mark.usefixtures("nothing_fixed")
def test_batches_do_not_matter_and_neither_does_the_run():
    good = embeddings(70)
    banks = [streamed(good, batch=batch).bank_ for batch in (1, 1, 7, 70)]
    for bank in banks[1:]:
        np.testing.assert_array_equal(bank, banks[0])


@pytest.mark.usefixtures("nothing_fixed")
@pytest.mark.parametrize("parameters", [{"projection_dim": 3}, {"coreset_start": "first"}, {"search": "approximate"}])
def test_other_parameters_hold_too(parameters):
    good = embeddings(100)
    detector = streamed(good, **parameters)
    assert (detector.projection_ is not None) == ("projection_dim" in parameters)
    truth = cdist(good[0].reshape(-1, 6), detector.bank_).min(axis=1)
    np.testing.assert_allclose(detector.score(good[:1]).images, truth.max(), rtol=1e-5)
    again = PatchCore.from_state(detector.parameters(), detector.state())
    np.testing.assert_array_equal(again.score(good[:3]).patches, detector.score(good[:3]).patches)


@pytest.mark.usefixtures("nothing_fixed")
@pytest.mark.parametrize("build", [PatchCore, Ensemble])
def test_images_are_not_left_out_of_blocks(build):
    detector = build(coreset_ratio=0.1)
    with pytest.raises(ParameterError, match=r"^`memory` is too small to leave images out, .*hold images out"):
        detector.fit([embeddings(100)], images=100, memory=SMALL, leave_one_out=True)


@pytest.mark.usefixtures("nothing_fixed")
def test_blocks_are_of_images_of_one_size():
    other = embeddings(1, width=6)
    with pytest.raises(
        DataError, match=r"^images give grids of 5 x 4 and of 6 x 4 patches, .* block by block .*--memory"
    ):
        PatchCore(coreset_ratio=0.05).fit([embeddings(60), other], images=100, memory=SMALL)


@pytest.mark.usefixtures("nothing_fixed")
def test_the_projected_copy_counts():
    """As wide again as the patches themselves."""
    needed = _streaming.whole(100 * 20, 6, 200)
    assert not PatchCore(coreset_ratio=0.1).streams(needed, 100, (4, 5), 6)
    projected = PatchCore(coreset_ratio=0.1, projection_dim=6)
    assert projected.streams(needed, 100, (4, 5), 6)
    assert not projected.streams(_streaming.whole(100 * 20, 12, 200), 100, (4, 5), 6)


def test_what_fits_is_fitted_as_without_a_limit():
    good = embeddings(40)
    plain = PatchCore(coreset_ratio=0.1).fit([good], leave_one_out=True)
    limited = PatchCore(coreset_ratio=0.1)
    assert limited.streams(10**9, 40, (4, 5), 6) is False
    limited.fit(iter(np.split(good, 8)), images=40, memory=10**9, leave_one_out=True)
    np.testing.assert_array_equal(limited.bank_, plain.bank_)
    np.testing.assert_array_equal(limited.left_out_.images, plain.left_out_.images)
    assert limited.cover_radius_ == plain.cover_radius_


@settings(max_examples=100, deadline=None)
@given(
    st.integers(2 * 10**8, 10**11), st.integers(1, 10**6), st.sampled_from([196, 1024, 4096]), st.integers(2, 2000)
)
def test_a_plan_keeps_to_its_budget(budget, images, patches, channels):
    total = images * patches
    count = max(1, total // 50)
    with contextlib.suppress(ParameterError):
        keeps_to(budget, plan(budget, images, patches, channels, count), total, patches, channels)


def keeps_to(budget, chosen, total, patches, channels):
    row = 4 * channels + SCRATCH
    if chosen is None:
        assert _streaming.FIXED + total * row <= budget
        return
    kept = chosen.blocks * chosen.per_block
    assert chosen.block % patches == 0
    assert chosen.block * chosen.blocks >= total
    assert chosen.per_block >= 1
    assert _streaming.FIXED + chosen.block * row + kept * row <= budget
    assert 1 <= chosen.count <= max(1, kept // OVERSAMPLED)


@pytest.mark.parametrize("images", [10_000, 10**9])
def test_too_little_says_how_much_would_do(images):
    size, detector = (images, (32, 32), 368), PatchCore(coreset_count=5000)
    with pytest.raises(ParameterError, match=r"must be (\S+) larger: for .* and 160MB are left for it") as caught:
        detector.streams(160 * 10**6, *size)
    more = re.search(r"must be (\S+) larger", str(caught.value))
    assert detector.streams(160 * 10**6 + parse_size(more[1]), *size)
    with pytest.raises(ParameterError):
        detector.streams(160 * 10**6 + int(0.8 * parse_size(more[1])), *size)


@pytest.mark.parametrize("budget", [10**8, 10**9])
def test_robust_looks_at_all_patches_at_once(budget):
    detector, size = PatchCore(robust=True), (100_000, (32, 32), 368)
    said = r"`memory` must be (\S+) larger for --robust, which looks at all patches at once; or leave --robust out"
    with pytest.raises(ParameterError, match=said) as caught:
        detector.streams(budget, *size)
    more = parse_size(re.search(said, str(caught.value))[1])
    assert not detector.streams(budget + more, *size)
    with pytest.raises(ParameterError):
        detector.streams(budget + int(0.98 * more), *size)


def in_parts(good, budget, batch=3, **parameters):
    detector = Ensemble(**{"parts": [[0, 4], [2, 6]], "coreset_ratio": 0.1, **parameters})
    assert detector.streams(budget, len(good), (4, 5), 6)
    batches = (good[first : first + batch] for first in range(0, len(good), batch))
    return detector.fit(batches, images=len(good), memory=budget, rng=np.random.default_rng(0))


@pytest.mark.usefixtures("nothing_fixed")
@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
@pytest.mark.parametrize("count", [60, 77, 200])
def test_each_part_of_an_ensemble_is_covered_as_told(count):
    good = embeddings(count)
    detector = in_parts(good, SMALL)
    for member, part in zip(detector.members_, (slice(0, 4), slice(2, 6)), strict=True):
        rows = good[..., part].reshape(-1, 4)
        exact = cdist(rows.astype(np.float64), member.bank_.astype(np.float64)).min(axis=1).max()
        assert exact <= member.cover_radius_ * (1 + 1e-6)
        assert member.cover_radius_ < 4 * exact
        for row, owner in zip(member.bank_, member.owners_, strict=True):
            assert (good[owner][..., part].reshape(-1, 4) == row).all(axis=1).any()


@pytest.mark.usefixtures("nothing_fixed")
@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
def test_an_ensemble_scores_alike_however_it_was_fitted():
    good, test = embeddings(100), embeddings(20, seed=1)
    streamed = in_parts(good, SMALL)
    again = in_parts(good, SMALL, batch=100)
    np.testing.assert_array_equal(streamed.score(test).patches, again.score(test).patches)
    whole = Ensemble(parts=[[0, 4], [2, 6]], coreset_ratio=0.1).fit([good])
    np.testing.assert_allclose(streamed.scales_, whole.scales_, rtol=1e-6)
    truth = np.sqrt(
        sum(
            (cdist(test[..., part].reshape(-1, 4), member.bank_).min(axis=1) / scale) ** 2
            for part, member, scale in zip(
                (slice(0, 4), slice(2, 6)), streamed.members_, streamed.scales_, strict=True
            )
        )
        / 2
    )
    np.testing.assert_allclose(streamed.score(test).patches.ravel(), truth, rtol=1e-4)
    restored = Ensemble.from_state(streamed.parameters(), streamed.state())
    np.testing.assert_array_equal(restored.score(test).patches, streamed.score(test).patches)


def test_an_ensemble_that_fits_is_fitted_as_without_a_limit():
    good = embeddings(40)
    fitted = [
        Ensemble(parts=[[0, 4], [2, 6]], coreset_ratio=0.1).fit([good], leave_one_out=True, **limit)
        for limit in ({}, {"images": 40, "memory": 10**9})
    ]
    np.testing.assert_array_equal(*(one.score(good).patches for one in fitted))
    np.testing.assert_array_equal(*(one.left_out_.images for one in fitted))


@pytest.mark.usefixtures("nothing_fixed")
def test_an_ensemble_counts_channels_of_all_its_parts():
    twice = Ensemble(parts=[[0, 6], [0, 6]], coreset_ratio=0.1)
    row = 12 * 4 + SCRATCH
    assert not twice.streams(1100 * row, 50, (4, 5), 6)
    assert twice.streams(1099 * row, 50, (4, 5), 6)
    assert not PatchCore(coreset_ratio=0.1).streams(1099 * row, 50, (4, 5), 6)


@pytest.mark.usefixtures("nothing_fixed")
@pytest.mark.parametrize("parameters", [{"robust": True}])
def test_a_robust_ensemble_looks_at_all_patches_at_once(parameters):
    with pytest.raises(
        ParameterError, match=r"must be 0\.2MB larger for --robust, which looks at all patches at once"
    ):
        Ensemble(**parameters).streams(SMALL, 100, (4, 5), 6)


def test_no_image_within_memory():
    for detector in (PatchCore(), Ensemble(parts=[[0, 4]]), PaDiM()):
        with pytest.raises(DataError, match=r"give at least|needs"):
            detector.fit(iter([]), images=5, memory=10**9)


@pytest.mark.parametrize("seed", range(3))
def test_the_spread_of_what_passes_by_is_that_of_all(seed):
    rng = np.random.default_rng(seed)
    good = (rng.standard_normal((31, 4, 5, 6)) * [1, 2, 3, 4, 5, 1e-3] + 100 * rng.random(6)).astype(np.float32)
    running = RunningSpread()
    batches = np.split(good, sorted(rng.choice(np.arange(1, 31), 6, replace=False)))
    assert all(one is other for one, other in zip(running.watched(batches), batches, strict=True))
    for part in (slice(0, 6), slice(0, 2), slice(4, 6)):
        exact = np.sqrt(good[..., part].astype(np.float64).var(axis=(0, 1, 2)).sum())
        assert running.of(part) == pytest.approx(exact, rel=1e-6)


def test_padim_leaves_images_out_where_there_is_room():
    detector, size = PaDiM(), (10_000, (32, 32), 368)
    assert detector.streams(150 * 10**6, *size)
    assert not detector.streams(500 * 10**6, *size)
    assert not detector.streams(10**9, 100, (32, 32), 368)
    with pytest.raises(ParameterError, match=r"must be (\S+) larger: covariances of 100 dimensions at each of 1,024"):
        detector.streams(100 * 10**6, *size)
    with pytest.raises(ParameterError, match="and all patches, as `robust` wants them, take"):
        PaDiM(robust=True).streams(10**9, *size)
    with pytest.raises(ParameterError, match=r"Or lower detector\.reduced_dims or image_size"):
        detector.fit(iter([embeddings(3, channels=8)]), images=3, memory=10**8)


@pytest.mark.parametrize("size", [60, 400], ids=["fewer than dimensions", "more"])
@pytest.mark.filterwarnings("ignore:PaDiM fits:kizu.KizuWarning")
def test_padim_stays_within_what_it_says(size, monkeypatch):
    """Beside the embeddings that pass by and matrices being worked on; robust or not, with room to leave images out
    and without.
    """
    positions, dimensions, scratch = 256, 80, 1_500_000
    monkeypatch.setattr(_padim_memory, "SMALL", 0)
    monkeypatch.setattr(_padim_memory, "SCRATCH", scratch)
    monkeypatch.setattr(gaussian, "SCRATCH", dimensions**2)

    class Again:
        def __iter__(self):
            rng = np.random.default_rng(0)
            return (rng.standard_normal((1, 16, 16, 90), dtype=np.float32) for _ in range(size))

    def least(detector, leaves_out):
        """Bytes that it says it can be fitted in."""
        low, high = 0, 10**10
        while high - low > 1:
            middle = (low + high) // 2
            try:
                enough = not (detector.streams(middle, size, (16, 16), 90) and leaves_out)
            except ParameterError:
                enough = False
            low, high = (low, middle) if enough else (middle, high)
        return high

    for robust, leaves_out in product((False, True), (False, True)):
        detector = PaDiM(reduced_dims=dimensions, robust=robust)
        told = least(detector, leaves_out)
        tracemalloc.start()
        try:
            detector.fit(Again(), images=size, memory=told, leave_one_out=leaves_out)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert RunningGaussian.memory(positions, dimensions) < peak < told


@pytest.mark.usefixtures("nothing_fixed")
def test_patches_of_an_area_come_in_one_row():
    good = embeddings(100)
    in_one_row = PatchCore(coreset_ratio=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KizuWarning)
        rows = (one.reshape(1, 1, 20, 6) for one in good)
        in_one_row.fit(rows, images=100, memory=SMALL, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(in_one_row.bank_, streamed(good).bank_)
    assert in_one_row.score(good[:1].reshape(1, 1, 20, 6)).patches.shape == (1, 1, 20)


@pytest.mark.usefixtures("nothing_fixed")
@pytest.mark.filterwarnings("ignore::kizu.errors.KizuWarning")
@pytest.mark.parametrize("shape", [(3, 5), (4, 6)])
def test_images_of_different_grids_are_refused(shape):
    given = [*embeddings(50)[:, None], embeddings(1, *shape)]
    with pytest.raises(DataError, match="grids of 5 x 4"):
        PatchCore(coreset_ratio=0.1).fit(given, images=51, memory=SMALL)
