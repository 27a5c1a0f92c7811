"""Greedy k-center in certified blocks against the textbook's loop."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu import threads
from kizu.coreset import Coreset, _cover, _groups, _run, k_center_continued, k_center_greedy
from kizu.coreset._groups import Groups
from reference.coreset import k_center_continued as plain_continued
from reference.coreset import k_center_greedy as plain_greedy

BLOCKS = (1, 2, 7, 64, 2048)


def normal(count, dimensions, seed=0):
    return np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32)


def grid(rng, shape):
    """Few values, so that distances tie exactly."""
    return rng.integers(0, 4, shape)


def duplicates(rng, shape):
    return rng.standard_normal((max(1, shape[0] // 4), shape[1]))[rng.integers(0, max(1, shape[0] // 4), shape[0])]


def offset(rng, shape):
    """float32 holds steps of about 1e-3 here, so that differences tie and cancellation is total."""
    return 1e4 + 0.01 * rng.standard_normal(shape)


def tiny(rng, shape):
    """Squares underflow in float32."""
    return rng.standard_normal(shape) * 10.0 ** rng.integers(-30, -10)


def near_ties(rng, shape):
    """Equally far from each other but for the last bits of float32."""
    return rng.integers(0, 3, shape) * (1 + rng.integers(-3, 4, shape) * 2.0**-24)


def clusters(rng, shape):
    """Far apart and each far narrower than the rounding of |x|² + |y|² − 2xy."""
    return 1e3 * rng.integers(0, 2, (shape[0], 1)) + 1e-3 * rng.standard_normal(shape)


@st.composite
def rows(draw):
    make = draw(st.sampled_from([grid, duplicates, offset, tiny, near_ties, clusters, low_rank]))
    shape = draw(st.tuples(st.integers(1, 120), st.integers(1, 64)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.asarray(make(rng, shape), dtype=np.float32)


@contextmanager
def late(always: bool) -> Iterator[None]:
    """As with very many rows: few are brought up to date at a time, and those in groups near new centres before."""
    if not always:
        yield
        return
    limits = {
        "WAVE_ROWS": 4,
        "SORTED_ROWS": 5,
        "BLOCKS_AT_A_TIME": 2,
        "GROUPED_ROWS": 1,
        "GROUPS": 5,
        "PAIRS_AT_A_TIME": 3,
    }
    with mock.patch.multiple(_cover, **limits), mock.patch.object(_groups, "ROWS_AT_A_TIME", 50):
        yield


def low_rank(rng, shape):
    """Most of the variance in a few directions, as features have it."""
    few = max(1, shape[1] // 8)
    spread = rng.standard_normal((shape[0], few)) @ rng.standard_normal((few, shape[1]))
    return 5 + spread + 0.05 * rng.standard_normal(shape)


def squared_to_nearest(data, picks):
    exact = data.astype(np.float64)
    return np.min([((exact - exact[pick]) ** 2).sum(axis=1) for pick in picks], axis=0)


@pytest.mark.parametrize("block_rows", BLOCKS)
@pytest.mark.parametrize(("count", "dimensions"), [(1, 1), (2, 5), (50, 1), (333, 2), (700, 64), (2500, 8)])
def test_picks_what_the_plain_loop_picks(count, dimensions, block_rows):
    data = normal(count, dimensions)
    for start in {0, count // 3, count - 1}:
        wanted = max(1, count // 5)
        found = k_center_greedy(data, wanted, start=start, block_rows=block_rows)
        np.testing.assert_array_equal(found.indices, plain_greedy(data, wanted, start))


def test_more_rows_than_tiles_and_blocks_hold():
    data = np.random.default_rng(5).integers(0, 6, (6000, 6)).astype(np.float32)
    found = k_center_greedy(data, 3000, start=5999)
    np.testing.assert_array_equal(found.indices, plain_greedy(data, 3000, 5999))


@settings(max_examples=150, deadline=None)
@given(rows(), st.sampled_from(BLOCKS), st.sampled_from([1, 16, 2048]), st.booleans(), st.data())
def test_adversarial_rows(data, block_rows, tile_rows, lazily, draw):
    count = draw.draw(st.integers(1, len(data)))
    start = draw.draw(st.integers(0, len(data) - 1))
    with mock.patch.object(_cover, "TILE_ROWS", tile_rows), late(lazily):
        found = k_center_greedy(data, count, start=start, block_rows=block_rows)
    expected = plain_greedy(data, count, start)
    np.testing.assert_array_equal(found.indices, expected)
    assert len(np.unique(data[found.indices], axis=0)) == len(found.indices)
    assert found.radii[0] == np.inf
    assert (np.diff(found.radii) <= 0).all()
    for place in range(1, len(expected)):
        kept = squared_to_nearest(data, expected[:place])
        assert found.radii[place] == np.sqrt(kept[expected[place]])
    assert found.cover_radius == np.sqrt(squared_to_nearest(data, expected).max())


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("scale", [1e-10, 1e-19, 3e-22, 1e-23])
def test_squares_that_underflow_in_float32(scale, lazily):
    data = normal(300, 3) * np.float32(scale)
    with late(lazily):
        assert_as_plain(data, 150)


def assert_as_plain(data, count, start=0, **options):
    found = k_center_greedy(data, count, start=start, **options)
    np.testing.assert_array_equal(found.indices, plain_greedy(data, count, start))


@pytest.mark.parametrize("dimensions", [8, 100, 152])
def test_lazily_and_threaded_as_the_plain_loop(dimensions):
    data = low_rank(np.random.default_rng(3), (6000, dimensions)).astype(np.float32)
    with (
        late(True),
        mock.patch.multiple(_cover, TILE_ROWS=100, GROUPS=20),
        mock.patch.object(_run, "THREADED_ROWS", 1),
        mock.patch.object(threads, "THREADS", 4),
    ):
        assert_as_plain(data, 600, start=17, block_rows=500)


def test_threads_raise_what_goes_wrong():
    with (
        mock.patch.object(_cover, "TILE_ROWS", 10),
        mock.patch.object(_run, "THREADED_ROWS", 1),
        mock.patch.object(_cover.Cover, "_compare", side_effect=MemoryError("no room")),
        pytest.raises(MemoryError, match="no room"),
    ):
        k_center_greedy(normal(100, 4), 5)


def scattered(count, dimensions, seed=1):
    """Around 20 places, so that there is something to cover."""
    rng = np.random.default_rng(seed)
    places = 50 * rng.standard_normal((20, dimensions))
    return (places[rng.integers(20, size=count)] + rng.standard_normal((count, dimensions))).astype(np.float32)


def test_most_pairs_are_never_compared():
    data = scattered(4000, 16)
    pairs = []
    compare = _cover.Cover._compare

    def counted(self, rows, new):
        pairs.append(len(rows) * len(new.centres))
        compare(self, rows, new)

    with (
        mock.patch.multiple(_cover, WAVE_ROWS=64, GROUPED_ROWS=1, GROUPS=20),
        mock.patch.object(_cover.Cover, "_compare", counted),
    ):
        assert_as_plain(data, 800, block_rows=64)
    assert sum(pairs) < 0.3 * 4000 * 800


def test_distances_are_bounds_and_those_of_the_farthest_are_true():
    data = scattered(2000, 8)
    picks = k_center_greedy(data, 200).indices
    true = squared_to_nearest(data, picks)
    with late(True):
        cover = _cover.Cover(data)
        for first in range(0, 200, 20):
            cover.add(_cover.Block(data, picks[first : first + 20]))
            cover.farthest(10)
        found, (bound, rival) = cover.farthest(10)
    assert (cover.squared >= true * (1 - 1e-12)).all()
    assert (cover.squared > true * (1 + 1e-12)).any()
    np.testing.assert_array_equal(found, np.sort(np.lexsort((np.arange(2000), -true))[:10]))
    np.testing.assert_allclose(cover.squared[found], true[found], rtol=1e-12)
    assert true[found].min() >= bound == cover.squared[rival] >= np.delete(true, found).max()


def test_groups_hold_every_row_once_and_know_those_around_a_centre():
    data = scattered(3000, 32)
    with late(True):
        groups = Groups.of(data, data[k_center_greedy(data, 20).indices])
        near = groups.near(data[:7])
    assert sorted(np.concatenate(groups.parts).tolist()) == list(range(3000))
    tried = [(row, centre) for rows, centres in near for row in rows.tolist() for centre in centres.tolist()]
    assert len(set(tried)) == len(tried)
    apart = np.square(data[:, None].astype(np.float64) - data[:7]).sum(axis=2)
    assert set(tried) >= set(zip(*np.nonzero(apart < 100), strict=True))
    assert len(tried) < 0.3 * 3000 * 7
    assert [len(rows) for rows, _ in near] == sorted((len(rows) for rows, _ in near), reverse=True)


def test_of_equal_distances_the_lowest_index_wins():
    data = np.array([[0], [2], [-2], [2], [-2]], dtype=np.float32)
    for block_rows in (1, 2, 3, 5):
        assert k_center_greedy(data, 3, block_rows=block_rows).indices.tolist() == [0, 1, 2]


def test_picks_follow_the_rows_when_these_are_permuted():
    data = normal(1500, 24)
    found = k_center_greedy(data, 300, start=7)
    order = np.random.default_rng(1).permutation(len(data))
    moved = k_center_greedy(data[order], 300, start=int(np.flatnonzero(order == 7)[0]), block_rows=50)
    np.testing.assert_array_equal(order[moved.indices], found.indices)


@pytest.mark.parametrize("block_rows", BLOCKS)
def test_stops_when_distinct_rows_run_out(block_rows):
    data = normal(6, 4)[np.random.default_rng(0).integers(0, 6, 200)]
    found = k_center_greedy(data, 100, start=3, block_rows=block_rows)
    assert len(found.indices) == len(np.unique(data, axis=0)) == 6
    assert found.cover_radius == 0.0


def test_all_rows_equal():
    found = k_center_greedy(np.full((50, 3), 1.7, np.float32), 50, start=20)
    assert found.indices.tolist() == [20]
    assert found.cover_radius == 0.0


def test_every_pick_is_reported():
    steps = []
    k_center_greedy(normal(400, 3), 123, block_rows=16, advance=lambda n=1: steps.append(n))
    assert sum(steps) == 123
    assert len(steps) > 3


def test_rows_are_left_alone():
    data = normal(300, 4)
    before = data.copy()
    data.setflags(write=False)
    k_center_greedy(data, 50)
    np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize("count", [0, -1, 11])
def test_count_out_of_range(count):
    with pytest.raises(ValueError, match=rf"count must be in 1\.\.10, got {count}"):
        k_center_greedy(normal(10, 2), count)


@pytest.mark.parametrize("start", [-1, 10])
def test_start_out_of_range(start):
    with pytest.raises(ValueError, match=rf"start must be in 0\.\.9, got {start}"):
        k_center_greedy(normal(10, 2), 3, start=start)


@pytest.mark.parametrize(("indices", "radii"), [(3, 2), ((3, 1), (3, 1))])
def test_coreset_checks_its_shapes(indices, radii):
    with pytest.raises(ValueError, match=r"must be \(m,\)"):
        Coreset(np.zeros(indices, np.int64), np.zeros(radii), 0.0)


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("offset", [0, 1000])
def test_the_filter_leaves_little_to_compute_exactly(offset, lazily, monkeypatch):
    """Else the picks would still be right, and slow."""
    pairs = []
    exact = _cover.Cover.distances

    def counted(self, left, points):
        pairs.append(len(left))
        return exact(self, left, points)

    monkeypatch.setattr(_cover.Cover, "distances", counted)
    data = normal(3000, 8) + np.float32(offset)
    with late(lazily):
        k_center_greedy(data, 300)
    assert sum(pairs) < 0.05 * 3000 * 300


def peak_of(data, count, block_rows):
    """Bytes held at most while selecting, in one thread."""
    k_center_greedy(data[:100], 10)
    with mock.patch.object(_run, "THREADED_ROWS", len(data) + 1):
        tracemalloc.start()
        try:
            k_center_greedy(data, count, block_rows=block_rows)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_scratch_memory_of_a_row():
    """40 bytes, far less than the row."""
    few, many = (peak_of(normal(rows, 64), 256, 128) for rows in (40_000, 80_000))
    assert (many - few) / 40_000 < 44


def test_some_channels_of_wider_rows_are_not_copied():
    """An ensemble selects from parts of the channels: gathering a few such rows must not copy all of them."""
    wide = normal(40_000, 256)
    apart, alone = (peak_of(part, 256, 128) for part in (wide[:, :64], wide[:, :64].copy()))
    assert apart < 1.05 * alone


@pytest.mark.parametrize(("make", "rows", "blocks"), [(normal, 3000, 16), (normal, 3000, 40), (clusters, 12_000, 4)])
def test_scratch_memory_beside_rows(make, rows, blocks):
    """A few tiles and ten blocks, however many there are, and where most distances are lost in rounding."""
    dimensions, block_rows = 256, 64
    data = (make(rows, 256) if make is normal else make(np.random.default_rng(0), (rows, 256))).astype(np.float32)
    with mock.patch.multiple(_cover, WAVE_ROWS=64, TILE_ROWS=64):
        peak = peak_of(data, blocks * block_rows, block_rows)
    tile, block = 64 * max(block_rows, dimensions) * 4, block_rows * dimensions * 4
    pairs = 2 * _cover.PAIRS_AT_A_TIME * dimensions * 8 if make is clusters else 0
    assert peak < 40 * rows + 8 * tile + 10 * block + pairs


@settings(max_examples=150, deadline=None)
@given(rows(), st.sampled_from(BLOCKS), st.sampled_from([1, 16, 2048]), st.booleans(), st.data())
def test_continued_as_the_plain_loop_does(data, block_rows, tile_rows, lazily, draw):
    """From centres that are rows of the same kind, some of them equal to rows left."""
    cut = draw.draw(st.integers(1, len(data)))
    centres, left = data[:cut], data[draw.draw(st.integers(0, cut)) :]
    at_least = draw.draw(st.integers(0, len(data)))
    distances = squared_to_nearest(left, range(min(1, len(left)))) if len(left) else np.zeros(1)
    radius = draw.draw(st.sampled_from([0.0, np.inf, *np.sqrt(distances).tolist()]))
    with mock.patch.object(_cover, "TILE_ROWS", tile_rows), late(lazily):
        found = k_center_continued(left, centres, at_least=at_least, radius=radius, block_rows=block_rows)
    np.testing.assert_array_equal(found.indices, plain_continued(left, centres, at_least, radius))
    assert (np.diff(found.radii) <= 0).all()
    every = np.concatenate([centres, left[found.indices]])
    exact = left.astype(np.float64)
    kept = [((exact - centre) ** 2).sum(axis=1) for centre in every.astype(np.float64)]
    assert found.cover_radius == (np.sqrt(np.min(kept, axis=0).max()) if len(left) else 0)


@pytest.mark.parametrize("first", [1, 100, 499])
def test_a_selection_taken_up_again_goes_on_as_if_never_left(first):
    data = normal(2000, 12)
    whole = k_center_greedy(data, 500, start=3)
    picks = whole.indices
    rest = k_center_continued(data, data[picks[:first]], at_least=500 - first, radius=np.inf)
    np.testing.assert_array_equal(rest.indices, picks[first:])
    np.testing.assert_array_equal(rest.radii, whole.radii[first:])
    assert rest.cover_radius == whole.cover_radius


def test_continued_far_from_the_centres():
    """Bounds about the new rows' mean are poor for centres far off, and must still be bounds."""
    data, centres = normal(3000, 16), normal(500, 16, seed=1) + np.float32(1e3)
    found = k_center_continued(data, centres, at_least=200, radius=np.inf)
    np.testing.assert_array_equal(found.indices, plain_continued(data, centres, 200, np.inf))


