"""Embeddings of images as a detector's fit takes them: read as they are asked for, anew each time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from kizu.datasets import Sample
from kizu.errors import DataError
from kizu.inspector import Frame, Inspector
from kizu.progress import Progress
from kizu.workflows._reading import Image, Reader, naming
from kizu.workflows._side_by_side import embedded

Float32 = npt.NDArray[np.float32]


def _nothing(image: Image) -> None:
    pass


class Embeddings:
    """``(1, h, w, D)`` float32 an image, in order, of its random tiles alone where the configuration says so; each
    iteration reads the files again.

    The first is ``reader``'s own and shows each image to ``seen``; later ones read what that could read. ``stages``
    are the descriptions of one iteration after another, the last for all that follow. ``size``: (H, W) of the image
    read last.
    """

    def __init__(
        self,
        inspector: Inspector,
        reader: Reader,
        samples: Sequence[Sample],
        progress: Progress,
        stages: Sequence[str],
        seen: Callable[[Image], None] = _nothing,
    ) -> None:
        self._inspector = inspector
        self._reader = reader
        self._samples = samples
        self._progress = progress
        self._stages = list(stages)
        self._seen = seen
        self._numbers = {sample.path: number for number, sample in enumerate(samples)}
        self.size = (0, 0)
        detector = inspector.detector
        self._of_one_size = detector.position_bound or getattr(detector, "robust", False)
        self._current: Generator[Float32, None, None] | None = None

    def __iter__(self) -> Iterator[Float32]:
        self.close()
        self._current = self._read()
        return self._current

    def close(self) -> None:
        """Stop reading; an error must not leave that to the garbage collector, in whatever thread."""
        if self._current is not None:
            self._current.close()

    def _read(self) -> Generator[Float32, None, None]:
        samples, reader, seen = self._samples, self._reader, self._seen
        stage = self._stages.pop(0) if len(self._stages) > 1 else self._stages[0]
        with (
            self._progress.stage(stage, len(samples)) as advance,
            closing(embedded(reader, samples, self._inspector, self._embed, advance)) as read,
        ):
            first: Frame | None = None
            for sample, image, embedding in read:
                seen(image)
                self.size = (image.shape[0], image.shape[1])
                frame = self._inspector.frame(self.size)
                first = first or frame
                if self._of_one_size and not frame.alike(first):
                    raise DataError(_of_another_size(sample, self.size, first.size))
                yield embedding
        self._samples = reader.readable(samples)
        self._reader, self._seen = reader.again(), _nothing

    def _embed(self, sample: Sample, image: Image) -> Float32:
        """Tiles are drawn by the seed and the sample's place among all, whatever is skipped."""
        rng = np.random.default_rng([self._inspector.config.seed, self._numbers[sample.path]])
        with naming(sample):
            return self._inspector.embed_some(image, rng)


def _of_another_size(sample: Sample, size: tuple[int, int], others: tuple[int, int]) -> str:
    return (
        f"{sample.path}: is {size[1]} x {size[0]} pixels, those before it {others[1]} x {others[0]}, and images are "
        "compared position by position here. Give images of one size, or use --detector patchcore, without --robust."
    )
