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
    several = inspector.detector.side_by_side and inspector.tiling is None
    yield from _worked(reader, samples, lambda *one: work(inspector, *one), advance, several=several)


def embedded(
    reader: Reader,
    samples: Sequence[Sample],
    inspector: Inspector,
    embed: Callable[[Sample, Image], Result],
    advance: Advance,
) -> Generator[tuple[Sample, Image, Result], None, None]:
    """As `worked`, for work that the detector has no part in."""
    yield from _worked(reader, samples, embed, advance, several=inspector.tiling is None)


def _worked(
    reader: Reader,
    samples: Sequence[Sample],
    work: Callable[[Sample, Image], Result],
    advance: Advance,
    *,
    several: bool,
) -> Generator[tuple[Sample, Image, Result], None, None]:
    if several:
        yield from reader.worked(samples, work, advance)
        return
    with closing(reader.images(samples, advance)) as read:
        for sample, image in read:
            yield sample, image, work(sample, image)
