"""Nearest rows, exact and approximate, against scipy; damaged graphs."""

from __future__ import annotations

from dataclasses import replace

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from kizu.errors import ModelFileError
from kizu.neighbors import (
    GRAPH_LEVELS,
    GRAPH_LINKS,
    ApproximateNeighbors,
    ExactNeighbors,
    Graph,
    _approximate,
    _exact,
    _graph,
    link,
    tuned,
)


def normal(count, dimensions, seed=0):
    return np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32)


def images(count, height=10, width=10, dimensions=32):
    """Neighbouring patches are alike, as they are in pictures."""
    side = max(6, -(-max(height, width) // 2))
    coarse = normal(count * side**2, dimensions, seed=4).reshape(count, side, side, dimensions) * np.float32(1.4)
    fine = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    noise = normal(count * height * width, dimensions, seed=5).reshape(count, height, width, dimensions)
    return fine + np.float32(0.4) * noise


def linkless(levels):
    """A graph that fits together and leads nowhere."""
    levels = np.asarray(levels, dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum((levels + 1) * GRAPH_LINKS)]).astype(np.uint64)
    links = np.full(int(offsets[-1]), -1, dtype=np.int32)
    return Graph(levels, offsets, links, entry=int(levels.argmax()), breadth=16)


@pytest.fixture(scope="module")
def rows():
    return normal(3000, 16)


@pytest.fixture(scope="module")
def graph(rows):
    return link(rows)


@pytest.fixture(scope="module")
def wide():
    """With `MANY` queries, enough numbers that FAISS multiplies matrices."""
    return normal(1500, 128)


MANY = 1010


@pytest.mark.parametrize("k", [1, 2, 9])
@pytest.mark.parametrize("queries", [1, 19, 21, MANY])
def test_exact_agrees_with_scipy(wide, queries, k):
    asked = normal(queries, 128, seed=1)
    distances, indices = ExactNeighbors(wide).search(asked, k)
    truth = cdist(asked.astype(np.float64), wide.astype(np.float64))
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances, np.sort(truth, axis=1)[:, :k], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(truth, indices, 1), distances, rtol=1e-5)


def test_one_query_as_many(wide):
    asked = normal(40, 128, seed=1)
    distances, indices = ExactNeighbors(wide).search(asked, 1)
    for place, query in enumerate(asked):
        for rows in (wide, np.asfortranarray(wide)):
            alone, index = ExactNeighbors(rows).search(query[None], 1)
            np.testing.assert_array_equal([alone[0], index[0]], [distances[place], indices[place]])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 30), st.integers(1, 40), st.integers(1, 5), st.integers(0, 10**6))
def test_exact_with_ties_and_duplicates(count, queries, dimensions, k, seed):
    rng = np.random.default_rng(seed)
    data, asked = (rng.integers(0, 3, (n, dimensions)).astype(np.float32) for n in (count, queries))
    distances, indices = ExactNeighbors(data).search(asked, k)
    truth = cdist(asked, data)
    np.testing.assert_allclose(distances, np.sort(truth, axis=1)[:, :k], rtol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(truth, indices, 1), distances, rtol=1e-6)
    assert all(len(set(row)) == len(row) for row in indices.tolist())


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("offset", [100.0, 1e4])
@pytest.mark.parametrize("spread", [1e-2, 1.0])
def test_exact_where_products_cancel(offset, spread, k):
    sides = np.sign(normal(1000, 1, seed=3)) * np.float32(offset)
    data, asked = ((normal(n, 128, n) * spread + np.resize(sides, (n, 1))).astype(np.float32) for n in (400, MANY))
    truth = np.sort(cdist(asked.astype(np.float64), data.astype(np.float64)), axis=1)
    distances, _ = ExactNeighbors(data).search(asked, k)
    np.testing.assert_allclose(distances, truth[:, :k], rtol=1e-2)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("k", [1, 3])
