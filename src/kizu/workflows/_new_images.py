"""Images that a model is to learn: those it has already are left out, and all are scored before they are learnt."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu.datasets import Sample
from kizu.errors import DataError, KizuWarning
from kizu.inspector import Inspector
from kizu.progress import Progress
from kizu.workflows._embeddings import Embeddings
from kizu.workflows._reading import Image, Reader, naming

Float32 = npt.NDArray[np.float32]


def count_new(reader: Reader, samples: Sequence[Sample], known: Iterable[str]) -> int:
    """How many of ``samples`` `NewImages` takes for new; those that cannot be read are for it to name."""
    with warnings.catch_warnings(), closing(reader.images(samples)) as read:
        warnings.filterwarnings("ignore", "skipped ", KizuWarning)
        for _ in read:
            pass
    return len(set(reader.digests) - set(known))


class NewImages:
    """``(1, h, w, D)`` float32 an image, in order; each iteration reads the files again.

    The first finds out which are new: ``added`` and their ``digests``, ``scores`` of the model as it is, ``size``
    (H, W) of the last, and ``repeated``, whose pixels are among ``known`` digests or came before. Raises `DataError`
    when none is new.
    """

    def __init__(
        self,
        inspector: Inspector,
        reader: Reader,
        samples: Sequence[Sample],
        known: Iterable[str],
        progress: Progress,
    ) -> None:
        self.added: list[Sample] = []
        self.digests: list[str] = []
        self.scores: list[float] = []
        self.repeated: list[Path] = []
        self.size = (0, 0)
        self._inspector = inspector
        self._reader = reader
        self._samples = samples
        self._known = set(known)
        self._progress = progress
        self._current: Generator[Float32, None, None] | None = None

    def __iter__(self) -> Iterator[Float32]:
        self.close()
        self._current = self._again() if self.added else self._first()
        return self._current

    def close(self) -> None:
        """Stop reading."""
        if self._current is not None:
            self._current.close()

    def _first(self) -> Generator[Float32, None, None]:
        with (
            self._progress.stage("Reading new images", len(self._samples)) as advance,
            closing(self._reader.images(self._samples, advance)) as read,
        ):
            for sample, image in read:
                if self._is_new(sample, self._reader.digests[-1]):
                    self.size = (image.shape[0], image.shape[1])
                    with naming(sample):
                        embedding = self._scored(image)
                    yield embedding
        if not self.added:
            count = len(self.repeated)
            those = f"all {count} images are" if count > 1 else "the image is"
            raise DataError(f"{self.repeated[0].parent}: {those} in the model already; there is nothing to add.")

    def _scored(self, image: Image) -> Float32:
        """The embedding to learn from, once the image has been scored."""
        if self._inspector.tiling is None:
            embedding = self._inspector.embed(image)
            self.scores.append(float(self._inspector.detector.score(embedding).images[0]))
            return embedding
        self.scores.append(self._inspector.measure(image)[0])
        step = len(self._inspector.provenance.get("history", ())) + 1
        rng = np.random.default_rng([self._inspector.config.seed, step, len(self.scores)])
        return self._inspector.embed_some(image, rng)

    def _is_new(self, sample: Sample, digest: str) -> bool:
        if digest in self._known:
            self.repeated.append(sample.path)
            return False
        self._known.add(digest)
        self.added.append(sample)
        self.digests.append(digest)
        return True

    def _again(self) -> Generator[Float32, None, None]:
        stages = ("Leaving each image out",)
        with closing(
            Embeddings(self._inspector, self._reader.again(), self.added, self._progress, stages)
        ) as embeddings:
            yield from embeddings
