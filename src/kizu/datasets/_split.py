"""Seeded division of good samples: some to fit on, some held out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from kizu.datasets._sample import Sample
from kizu.errors import DataError, bad_parameter
from kizu.images import sort_key

TEST_SHARE = 0.2
"""Share of the good samples that are for testing where nothing says which."""


def for_testing(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The same samples in the test split."""
    return tuple(dataclasses.replace(sample, split="test") for sample in samples)


def divided(samples: Sequence[Sample], *, seed: int) -> tuple[Sample, ...]:
    """Good samples to fit on, then `TEST_SHARE` of them for testing, drawn by seed; raises as `split_good`."""
    fit, held_out = split_good(samples, seed=seed, share=TEST_SHARE)
    return (*fit, *for_testing(held_out))


def split_good(
    samples: Sequence[Sample], *, seed: int, share: float, at_least: int = 0
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Divide samples at random into ``(fit, held_out)``; both keep the order given.

    Held out are ``share`` of them, rounded half up, and ``at_least`` so many. The choice depends on the seed
    and the samples' names alone, not on their order.

    Raises:
        ParameterError: ``share`` is not in [0, 1), or ``at_least`` is negative.
        DataError: nothing would be left to fit on.
    """
    if not 0 <= share < 1:
        raise bad_parameter("share", "in [0, 1)", share)
    if at_least < 0:
        raise bad_parameter("at_least", "0 or more", at_least)
    count = max(at_least, math.floor(share * len(samples) + 0.5))
    if samples and count >= len(samples):
        raise DataError(
            f"{len(samples)} good images are too few to hold {count} of them out; "
            f"give at least {count + 1}, or hold out fewer"
        )
    by_name = sorted(range(len(samples)), key=lambda index: sort_key(samples[index].path))
    drawn = np.random.default_rng(seed).permutation(len(samples))[:count]
    chosen = {by_name[int(index)] for index in drawn}
    fit = tuple(sample for index, sample in enumerate(samples) if index not in chosen)
    return fit, tuple(sample for index, sample in enumerate(samples) if index in chosen)
