"""An ensemble of memory banks, against plain loops."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from kizu.detectors._joining import Found, joined, spread
from kizu.detectors._scoring import Lookup
from kizu.detectors.ensemble import Ensemble
from kizu.detectors.patchcore import PatchCore
from kizu.errors import DataError, ModelFileError, ParameterError
from kizu.neighbors import ExactNeighbors

GRID, CHANNELS = (4, 5), 9
PARTS = [[0, 4], [2, 7], [7, 9]]


def embeddings(images: int, seed: int = 0) -> np.ndarray:
    """The last channels have numbers a hundred times as large."""
    made = np.random.default_rng(seed).standard_normal((images, *GRID, CHANNELS), dtype=np.float32)
    made[..., 7:] *= 100
    return made


def plain(bank: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return np.array([np.linalg.norm(bank - query, axis=1).min() for query in queries.astype(np.float64)])


def plain_scores(good: np.ndarray, image: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Of an image ``(h, w, D)``, with every good patch kept."""
    total = np.zeros(GRID[0] * GRID[1])
    for (first, stop), scale in zip(PARTS, scales, strict=True):
        bank, queries = (x[..., first:stop].reshape(-1, stop - first) for x in (good, image))
        total += (plain(bank, queries) / scale) ** 2
    return np.sqrt(total / len(PARTS)).reshape(GRID)


def fitted(good: np.ndarray, **given: Any) -> Ensemble:
    options = {"leave_one_out": True} if given.pop("leave_one_out", False) else {}
    return Ensemble(**{"parts": PARTS, "coreset_ratio": 1.0, **given}).fit([good], **options)


def test_scores_are_the_formula() -> None:
    good, test = embeddings(12), embeddings(3, seed=1)
    detector = fitted(good)
    flat = good.reshape(-1, CHANNELS).astype(np.float64)
    np.testing.assert_allclose(
        detector.scales_, [np.sqrt(flat[:, first:stop].var(axis=0).sum()) for first, stop in PARTS], rtol=1e-6
    )
    scores = detector.score(test)
    for image, patches in zip(test, scores.patches, strict=True):
        np.testing.assert_allclose(patches, plain_scores(good, image, detector.scales_), rtol=1e-4)
    np.testing.assert_array_equal(scores.images, scores.patches.max(axis=(1, 2)))


def test_a_part_counts_by_how_unusual_it_is_not_by_how_large() -> None:
    good = embeddings(40)
    detector = fitted(good)
    ordinary = good[:1].copy()
    small, large = ordinary.copy(), ordinary.copy()
    small[0, 1, 1, :2] += 20  # twenty times what is usual there
    large[0, 1, 1, 7:] += 20  # a fifth
    scores = detector.score(np.concatenate([small, large])).images
    single = PatchCore(coreset_ratio=1.0).fit([good]).score(np.concatenate([small, large])).images
    assert scores[0] / scores[1] > 3 * single[0] / single[1]


def test_each_part_finds_its_own_neighbour() -> None:
    good = embeddings(12)
    mixed = good[:1].copy()
    mixed[..., 7:] = good[5:6, ..., 7:]
    assert Ensemble(parts=[[0, 7], [7, 9]], coreset_ratio=1.0).fit([good]).score(mixed).images[0] == 0
    assert PatchCore(coreset_ratio=1.0).fit([good]).score(mixed).images[0] > 1


def test_one_part_of_all_channels_is_a_patchcore_in_other_units() -> None:
    good, test = embeddings(30), embeddings(4, seed=1)
    one = Ensemble(coreset_ratio=0.2).fit([good])
    other = PatchCore(coreset_ratio=0.2).fit([good])
    np.testing.assert_array_equal(one.members_[0].bank_, other.bank_)
    np.testing.assert_allclose(one.score(test).patches * one.scales_[0], other.score(test).patches, rtol=1e-5)


def test_members_are_patchcores_of_their_channels() -> None:
    good, rng = embeddings(30), np.random.default_rng(4)
    detector = Ensemble(parts=PARTS, coreset_ratio=0.1).fit([good], rng=np.random.default_rng(4))
    for member, (first, stop) in zip(detector.members_, PARTS, strict=True):
        alone = PatchCore(coreset_ratio=0.1).fit([good[..., first:stop]], rng=rng)
        np.testing.assert_array_equal(member.bank_, alone.bank_)
        assert member.cover_radius_ == alone.cover_radius_


def test_left_out_with_the_whole_bank_is_a_refit() -> None:
    good = embeddings(6)
    detector = fitted(good, leave_one_out=True)
    for image in range(len(good)):
        others = np.delete(good, image, axis=0)
        expected = plain_scores(others, good[image], detector.scales_)
        np.testing.assert_allclose(detector.left_out_.patches[image], expected, rtol=1e-4)
        assert detector.left_out_.images[image] == detector.left_out_.patches[image].max()


def test_leaving_one_of_one_out_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2 good images"):
        fitted(embeddings(1), leave_one_out=True)


def test_what_an_update_is_to_reach_holds_in_every_part() -> None:
    detector = Ensemble(parts=PARTS, coreset_ratio=0.05).fit([embeddings(30)])
    new = embeddings(5, seed=7) * np.float32(3)
    assert detector.score(new).images.max() > 0.5
    grown = detector.updated([new], at_most=0.5)
    assert grown.score(new).patches.max() <= 0.5 + 1e-6
    np.testing.assert_array_equal(grown.scales_, detector.scales_)