def test_a_row_is_at_distance_0_from_itself(offset, k):
    data = (normal(MANY, 128) * 0.1 + offset).astype(np.float32)
    distances, indices = ExactNeighbors(data).search(data, k)
    assert (distances[:, 0] == 0).all()
    np.testing.assert_array_equal(data[indices[:, 0]], data)


@pytest.mark.parametrize("k", [1, 3])
def test_an_approximate_row_is_at_distance_0_from_itself(k):
    data = (normal(500, 32) * 0.1 + 100).astype(np.float32)
    distances, indices = ApproximateNeighbors(data, replace(link(data), breadth=512)).search(data, k)
    assert (distances[:, 0] == 0).all()
    np.testing.assert_array_equal(data[indices[:, 0]], data)


@pytest.mark.parametrize("k", [1, 4])
def test_exact_does_not_depend_on_the_batch(wide, k):
    search = ExactNeighbors(wide)
    asked = normal(MANY, 128, seed=2)
    together = search.search(asked, k)
    for size in (1, 30):
        for first in range(0, MANY, 200):
            alone = search.search(asked[first : first + size], k)
            np.testing.assert_array_equal(alone[0], together[0][first : first + size])
            np.testing.assert_array_equal(alone[1], together[1][first : first + size])


@pytest.mark.parametrize("k", [3, 5, 40])
def test_more_neighbours_than_rows(k):
    data = normal(3, 4)
    for search in (ExactNeighbors(data), ApproximateNeighbors(data, link(data))):
        distances, indices = search.search(data, k)
        assert distances.shape == indices.shape == (3, 3)
        np.testing.assert_array_equal(np.sort(indices, axis=1), [[0, 1, 2]] * 3)
        np.testing.assert_allclose(distances, np.sort(cdist(data, data), axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("search", ["exact", "approximate"])
def test_no_queries(rows, graph, search):
    finder = ExactNeighbors(rows) if search == "exact" else ApproximateNeighbors(rows, graph)
    distances, indices = finder.search(np.empty((0, 16), np.float32), 2)
    assert distances.shape == indices.shape == (0, 2)


@pytest.mark.parametrize("k", [1, 5])
def test_approximate_distances_are_those_of_the_rows_found(rows, graph, k):
    asked = normal(300, 16, seed=3)
    distances, indices = ApproximateNeighbors(rows, graph).search(asked, k)
    truth = cdist(asked.astype(np.float64), rows.astype(np.float64))
    np.testing.assert_allclose(np.take_along_axis(truth, indices, 1), distances, rtol=1e-5)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (distances[:, 0] <= truth.min(axis=1) * (1 + 1e-5)).mean() > 0.9


@pytest.mark.parametrize("error", [3e-2, 1e-2, 1e-3])
def test_tuned_is_just_broad_enough(error):
    data, asked = normal(4000, 32), images(6)
    found, reached = tuned(data, asked, error)
    truth = cdist(asked.reshape(-1, 32).astype(np.float64), data.astype(np.float64)).min(axis=1)

    def accuracy(search):
        distances = np.concatenate([search.search_image(image, 1)[0][:, 0] for image in asked])
        return (distances <= truth * (1 + 1e-6)).mean(), distances.sum() / truth.sum() - 1

    recall, excess = accuracy(found)
    assert reached.recall == pytest.approx(recall)
    assert reached.error == pytest.approx(excess, abs=1e-6)
    assert reached.error <= error
    place = _approximate.SEARCH_BREADTHS.index(found.graph.breadth)
    if place:
        breadth = _approximate.SEARCH_BREADTHS[place - 1]
        narrower = replace(found.graph, breadth=breadth, following=_approximate.following(breadth))
        assert accuracy(ApproximateNeighbors(data, narrower))[1] > error


def test_a_smaller_error_takes_a_broader_search():
    data, asked = normal(4000, 32), images(6)
    breadths = [tuned(data, asked, error)[0].graph.breadth for error in (1e-1, 1e-3, 1e-5)]
    assert breadths == sorted(breadths)
    assert breadths[0] < breadths[-1]


def test_tuned_says_what_it_reached_when_that_is_too_little(monkeypatch):
    monkeypatch.setattr(_approximate, "SEARCH_BREADTHS", (1, 2))
    found, reached = tuned(normal(4000, 32), images(6), 1e-4)
    assert found.graph.breadth == 2
    assert 0.1 < reached.recall < 0.9
    assert reached.error > 1e-4


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize(("height", "width"), [(10, 10), (9, 7), (1, 1), (1, 5), (2, 1), (12, 3)])
def test_patches_beside_each_other_find_rows_of_their_own(height, width, k):
    data = normal(4000, 32)
    search = ApproximateNeighbors(data, replace(link(data), breadth=512, following=256))
    for image in images(2, height, width):
        distances, rows = search.search_image(image, k)
        queries = image.reshape(-1, 32)
        truth = np.sort(cdist(queries.astype(np.float64), data.astype(np.float64)), axis=1)[:, :k]
        np.testing.assert_allclose(distances, truth, rtol=0.05)
        assert (distances[:, 0] <= truth[:, 0] * (1 + 1e-6)).mean() > 0.9
        assert all(len(set(found)) == k for found in rows.tolist())
        np.testing.assert_allclose(distances[:, 0], np.linalg.norm(data[rows[:, 0]] - queries, axis=1), rtol=1e-6)


@pytest.mark.parametrize("following", [0, 4])
@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 7), (2, 2), (3, 5), (8, 8), (9, 4), (12, 12), (14, 3), (16, 16), (19, 6)]
)
def test_an_image_shared_out_is_searched_as_the_whole_of_it(height, width, following, monkeypatch):
    data = normal(4000, 32)
    search = ApproximateNeighbors(data, replace(link(data), breadth=16, following=following))
    for image in images(3, height, width):
        whole = search._search_grid(image, 2)
        for count in (1, 2, 3, 4):
            monkeypatch.setattr(_approximate, "available", lambda count=count: count)
            for found, expected in zip(search.search_image(image, 2), whole, strict=True):
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("k", [1, 3])
def test_few_queries_shared_out_find_the_same(k, monkeypatch):
    data, asked = normal(500, 8), normal(7, 8, seed=2)
    alone = faiss.knn(asked, data, k)[1]
    for count in (1, 2, 4):
        monkeypatch.setattr(_exact, "available", lambda count=count: count)
        for some in range(8):
            np.testing.assert_array_equal(ExactNeighbors(data).search(asked[:some], k)[1], alone[:some])


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 8, 11])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 6, 9])
def test_each_patch_is_walked_to_once_and_from_patches_that_were_found(height, width):
    order, found = _approximate.walk_order(height, width), set()
    found.update(order.first.tolist())
    for step in order.steps:
        places = step.places.tolist()
        assert not found.intersection(places)
        assert found.issuperset(step.beside.ravel().tolist())
        found.update(places)
        apart = [
            abs(place // width - other // width) + abs(place % width - other % width)
            for place, pair in zip(places, step.beside.tolist(), strict=True)
            for other in pair
        ]
        assert set(apart) == {1 if step.last else _approximate.FIRST_EACH // 2}
    assert found == set(range(height * width))


def test_few_candidates_are_looked_at_right_beside_what_was_found(monkeypatch):
    data = normal(4000, 32)
    search = ApproximateNeighbors(data, replace(link(data), breadth=64, following=5))
    kept, plain = [], faiss.SearchParametersHNSW

    def parameters(*, efSearch):
        kept.append(efSearch)
        return plain(efSearch=efSearch)

    monkeypatch.setattr(faiss, "SearchParametersHNSW", parameters)
    search._search_grid(images(1, 8, 8)[0], 1)
    assert kept == [64, 64, 64, 5, 5]  # from the entry; halfway in columns, in rows; the same right beside


@pytest.mark.parametrize("height", range(1, 40))
def test_bands_are_all_rows_in_even_parts(height):
    for count in (1, 2, 3, 4):
        parts = _approximate.bands(height, count)
        assert [row for part in parts for row in range(part.start, part.stop)] == list(range(height))
        assert 1 <= len(parts) <= count
        assert all(part.start % _approximate.FIRST_EACH == 0 and part.stop > part.start for part in parts)
        sizes = [part.stop - part.start for part in parts]
        assert max(sizes) - min(sizes) < 2 * _approximate.FIRST_EACH


def test_images_are_searched_patch_by_patch_in_models_of_earlier_versions():
    data, asked = normal(4000, 32), images(1)[0]
    search = ApproximateNeighbors(data, link(data))
    for found, expected in zip(search.search_image(asked, 2), search.search(asked.reshape(-1, 32), 2), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_looking_again_finds_more():
    data, asked = normal(4000, 32), normal(600, 32, seed=4)
    search = ApproximateNeighbors(data, replace(link(data), breadth=2))
    once, again = search.search(asked, 1)[0], search.search_again(asked, 1)[0]
    assert again.sum() < once.sum()


LENDS = pytest.mark.skipif(not hasattr(faiss, "MaybeOwnedVectorUInt8"), reason="FAISS before 1.11 only copies")


@pytest.mark.parametrize("viewed", [pytest.param(True, marks=LENDS), False])
def test_faiss_looks_at_the_rows_where_they_are(rows, graph, viewed, monkeypatch):
    if not viewed:
        monkeypatch.setattr(faiss, "MaybeOwnedVectorUInt8", None, raising=False)  # as FAISS before 1.11 has none
    mine = rows.copy()
    search = ApproximateNeighbors(mine, graph)
    expected = ApproximateNeighbors(rows, graph).search(rows[:50], 3)
    for found, wanted in zip(search.search(rows[:50], 3), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    stored = faiss.downcast_index(search._index.storage)
    mine[7] = 3
    assert (stored.reconstruct(7) == 3).all() == viewed


def test_graph_is_the_same_however_many_threads(rows, graph):
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    try:
        again = link(rows)
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(threads)
    for name in ("levels", "offsets", "links", "entry"):
        np.testing.assert_array_equal(getattr(again, name), getattr(graph, name))


def test_graph_is_built_by_one_thread(monkeypatch):
    used = []

    class Spy(faiss.IndexHNSWFlat):
        def add(self, x):
            used.append(faiss.omp_get_max_threads())
            super().add(x)

    monkeypatch.setattr(faiss, "IndexHNSWFlat", Spy)
    link(normal(50, 4))
    assert used == [1]


def test_graph_from_its_arrays_finds_the_same(rows, graph):
    index = faiss.IndexHNSWFlat(16, GRAPH_LINKS)
    index.hnsw.efConstruction = _graph.BUILD_BREADTH
    index.hnsw.efSearch = 32
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    index.add(rows)
    faiss.omp_set_num_threads(threads)
    asked = normal(400, 16, seed=6)
    _, expected = index.search(asked, 5)
    distances, indices = ApproximateNeighbors(rows, replace(graph, breadth=32)).search(asked, 5)
    np.testing.assert_array_equal(np.sort(indices), np.sort(expected))
    copied = Graph(graph.levels.copy(), graph.offsets.copy(), graph.links.copy(), graph.entry, 32)
    again = ApproximateNeighbors(rows, copied).search(asked, 5)
    np.testing.assert_array_equal(again[0], distances)
    np.testing.assert_array_equal(again[1], indices)


def test_lost_queries_are_searched_exactly(rows):
    asked = normal(30, 16, seed=7)
    found = ApproximateNeighbors(rows, linkless(np.ones(3000))).search(asked, 4)
    expected = ExactNeighbors(rows).search(asked, 4)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_levels_are_those_faiss_lays_out():
    places = faiss.vector_to_array(faiss.IndexHNSWFlat(4, GRAPH_LINKS).hnsw.cum_nneighbor_per_level)
    assert len(places) == GRAPH_LEVELS + 1
    assert linkless([1, GRAPH_LEVELS, 2]).levels.max() == GRAPH_LEVELS


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def lower_row(graph):
    return int(np.flatnonzero(graph.levels == 1)[0])


def upper_link(graph):
    """Where the first link on level 2 of the entry row stands."""
    return int(graph.offsets[graph.entry]) + 2 * GRAPH_LINKS


DAMAGE = {
    "levels of another type": lambda g: {"levels": g.levels.astype(np.int64)},
    "levels are floats": lambda g: {"levels": g.levels.astype(np.float32)},
    "levels are a matrix": lambda g: {"levels": g.levels[:, None]},
    "levels are a scalar": lambda g: {"levels": np.int32(1) * np.ones((), np.int32)},
    "no levels": lambda g: {"levels": g.levels[:0], "offsets": g.offsets[:1], "links": g.links[:0]},
    "a row too many": lambda g: {"levels": np.append(g.levels, np.int32(1))},
    "a row too few": lambda g: {"levels": g.levels[:-1]},
    "level 0": lambda g: {"levels": changed(g.levels, lower_row(g), 0)},
    "level below 0": lambda g: {"levels": changed(g.levels, lower_row(g), -5)},
    "a level without links": lambda g: {"levels": changed(g.levels, lower_row(g), 2)},
    "offsets of another type": lambda g: {"offsets": g.offsets.astype(np.int64)},
    "offsets too short": lambda g: {"offsets": g.offsets[:-1]},
    "offsets are a matrix": lambda g: {"offsets": g.offsets[:, None]},
    "first offset": lambda g: {"offsets": changed(g.offsets, 0, 1)},
    "last offset": lambda g: {"offsets": changed(g.offsets, -1, 2**40)},
    "an offset before the last": lambda g: {"offsets": changed(g.offsets, 7, 0)},
    "an offset past the end": lambda g: {"offsets": changed(g.offsets, 7, 2**63 + 1)},
    "an offset moved": lambda g: {"offsets": changed(g.offsets, 7, g.offsets[7] + np.uint64(1))},
    "links of another type": lambda g: {"links": g.links.astype(np.int64)},
    "links are a matrix": lambda g: {"links": g.links[:, None]},
    "links too short": lambda g: {"links": g.links[:-1]},
    "links too long": lambda g: {"links": np.append(g.links, np.int32(-1))},
    "a link below -1": lambda g: {"links": changed(g.links, 0, -2)},
    "a link past the rows": lambda g: {"links": changed(g.links, 0, len(g.levels))},
    "a link to a row without that level": lambda g: {"links": changed(g.links, upper_link(g), lower_row(g))},
    "entry below 0": lambda g: {"entry": -1},
    "entry past the rows": lambda g: {"entry": len(g.levels)},
    "entry not on top": lambda g: {"entry": lower_row(g)},
    "breadth 0": lambda g: {"breadth": 0},
    "breadth beyond memory": lambda g: {"breadth": 2**31 - 1},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_graph_is_refused(graph, damage):
    with pytest.raises(ModelFileError, match="the search graph is damaged; fit the model again or restore"):
        replace(graph, **DAMAGE[damage](graph))


@pytest.mark.parametrize("level", [-1, 0, GRAPH_LEVELS + 1])
def test_levels_that_faiss_does_not_lay_out_are_refused(level):
    with pytest.raises(ModelFileError, match="damaged"):
        linkless([1, level, 2])


def test_offsets_that_all_start_too_late_are_refused():
    graph = linkless([1, 1])
    with pytest.raises(ModelFileError, match="damaged"):
        replace(graph, offsets=graph.offsets + np.uint64(3), links=np.append(graph.links, graph.links[:3]))


@pytest.mark.parametrize("count", [2999, 3001])
def test_graph_of_another_bank_is_refused(graph, count):
    with pytest.raises(ModelFileError, match=f"the search graph has 3000 rows, the memory bank {count}"):
        ApproximateNeighbors(normal(count, 16), graph)
