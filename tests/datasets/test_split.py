from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kizu.datasets import Sample, split_good
from kizu.errors import DataError, ParameterError


def samples(count: int) -> list[Sample]:
    return [Sample(Path(f"{number:03}.png"), "train", "good", "good") for number in range(count)]


@given(st.integers(2, 60), st.floats(0, 0.9), st.integers(0, 2**32 - 1), st.randoms())
def test_division(count: int, share: float, seed: int, random) -> None:
    ordered = samples(count)
    if share * count + 0.5 >= count:
        return
    fit, held_out = split_good(ordered, seed=seed, share=share)
    assert sorted([*fit, *held_out], key=lambda sample: sample.path) == ordered
    assert abs(len(held_out) - share * count) <= 0.5
    assert list(fit) == sorted(fit, key=lambda sample: sample.path)
    shuffled = list(ordered)
    random.shuffle(shuffled)
    again, again_held_out = split_good(shuffled, seed=seed, share=share)
    assert set(again_held_out) == set(held_out)
    assert again == tuple(sample for sample in shuffled if sample in set(fit))


def test_at_least_so_many() -> None:
    assert len(split_good(samples(20), seed=0, share=0.1, at_least=5)[1]) == 5
    assert len(split_good(samples(100), seed=0, share=0.1, at_least=5)[1]) == 10
    assert len(split_good(samples(25), seed=0, share=0.1)[1]) == 3


def test_the_seed_matters_and_is_kept() -> None:
    held_out = [split_good(samples(30), seed=seed, share=0.2)[1] for seed in (0, 1, 0)]
    assert held_out[0] == held_out[2] != held_out[1]


def test_nothing_to_divide() -> None:
    assert split_good([], seed=0, share=0.1, at_least=5) == ((), ())


def test_too_few() -> None:
    problem = r"5 good images are too few to hold 5 of them out; give at least 6, or hold out fewer"
    with pytest.raises(DataError, match=problem):
        split_good(samples(5), seed=0, share=0.1, at_least=5)


@pytest.mark.parametrize(("share", "at_least"), [(1.0, 0), (-0.1, 0), (float("nan"), 0), (0.1, -1)])
def test_parameters(share: float, at_least: int) -> None:
    with pytest.raises(ParameterError, match=r"`share` must be in|`at_least` must be 0 or more"):
        split_good(samples(5), seed=0, share=share, at_least=at_least)