class Sloppy:
    """Looks at every third row; what it finds is never too near."""

    def __init__(self, rows: np.ndarray) -> None:
        self.exact = ExactNeighbors(rows)
        self.asked = 0

    def found(self, queries: np.ndarray) -> Found:
        distances, _ = ExactNeighbors(np.ascontiguousarray(self.exact.rows[::3])).search(queries, 1)
        return Found(queries, distances[:, 0], [self.search])

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked += len(queries)
        return self.exact.search(queries, k)


@pytest.mark.parametrize("seed", range(5))
def test_the_highest_score_is_exact_though_search_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    searches = [Sloppy(rng.standard_normal((300, width), dtype=np.float32)) for width in (3, 6)]
    queries = [rng.standard_normal((500, width), dtype=np.float32) for width in (3, 6)]
    scales = np.array([0.5, 2.0])
    scores = joined([one.found(part) for one, part in zip(searches, queries, strict=True)], scales)
    near = [plain(one.exact.rows, part) for one, part in zip(searches, queries, strict=True)]
    exact = np.sqrt(((near[0] / 0.5) ** 2 + (near[1] / 2.0) ** 2) / 2)
    assert scores.max() == pytest.approx(exact.max(), rel=1e-5)
    assert scores.argmax() == exact.argmax()
    assert (scores > exact * (1 - 1e-5)).all()
    assert 0 < searches[0].asked < 250


def test_spread() -> None:
    rows = np.random.default_rng(0).normal(5, [1, 3], (200_000, 2)).astype(np.float32)
    assert spread(rows) == pytest.approx(np.sqrt(1 + 9), rel=0.02)
    assert spread(np.full((7, 2), 3, np.float32)) == pytest.approx(1e-6 * np.sqrt(18))  # as much as float32 tells
    assert spread(np.zeros((7, 2), np.float32)) == 1


def test_spread_takes_little_beside_many_rows() -> None:
    rows = np.random.default_rng(0).standard_normal((100_000, 16), dtype=np.float32)
    rows[1::2] *= 3
    tracemalloc.start()
    try:
        found = spread(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == pytest.approx(np.sqrt(rows.astype(np.float64).var(axis=0).sum()), rel=1e-9)
    assert peak < rows.nbytes / 2


@pytest.mark.parametrize(
    "parts", ["ab", [], [[0]], [[0, 1, 2]], [[1, 1]], [[2, 1]], [[-1, 2]], [[0.0, 2]], [[True, 2]], [3], {"a": 1}]
)
def test_impossible_parts(parts: Any) -> None:
    with pytest.raises(ParameterError, match="`parts` must be a list of one or more parts"):
        Ensemble(parts=parts).check()


def test_parts_beyond_the_channels() -> None:
    with pytest.raises(ParameterError, match="`parts` must be within the 9 channels there are"):
        Ensemble(parts=[[0, 4], [8, 10]]).fit([embeddings(3)])


@pytest.mark.parametrize("scales", [[1.0, 2.0], [1.0, -1.0, 2.0], [1.0, np.nan, 2.0], [[1.0, 2.0, 3.0]]], ids=str)
def test_damaged_scales(scales: Any) -> None:
    detector = fitted(embeddings(3))
    state = {**detector.state(), "scales": np.array(scales)}
    with pytest.raises(ModelFileError, match="scales of the parts"):
        Ensemble.from_state(detector.parameters(), state)


def test_banks_of_other_parts() -> None:
    detector = fitted(embeddings(3))
    state = detector.state()
    state["part0_bank"], state["part1_bank"] = state["part1_bank"], state["part0_bank"]
    with pytest.raises(ModelFileError, match="do not have their parts' channels"):
        Ensemble.from_state(detector.parameters(), state)


def test_parts_may_be_searched_differently() -> None:
    """One in two steps, one in one, one exactly at once: no score is too low, and the highest is exact."""
    rng = np.random.default_rng(0)
    truth = rng.gamma(2, 1, (3, 50)).astype(np.float32)
    found = truth * (1 + np.array([[0.5], [0.2], [0]]) * rng.random((3, 50))).astype(np.float32)
    queries, scales = np.arange(50, dtype=np.float32)[:, None], np.array([0.5, 2.0, 1.0])

    def search(distances: np.ndarray) -> Lookup:
        return lambda some, _: (distances[some[:, 0].astype(int), None], np.zeros((len(some), 1), np.int64))

    closer = [search((truth[0] + found[0]) / 2), search(truth[0])], [search(truth[1])], []
    parts = [Found(queries, distances, looks) for distances, looks in zip(found, closer, strict=True)]
    exact = np.sqrt(np.square(truth / scales[:, None]).mean(axis=0))
    scores = joined(parts, scales)
    assert scores.max() == pytest.approx(exact.max(), rel=1e-6)
    assert (scores >= exact * (1 - 1e-6)).all()


def test_each_part_is_fitted_as_the_whole_was_asked_to() -> None:
    asked: dict[str, Any] = {"coreset_ratio": 0.2, "coreset_start": "first", "search": "exact", "search_error": 0.02}
    image = np.random.default_rng(0).standard_normal((2, 4, 5, 6), dtype=np.float32)
    detector = Ensemble(parts=[[0, 4], [2, 6]], **asked).fit([image])
    for member, first in zip(detector.members_, (0, 2), strict=True):
        assert asked.items() <= member.parameters().items()
        np.testing.assert_array_equal(member.bank_[0], image[0, 0, 0, first : first + 4])
