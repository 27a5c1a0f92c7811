"""Reading the images of samples: ahead of the work, stopping at or skipping those that cannot be read."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from kizu.datasets import Sample
from kizu.errors import DataError, ImageError, KizuWarning
from kizu.images import DEFAULT_MAX_PIXELS, read_ahead, read_image
from kizu.progress import Advance, ignore

Image = npt.NDArray[np.uint8]

DIGITS = 16
"""Of a checksum, enough to tell images apart: of a million, two agree by chance with a probability of 3e-8."""


class Reader:
    """Reads samples in order, a few ahead. ``count`` of them so far, ``skipped`` those left out.

    ``digests``: of each image read, 16 hexadecimal digits of the SHA-256 of its pixels, whatever its file is called.
    """

    def __init__(self, *, skip_unreadable: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.skip_unreadable = skip_unreadable
        self.max_pixels = max_pixels
        self.skipped: list[ImageError] = []
        self.count = 0
        self.digests: list[str] = []
        self._digest = hashlib.sha256()

    def images(
        self, samples: Sequence[Sample], advance: Advance = ignore
    ) -> Generator[tuple[Sample, Image], None, None]:
        """Each sample with its image, ``advance`` called once a sample is done with.

        Close it when leaving it early. Raises `ImageError` at the first file that cannot be read, unless those are
        to be skipped.
        """
        already = len(self.skipped)
        fetch = read_ahead(samples, lambda sample: read_image(sample.path, max_pixels=self.max_pixels))
        with closing(fetch) as ahead:  # an error must not leave that to the garbage collector, in whatever thread
            for fetched in ahead:
                try:
                    image = fetched.get()
                except ImageError as error:
                    self._skip(error)
                else:
                    self._add(fetched.item.path.name, image)
                    yield fetched.item, image
                advance(1)
        if samples and len(self.skipped) - already == len(samples):
            raise DataError(f"none of {len(samples)} images can be read; the first: {self.skipped[already]}")

    def _add(self, name: str, image: Image) -> None:
        encoded = name.encode(errors="surrogatepass")  # not every name a file system has is valid Unicode
        pixels = hashlib.sha256(str(image.shape).encode() + image.tobytes())
        self.count += 1
        self.digests.append(pixels.hexdigest()[:DIGITS])
        self._digest.update(encoded + pixels.digest())

    def _skip(self, error: ImageError) -> None:
        if not self.skip_unreadable:
            raise ImageError(
                error.path, f"{error.problem.rstrip('.')}. Mend or remove the file, or use --skip-unreadable."
            ) from None
        self.skipped.append(error)
        warnings.warn(f"skipped {error}", KizuWarning, stacklevel=3)

    def again(self) -> Reader:
        """Another reader that reads as this one does, for files read a second time: what is told counts each once."""
        return Reader(skip_unreadable=self.skip_unreadable, max_pixels=self.max_pixels)

    def readable(self, samples: Sequence[Sample]) -> list[Sample]:
        """Those of ``samples`` that were not skipped so far."""
        unreadable = {error.path for error in self.skipped}
        return [sample for sample in samples if sample.path not in unreadable]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names and pixels of everything read so far, in order."""
        return self._digest.hexdigest()
