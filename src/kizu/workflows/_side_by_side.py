"""What an inspector makes of many images: several worked on at a time, where its detector bears that."""

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
    if inspector.detector.side_by_side:
        yield from reader.worked(samples, lambda sample, image: work(inspector, sample, image), advance)
        return
    with closing(reader.images(samples, advance)) as read:
        for sample, image in read:
            yield sample, image, work(inspector, sample, image)
