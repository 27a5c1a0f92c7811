"""Reading the images of samples: ahead of the work, stopping at or skipping those that cannot be read."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from kizu.datasets import Sample, load_mask
from kizu.errors import DataError, ImageError, KizuWarning
from kizu.images import DEFAULT_MAX_PIXELS, Reading, read_ahead
from kizu.progress import Advance, ignore
from kizu.threads import side_by_side

if TYPE_CHECKING:
    from typing import TypeAlias

Image = npt.NDArray[Any]
"""Samples ``(H, W, 3)``, as `kizu.images.Reading` reads them."""

Result = TypeVar("Result")

DIGITS = 16
"""Of a checksum, enough to tell images apart: of a million, two agree by chance with a probability of 3e-8."""


WORKERS = max(2, min(8, os.cpu_count() or 1))
"""Files read and worked on side by side."""

AHEAD = 8
"""Images held that are not asked for yet: they may be large."""


@dataclass(frozen=True)
class _Read(Generic[Result]):
    """An image, the SHA-256 of its shape and pixels, and what was made of it."""

    image: Image
    digest: bytes
    result: Result


_Attempt: TypeAlias = tuple[Sample, _Read[Result]] | tuple[Sample, ImageError]


@contextmanager
def naming(sample: Sample) -> Generator[None, None, None]:
    """A `DataError` of one image is told with its path."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{sample.path}: {error}") from None


def _fetched(
    samples: Sequence[Sample], attempt: Callable[[Sample], _Attempt[Result]], ahead: int
) -> Generator[_Attempt[Result], None, None]:
    with closing(read_ahead(samples, attempt, workers=min(WORKERS, ahead), ahead=ahead)) as read:
        for fetched in read:
            yield fetched.get()


def _nothing(sample: Sample, image: Image) -> None:
    pass


def _check_there(folder: Path) -> None:
    """Raise `DataError` when a folder that images were read from is gone or empty: no file in it is to be blamed,
    nor skipped.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        if any(entries):
            return
    raise DataError(
        f"{folder}: the folder has gone since the first images were read. Connect its drive and run again."
    )


class Reader:
    """Reads samples as a product's ``reading`` says, in order, so many ``ahead``. ``count`` of them so far,
    ``skipped`` those left out.

    ``digests``: of each image read, 16 hexadecimal digits of the SHA-256 of its pixels, whatever its file is called.
    """

    def __init__(
        self,
        reading: Reading,
        *,
        skip_unreadable: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        ahead: int = AHEAD,
    ) -> None:
        self.reading = reading
        self.skip_unreadable = skip_unreadable
        self.max_pixels = max_pixels
        self.ahead = ahead
        self.skipped: list[ImageError] = []
        self.count = 0
        self.digests: list[str] = []
        self._digest = hashlib.sha256()

    def images(
        self, samples: Sequence[Sample], advance: Advance = ignore
    ) -> Generator[tuple[Sample, Image], None, None]:
        """Each sample with its image, ``advance`` called once a sample is done with.

        Close it when leaving it early. Raises `ImageError` at the first file that cannot be read, unless those are
        skipped, each with a warning; `DataError` when none is left then.
        """
        with closing(self.read_and(samples, _nothing, advance)) as read:
            for sample, image, _ in read:
                yield sample, image

    def read_and(
        self, samples: Sequence[Sample], work: Callable[[Sample, Image], Result], advance: Advance = ignore
    ) -> Generator[tuple[Sample, Image, Result], None, None]:
        """As `images`, and with each what ``work`` made of it: several at a time, by the threads that read them.
        ``work`` must bear that. The libraries keep their own threads, for who asks for the images.
        """
        return self._in_order(samples, _fetched(samples, partial(self._attempt, work), self.ahead), advance)

    def worked(
        self, samples: Sequence[Sample], work: Callable[[Sample, Image], Result], advance: Advance = ignore
    ) -> Generator[tuple[Sample, Image, Result], None, None]:
        """As `read_and`, for work that fills the cores: each image by one thread from its file to the result, and
        the libraries held to one thread each. Threads that share one image's work wait for each other, these do not.
        """
        if len(samples) < 2:  # it may have all the cores
            return self.read_and(samples, work, advance)
        threads = min(WORKERS, self.ahead)
        attempts = side_by_side(partial(self._attempt, work), samples, threads=threads, ahead=self.ahead)
        return self._in_order(samples, attempts, advance)

    def _in_order(
        self, samples: Sequence[Sample], attempts: Generator[_Attempt[Result], None, None], advance: Advance
    ) -> Generator[tuple[Sample, Image, Result], None, None]:
        already = len(self.skipped)
        folders: set[Path] = set()
        with closing(attempts):  # an error must not leave that to the garbage collector, in whatever thread
            for sample, read in attempts:
                if isinstance(read, ImageError):
                    if sample.path.parent in folders:
                        _check_there(sample.path.parent)
                    self.skip(read)
                else:
                    folders.add(sample.path.parent)
                    self._add(sample.path.name, read.digest)
                    yield sample, read.image, read.result
                advance(1)
        if samples and not self.readable(samples):
            raise DataError(f"none of {len(samples)} images can be read; the first: {self.skipped[already]}")

    def _attempt(self, work: Callable[[Sample, Image], Result], sample: Sample) -> _Attempt[Result]:
        try:
            return sample, self._read(sample, work)
        except ImageError as error:
            return sample, error

    def _read(self, sample: Sample, work: Callable[[Sample, Image], Result]) -> _Read[Result]:
        image = self.reading.read(sample.path, max_pixels=self.max_pixels)
        digest = hashlib.sha256(str(image.shape).encode())
        digest.update(np.ascontiguousarray(image).data)
        return _Read(image, digest.digest(), work(sample, image))

    def _add(self, name: str, pixels: bytes) -> None:
        encoded = name.encode(errors="surrogatepass")  # not every name a file system has is valid Unicode
        self.count += 1
        self.digests.append(pixels.hex()[:DIGITS])
        self._digest.update(encoded + pixels)

    def skip(self, error: ImageError) -> None:
        """Leave a file out, with a warning. Raises the error where unreadable files are not to be skipped."""
        if not self.skip_unreadable:
            advice = ". Mend or remove the file" if error.remedy is None else ""  # a remedy says what to do
            raise ImageError(error.path, f"{error.problem.rstrip('.')}{advice}, or use --skip-unreadable.") from None
        self.skipped.append(error)
        warnings.warn(f"skipped {error}", KizuWarning, stacklevel=3)

    def truth_of(self, sample: Sample, size: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
        """The mask ``(H, W)`` of a sample whose image has that size, as `load_mask`; also None where its file cannot
        be read and is skipped: the image then counts as one that nobody has marked.

        Raises `ImageError` for a file that cannot be read, `DataError` for a mask of another size.
        """
        try:
            return load_mask(sample, size, max_pixels=self.max_pixels)
        except ImageError as error:
            self.skip(error)
            return None

    def again(self) -> Reader:
        """Another reader that reads as this one does, for files read a second time: what is told counts each once."""
        skip, most = self.skip_unreadable, self.max_pixels
        return Reader(self.reading, skip_unreadable=skip, max_pixels=most, ahead=self.ahead)

    def readable(self, samples: Sequence[Sample]) -> list[Sample]:
        """Those of ``samples`` that were not skipped so far."""
        unreadable = {error.path for error in self.skipped}
        return [sample for sample in samples if sample.path not in unreadable]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names and pixels of everything read so far, in order."""
        return self._digest.hexdigest()