def test_continued_until_the_radius_is_reached_and_no_further():
    data, centres = normal(1500, 4), normal(20, 4, seed=1)
    found = k_center_continued(data, centres, radius=1.0)
    assert found.cover_radius <= 1.0 < found.radii[-1]
    assert len(found.indices) > 5
    assert len(k_center_continued(data, centres, radius=1.0, at_least=len(found.indices) + 7).indices) == (
        len(found.indices) + 7
    )


@pytest.mark.parametrize("at_least", [0, 5])
def test_continued_with_rows_the_centres_hold_already(at_least):
    data = normal(10, 3)
    found = k_center_continued(data[2:6], data, at_least=at_least)
    assert (found.indices.tolist(), found.radii.tolist(), found.cover_radius) == ([], [], 0.0)


def test_continued_with_no_rows():
    found = k_center_continued(normal(0, 3), normal(2, 3), at_least=3)
    assert (found.indices.tolist(), found.cover_radius) == ([], 0.0)


@pytest.mark.parametrize("centres", [normal(0, 3), normal(4, 2), normal(4, 4)])
def test_continued_checks_the_centres(centres):
    with pytest.raises(ValueError, match=r"centres must be \(M, 3\), M > 0; got \("):
        k_center_continued(normal(10, 3), centres)


def test_every_pick_of_a_continuation_is_reported():
    steps = []
    found = k_center_continued(
        normal(400, 3), normal(5, 3, seed=1), at_least=50, radius=0.3, block_rows=16, advance=steps.append
    )
    assert sum(steps) == len(found.indices) > 60
