"""PatchCore against plain loops."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from kizu.detectors import _highest, _patches, _search, _selection, build, patchcore
from kizu.detectors.patchcore import PatchCore
from kizu.errors import KizuWarning, ParameterError
from kizu.neighbors import Accuracy, _approximate
from kizu.projection import safe_dimensions
from reference.coreset import k_center_greedy
from reference.patchcore import scores as plain_scores
from reference.patchcore import walkthrough_scores

a_poor_search = pytest.mark.filterwarnings("ignore:approximate search finds")


def embeddings(images, height=4, width=5, channels=6, seed=0):
    shape = (images, height, width, channels)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def rows_of(good):
    return good.reshape(-1, good.shape[-1])


def row_set(rows):
    return {row.tobytes() for row in rows}


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("offset", [0, 100])
@pytest.mark.parametrize("search", ["exact", "approximate"])
def test_a_full_bank_scores_its_own_patches_0(count, offset, search):
    good = embeddings(count) * np.float32(0.1) + np.float32(offset)
    scores = PatchCore(coreset_ratio=1, search=search).fit([good]).score(good)
    assert (scores.patches == 0).all()
    assert (scores.images == 0).all()


def test_a_batch_large_enough_for_matrix_products_scores_the_same():
    detector = PatchCore(coreset_ratio=0.5, search="exact").fit([embeddings(12, 10, 10, 64)])
    test = embeddings(24, 10, 10, 64, seed=1)
    together = detector.score(test)
    for image in range(24):
        np.testing.assert_array_equal(detector.score(test[image : image + 1]).patches[0], together.patches[image])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("reweight_neighbors", [None, 2, 5, 9, 500])
@pytest.mark.parametrize("bank", [2, 30])
def test_scores_agree_with_plain_loops(count, reweight_neighbors, bank):
    parameters = {} if reweight_neighbors is None else {"reweight_neighbors": reweight_neighbors}
    detector = PatchCore(
        coreset_count=bank, neighbors=count, reweight=reweight_neighbors is not None, **parameters
    ).fit([embeddings(6)])
    test = embeddings(5, seed=1) * np.float32(1.5)
    found = detector.score(test)
    patches, images = plain_scores(test, detector.bank_, count, reweight_neighbors)
    np.testing.assert_allclose(found.patches, patches, rtol=1e-5)
    np.testing.assert_allclose(found.images, images, rtol=1e-5)


@pytest.mark.parametrize("reweight", [True, "walkthrough"])
def test_reweighting_is_stable_where_exponentials_overflow(reweight):
    detector = PatchCore(coreset_count=30, reweight=reweight).fit([embeddings(6)])
    test = embeddings(5, seed=1) * np.float32(1e4)
    scores = detector.score(test)
    assert np.isfinite(scores.images).all()
    assert (scores.images > 0).all()
    assert (scores.images <= scores.patches.max(axis=(1, 2))).all()


def test_an_image_scores_its_largest_patch():
    scores = PatchCore(coreset_count=20).fit([embeddings(6)]).score(embeddings(4, seed=1))
    np.testing.assert_array_equal(scores.images, scores.patches.max(axis=(1, 2)))


@pytest.mark.parametrize("ratio", [0.02, 0.1, 0.33])
def test_the_bank_is_the_greedy_coreset(ratio):
    good = embeddings(12)
    rows = rows_of(good)
    detector = PatchCore(coreset_ratio=ratio).fit(iter(np.split(good, 4)), rng=np.random.default_rng(3))
    start = int(np.random.default_rng(3).integers(len(rows)))
    picks = np.sort(k_center_greedy(rows, round(ratio * len(rows)), start))
    np.testing.assert_array_equal(detector.bank_, rows[picks])
    distances = [min(np.linalg.norm(row - kept) for kept in detector.bank_.astype(float)) for row in rows]
    assert detector.cover_radius_ == pytest.approx(max(distances), rel=1e-6)
    assert detector.summary()["bank rows"] == len(picks)
    assert detector.summary()["dimensions"] == 6


def test_another_seed_starts_elsewhere():
    banks = [
        PatchCore(coreset_count=5).fit([embeddings(6)], rng=np.random.default_rng(seed)).bank_ for seed in (0, 1)
    ]
    assert row_set(banks[0]) != row_set(banks[1])


@pytest.mark.parametrize(("parameters", "kept"), [
    ({"coreset_count": 17}, 17),
    ({"coreset_count": 17, "coreset_ratio": 0.5}, 17),
    ({"coreset_count": 10_000}, 120),
    ({"coreset_ratio": 0.001}, 1),
    ({"coreset_ratio": 1.0}, 120),
    ({"coreset_ratio": 1}, 120),
    ({"coreset_ratio": 0.996}, 120),
    ({}, 2),
])  # fmt: skip
def test_how_many_rows_are_kept(parameters, kept):
    good = embeddings(6)
    detector = PatchCore(**parameters).fit([good])
    assert len(detector.bank_) == kept
    assert row_set(detector.bank_) <= row_set(rows_of(good))
    assert len(row_set(detector.bank_)) == kept
    if kept == 120:
        assert detector.cover_radius_ == 0


def test_a_bank_larger_than_what_is_moved_at_a_time():
    good = embeddings(20, 20, 25)
    detector = PatchCore(coreset_count=9000, search="exact", projection_dim=1).fit([good])
    order = {row.tobytes(): place for place, row in enumerate(rows_of(good))}
    places = [order[row.tobytes()] for row in detector.bank_]
    assert len(places) == 9000
    assert places == sorted(places)


def test_equal_patches_are_kept_once():
    good = np.repeat(embeddings(2), 10, axis=0)
    detector = PatchCore(coreset_ratio=0.9).fit([good])
    assert len(detector.bank_) == 40
    assert (detector.score(good).patches == 0).all()


@pytest.mark.parametrize("projection", ["gaussian", "sparse"])
def test_projection_is_what_the_coreset_is_selected_in(monkeypatch, projection):
    good = embeddings(12)
    plain = PatchCore(coreset_count=24).fit([good])
    given = {"coreset_count": 24, "projection": projection, "projection_dim": 2}
    projected = PatchCore(**given).fit([good])
    assert row_set(projected.bank_) <= row_set(rows_of(good))
    assert row_set(projected.bank_) != row_set(plain.bank_)
    asked = []

    def same(kind, channels, dimensions, rng):
        asked.append((kind, channels, dimensions))
        return np.eye(channels, dtype=np.float32)

    monkeypatch.setattr(_selection, "projection_matrix", same)
    np.testing.assert_array_equal(PatchCore(**given).fit([good]).bank_, plain.bank_)
    assert asked == [(projection, 6, 2)]


def test_eps_decides_the_dimensions(monkeypatch):
    asked = []

    def noted(kind, channels, dimensions, rng):
        asked.append(dimensions)
        return np.eye(channels, dimensions, dtype=np.float32)

    monkeypatch.setattr(_selection, "projection_matrix", noted)
    PatchCore(coreset_count=5, projection_eps=0.9).fit([embeddings(12, channels=200)])
    assert asked == [safe_dimensions(240, 0.9)] == [135]


@pytest.mark.parametrize("channels", [134, 135])
def test_no_projection_to_as_many_dimensions_as_there_are(channels):
    good = embeddings(12, channels=channels)
    projected = PatchCore(coreset_count=20, projection_eps=0.9, coreset_start="first").fit([good])
    plain = PatchCore(coreset_count=20, coreset_start="first").fit([good])
    np.testing.assert_array_equal(projected.bank_, plain.bank_)


def test_dimensions_are_given_or_decided_not_both():
    with pytest.raises(ParameterError) as caught:
        build("patchcore", {"projection_dim": 128, "projection_eps": 0.9})
    assert str(caught.value) == (
        "`projection_eps` must be null where projection_dim is given; got 0.9. It is there to decide that."
    )


def test_the_coreset_can_start_from_the_first_row():
    good = embeddings(12)
    rows = rows_of(good)
    detector = PatchCore(coreset_count=24, coreset_start="first").fit([good], rng=np.random.default_rng(5))
    np.testing.assert_array_equal(detector.bank_, rows[np.sort(k_center_greedy(rows, 24, 0))])


@pytest.mark.parametrize("count", [2, 5, 9, 500])
@pytest.mark.parametrize("search", ["exact", "approximate"])
@a_poor_search
def test_the_walkthroughs_weight_agrees_with_plain_loops(count, search, monkeypatch):
    monkeypatch.setattr(_approximate, "SEARCH_BREADTHS", (1,))
    parameters = {"reweight": "walkthrough", "reweight_neighbors": count, "search": search}
    detector = PatchCore(coreset_count=100, **parameters).fit([embeddings(6, channels=12)])
    test = embeddings(5, seed=1, channels=12) * np.float32(1.5)
    found = detector.score(test).images
    np.testing.assert_allclose(found, walkthrough_scores(test, detector.bank_, count), rtol=1e-5)
    paper = PatchCore(**detector.parameters() | {"reweight": True, "coreset_count": 100})
    assert (np.abs(paper.fit([embeddings(6, channels=12)]).score(test).images - found) > 1e-3).any()


@pytest.mark.parametrize("reweight", [True, "walkthrough"])
@a_poor_search
def test_weights_are_exact_however_poor_the_search(reweight, monkeypatch):
    monkeypatch.setattr(_approximate, "SEARCH_BREADTHS", (1,))
    good, test = embeddings(30, 10, 10, 24), embeddings(20, 10, 10, 24, seed=1)
    parameters = {"coreset_count": 900, "reweight": reweight}
    truth = PatchCore(**parameters, search="exact").fit([good]).score(test)
    found = PatchCore(**parameters, search="approximate").fit([good]).score(test)
    assert (found.patches != truth.patches).any()
    np.testing.assert_allclose(found.images, truth.images, rtol=1e-6)


@pytest.mark.parametrize(("bank", "search"), [(49, "exact"), (50, "approximate"), (51, "approximate")])
def test_auto_searches_approximately_from_a_number_of_rows(bank, search, monkeypatch):
    monkeypatch.setattr(_search, "APPROXIMATE_FROM", 50)
    good = embeddings(6)
    detector = PatchCore(coreset_count=bank).fit([good])
    assert detector.summary()["search"] == search
    assert ("links" in detector.state()) == (search == "approximate")
    assert PatchCore(coreset_count=bank, search="exact").fit([good]).summary()["search"] == "exact"


def test_approximate_search_is_as_accurate_as_asked():
    good, test = embeddings(30, 10, 10, 24), embeddings(10, 10, 10, 24, seed=1)
    parameters = {"coreset_count": 1500}
    exact = PatchCore(**parameters, search="exact").fit([good])
    found = PatchCore(**parameters, search="approximate", search_error=1e-3).fit([good])
    assert exact.accuracy_ == Accuracy(1.0, 0.0)
    assert 0.9 <= found.accuracy_.recall <= 1.0
    assert 0 <= found.accuracy_.error <= 1e-3
    assert found.summary()["search recall"] == round(found.accuracy_.recall, 4)
    assert found.summary()["search error"] == round(found.accuracy_.error, 4)
    truth, scores = exact.score(test).patches, found.score(test).patches
    assert (scores >= truth).all()
    assert (scores == truth).mean() > 0.9
    found.search_exactly()
    np.testing.assert_array_equal(found.score(test).patches, truth)
    assert found.summary()["search"] == "exact"


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("at_a_time", [1, 32])
@a_poor_search
def test_image_scores_are_exact_however_poor_the_search(count, at_a_time, monkeypatch):
    monkeypatch.setattr(_highest, "AT_A_TIME", at_a_time)
    monkeypatch.setattr(_approximate, "SEARCH_BREADTHS", (1,))
    good, test = embeddings(30, 10, 10, 24), embeddings(20, 10, 10, 24, seed=1)
    parameters = {"coreset_count": 900, "neighbors": count}
    truth = PatchCore(**parameters, search="exact").fit([good]).score(test)
    found = PatchCore(**parameters, search="approximate").fit([good]).score(test)
    assert (found.patches != truth.patches).mean() > 0.05
    assert (found.patches >= truth.patches * (1 - 1e-6)).all()
    np.testing.assert_array_equal(found.images, truth.images)
    np.testing.assert_array_equal(found.images, found.patches.max(axis=(1, 2)))


@a_poor_search
@pytest.mark.parametrize("search", ["exact", "approximate"])
def test_image_scores_are_exact_far_from_the_origin(search):
    """There, products of float32 cannot tell near rows apart."""
    rng = np.random.default_rng(3)
    good = (rng.normal(size=(10, 16, 16, 100)) + 120).astype(np.float32)
    test = (good[:4] + 0.8 * rng.normal(size=good[:4].shape)).astype(np.float32)
    found = PatchCore(coreset_ratio=0.4, search=search).fit([good])
    bank = found.bank_.astype(np.float64)
    for image, score in zip(test, found.score(test).images, strict=True):
        truth = max(np.linalg.norm(bank - patch, axis=1).min() for patch in rows_of(image).astype(np.float64))
        assert score == pytest.approx(truth, rel=1e-6)


@a_poor_search
def test_eq_7_starts_from_the_exact_nearest_row(monkeypatch):
    monkeypatch.setattr(_approximate, "SEARCH_BREADTHS", (1,))
    asked = []
    paper_weight = patchcore.paper_weight

    def spied(neighbors):
        weight = paper_weight(neighbors)

        def asking(top, nearest, bank):
            asked.append(top)
            assert nearest == np.linalg.norm(bank.rows - top, axis=1).argmin()
            return weight(top, nearest, bank)

        return asking

    monkeypatch.setattr(patchcore, "paper_weight", spied)
    detector = PatchCore(coreset_count=900, search="approximate", reweight=True)
    detector.fit([embeddings(30, 10, 10, 24)]).score(embeddings(20, 10, 10, 24, seed=1))
    assert len(asked) == 20


@a_poor_search
def test_accuracy_is_measured(monkeypatch):
    monkeypatch.setattr(_approximate, "SEARCH_BREADTHS", (1,))
    detector = PatchCore(coreset_count=900, search="approximate").fit([embeddings(30, 10, 10, 24)])
    assert 0.1 < detector.accuracy_.recall < 0.95
    assert 0.001 < detector.accuracy_.error < 0.5


def test_a_restored_detector_can_search_exactly():
    good, test = embeddings(30, 10, 10, 24), embeddings(4, 10, 10, 24, seed=1)
    found = PatchCore(coreset_count=900, search="approximate").fit([good])
    exact = PatchCore.from_state({**found.parameters(), "search": "exact"}, found.state())
    assert exact.summary()["search"] == "exact"
    assert exact.accuracy_ == Accuracy()
    truth = PatchCore(coreset_count=900, search="exact").fit([good])
    np.testing.assert_array_equal(exact.score(test).patches, truth.score(test).patches)


@pytest.mark.parametrize(("images", "times"), [(136, 1.25), (None, 2.25)])
def test_a_fit_holds_the_embeddings_once_and_a_quarter(images, times):
    """Where their number is not known the block grows, and while it does tracemalloc may count old and new."""

    def stream():
        rng = np.random.default_rng(0)
        for _ in range(17):
            yield rng.standard_normal((8, 32, 32, 128), dtype=np.float32)

    held = 136 * 32 * 32 * 128 * 4
    PatchCore().fit([embeddings(2)])
    tracemalloc.start()
    try:
        detector = PatchCore(coreset_count=48).fit(stream(), images=images)
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < times * held + 40e6
    assert 1.25 * held + 40e6 < 2 * held
    assert left < detector.bank_.nbytes + 5e6


@pytest.mark.parametrize(("ratio", "search"), [(0.5, "approximate"), (0.51, "exact"), (1.0, "exact")])
def test_auto_holds_no_second_copy_of_a_large_bank(ratio, search, monkeypatch):
    monkeypatch.setattr(_search, "APPROXIMATE_FROM", 10)
    detector = PatchCore(coreset_ratio=ratio).fit([embeddings(10)])
    assert detector.summary()["search"] == search


@pytest.mark.parametrize("reweight", [True, "walkthrough"])
def test_one_row_alone_weighs_1(reweight):
    """Else the score is 0 whatever the image is."""
    good = np.full((8, 4, 4, 5), 0.3, np.float32)
    test = np.random.default_rng(0).standard_normal((3, 4, 4, 5)).astype(np.float32)
    plain, weighted = (PatchCore(reweight=given).fit([good]) for given in (False, reweight))
    assert len(weighted.bank_) == 1
    np.testing.assert_array_equal(weighted.score(test).images, plain.score(test).images)


def copies():
    """Sixty images of which every patch is there forty times."""
    return np.random.default_rng(0).standard_normal((75, 1, 1, 8)).astype(np.float32).repeat(40, axis=0)


def test_a_search_that_misses_what_was_wanted_is_told():
    with pytest.warns(KizuWarning, match=r"finds distances [\d.]+ % too large .* 1 % was wanted.*`auto` or `exact`"):
        detector = PatchCore(coreset_ratio=1.0, search="approximate").fit([copies()])
    assert detector.summary()["search"] == "approximate"


def test_auto_does_without_it(monkeypatch):
    monkeypatch.setattr(_search, "APPROXIMATE_UP_TO", 1)
    assert PatchCore(coreset_ratio=1.0).fit([copies()]).summary()["search"] == "exact"


@pytest.mark.parametrize("name", ["patchcore", "ensemble"])
def test_patches_that_memory_does_not_hold_are_told_before_they_come(name, monkeypatch):
    """1,000 images of 20 patches of 6 channels: 0.48 MB."""
    monkeypatch.setattr(_patches, "available", lambda: 400_000)
    taken = []

    def stream():
        for _ in range(1000):
            taken.append(1)
            yield embeddings(1)

    with pytest.raises(
        ParameterError, match=r"patches of 1,000 images take 0\.5MB, and 0\.4MB are free\. .*--memory SIZE"
    ):
        build(name, {}).fit(stream(), images=1000)
    assert len(taken) == 1


@pytest.mark.parametrize("available", [None, 480_000])
def test_patches_that_memory_holds_or_not_known(available, monkeypatch):
    monkeypatch.setattr(_patches, "available", lambda: available)
    assert PatchCore().fit([embeddings(1000)]).summary()["bank rows"] > 0
