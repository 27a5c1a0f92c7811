"""What is made of many images: of several at a time, where that can be.

An image cut into tiles keeps all cores busy on its own, and takes memory in proportion to its size: one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TypeVar

from kizu.datasets import Sample
from kizu.inspector import Inspector
from kizu.progress import Advance
from kizu.workflows._reading import Image, Reader

Result = TypeVar("Result")


def worked(
    reader: Reader,
    samples: Sequence[Sample],
    inspector: Inspector,
    work: Callable[[Inspector, Sample, Image], Result],
    advance: Advance,
) -> Generator[tuple[Sample, Image, Result], None, None]:
    """Each sample in order with its image and what ``work`` makes of it: the same as one after the other."""
    if inspector.detector.side_by_side and inspector.tiling is None:
        return reader.worked(samples, lambda *one: work(inspector, *one), advance)
    return _one_by_one(reader, samples, lambda *one: work(inspector, *one), advance)


def embedded(
    reader: Reader,
    samples: Sequence[Sample],
    inspector: Inspector,
    embed: Callable[[Sample, Image], Result],
    advance: Advance,
) -> Generator[tuple[Sample, Image, Result], None, None]:
    """As `worked`, for work that the detector has no part in, and that leaves cores to it."""
    if inspector.tiling is None:
        return reader.read_and(samples, embed, advance)
    return _one_by_one(reader, samples, embed, advance)


def _one_by_one(
    reader: Reader, samples: Sequence[Sample], work: Callable[[Sample, Image], Result], advance: Advance
) -> Generator[tuple[Sample, Image, Result], None, None]:
    with closing(reader.images(samples, advance)) as read:
        for sample, image in read:
            yield sample, image, work(sample, image)
