"""The highest of many scores is made exact by the fewest looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kizu.detectors import _highest
from kizu.detectors._highest import highest_exact
from kizu.detectors.ensemble import Ensemble
from kizu.detectors.patchcore import PatchCore


class Looks:
    """What looking more closely would say, and how often it was asked."""

    def __init__(self, scores: Any) -> None:
        self.scores, self.asked = np.asarray(scores, np.float32), [0]

    def __call__(self, places: Any) -> Any:
        assert len(places) == len(set(places))
        self.asked.extend(places)
        return self.scores[places]

    @property
    def count(self) -> int:
        return len(self.asked) - 1


@pytest.mark.parametrize("at_a_time", [1, 2, 8, 1000])
@pytest.mark.parametrize("seed", range(20))
def test_the_highest_is_the_true_one(seed: int, at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_highest, "AT_A_TIME", at_a_time)
    rng = np.random.default_rng(seed)
    true = rng.random(300).astype(np.float32)
    closer = true * rng.choice([1, 1, 1.1], 300).astype(np.float32)
    found = closer * rng.choice([1, 1.2, 2], 300).astype(np.float32)
    given, again, exact = found.copy(), Looks(closer), Looks(true)
    scores = highest_exact(found, [again, exact])
    assert scores.max() == true.max()
    assert scores.argmax() == true.argmax()
    assert (scores >= true).all()
    assert (scores <= found).all()
    np.testing.assert_array_equal(found, given)
    assert len(set(again.asked)) <= again.count + 1  # none twice


def test_what_cannot_be_the_highest_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_highest, "AT_A_TIME", 1)
    again, exact = Looks([5, 6, 4, 3]), Looks([5, 6, 4, 3])
    scores = highest_exact(np.array([9, 8, 5.5, 3], np.float32), [again, exact])
    np.testing.assert_array_equal(scores, [5, 6, 5.5, 3])
    assert again.asked[1:] == [0, 1]  # 5.5 stays below 6, which is exact then
    assert exact.asked[1:] == [1]


@pytest.mark.parametrize("count", [1, 2, 5, 30, 31, 40])
@pytest.mark.parametrize("seed", range(5))
def test_the_highest_of_some_as_sorting_all_would_find_them(seed: int, count: int) -> None:
    """Many are equal: the first of them count."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, 40).astype(np.float32)
    wanted, above = rng.random(40) < 0.8, np.float32(rng.integers(-1, 3))
    allowed = [place for place in range(40) if wanted[place] and scores[place] > above]
    expected = sorted(allowed, key=lambda place: -scores[place])[:count]
    assert _highest._highest(scores, wanted, above, count).tolist() == expected


def test_more_are_looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_highest, "AT_A_TIME", 4)
    sizes: list[int] = []

    def exact(places: Any) -> Any:
        sizes.append(len(places))
        return np.zeros(len(places), np.float32)

    highest_exact(np.linspace(1, 2, 20, dtype=np.float32), [exact])
    assert sizes == [1, 2, 4, 4, 4, 4, 1]


def test_exact_scores_stay() -> None:
    scores = np.array([1, 3, 2], np.float32)
    np.testing.assert_array_equal(highest_exact(scores, []), scores)


def test_unknown_scores_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_highest, "AT_A_TIME", 1)
    exact = Looks([1, 3, 2])
    scores = highest_exact(np.array([np.inf, 3.5, 2], np.float32), [exact])
    np.testing.assert_array_equal(scores, [1, 3, 2])
    assert exact.asked[1:] == [0, 1]


def test_equal_scores_end_it() -> None:
    """A patch beside an exact one may be as high, and come before it: a blank image is full of them."""
    again, exact = Looks([3, 3, 3, 1]), Looks([3, 3, 3, 1])
    scores = highest_exact(np.array([3, 4, 3, 2], np.float32), [again, exact])
    np.testing.assert_array_equal(scores, [3, 3, 3, 2])
    assert 1 in exact.asked[1:] or 0 in exact.asked[1:]


def test_what_is_no_number_ends_it() -> None:
    exact = Looks([1, 3, 2])
    scores = highest_exact(np.array([1, np.nan, 2], np.float32), [exact])
    assert np.isnan(scores.max())


def test_a_blank_image_is_scored() -> None:
    rng = np.random.default_rng(0)
    good = rng.standard_normal((30, 8, 8, 6), dtype=np.float32)
    blank = np.broadcast_to(np.float32([4, -4, 4, -4, 4, -4]), (1, 8, 8, 6))
    for detector in (PatchCore(coreset_count=600, search="approximate"), Ensemble(search="approximate")):
        fitted = detector.fit([good])
        found = fitted.score(np.ascontiguousarray(blank))
        fitted.search_exactly()
        np.testing.assert_allclose(found.images, fitted.score(np.ascontiguousarray(blank)).images, rtol=1e-6)
