"""Good images → a data set with synthetic defects and their masks, in the layout of MVTec AD."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kizu import synthetic
from kizu.datasets import Dataset, Sample, load_dataset, split_good
from kizu.errors import DataError, KizuWarning, bad_parameter
from kizu.files import new_folder
from kizu.images import DEFAULT_MAX_PIXELS, read_bytes, read_header, read_image
from kizu.progress import Advance, Progress, Silent
from kizu.report import csv_table, encode_image
from kizu.synthetic import DEFAULT_SIZE, DEFAULT_STRENGTH, KINDS, SyntheticDefect

HELD_OUT = 0.2
"""Share of the good images that is not for fitting: the test's good ones, and what is drawn on."""

FEWEST = 5
"""Good images that it takes."""

_COLUMNS = ("image", "mask", "kind", "drawn_on", "share")


@dataclass(frozen=True)
class Synthesised:
    """What was written: images to fit on, held-out good ones, defects by kind; the rest as it was asked for."""

    out: Path
    fit: int
    good: int
    defects: dict[str, int]
    strength: float
    size: float
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        images = {"fit": self.fit, "good": self.good, "defects": self.defects}
        return {
            "out": str(self.out),
            "images": images,
            "strength": self.strength,
            "size": self.size,
            "seed": self.seed,
        }


def synthesise(
    data: str | Path | Dataset,
    out: str | Path,
    *,
    kinds: str | Iterable[str] = tuple(KINDS),
    count: int | None = None,
    strength: float = DEFAULT_STRENGTH,
    size: float = DEFAULT_SIZE,
    seed: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress | None = None,
) -> Synthesised:
    """Write a data set that models can be compared on where no real defect is known.

    `HELD_OUT` of the good training images of ``data``, drawn by ``seed``, become the good ones of the test; on these
    defects are drawn, ``count`` of each of the ``kinds`` (None: one on each, the kinds in turn). The others are for
    fitting. These are copied byte for byte; the test's are PNG files. ``defects.csv``
    says what was drawn on which. ``strength`` and ``size``: see `kizu.synthetic.draw_defect`.

    Raises:
        DataError: there are too few good images; `ImageError` names one that cannot be read.
        ParameterError: an unknown kind, or a number out of range.
        OutputError: ``out`` holds files already, or cannot be written.
    """
    names, target = synthetic.check_kinds(kinds), Path(out)
    if count is not None and count < 1:
        raise bad_parameter("count", "1 or more", count)
    synthetic.check_numbers(strength, size, seed)
    dataset = data if isinstance(data, Dataset) else load_dataset(Path(data), seed=seed)
    fit, held_out = _divided(dataset, seed)
    _warn_of_depth(held_out[0])
    total = len(held_out) if count is None else count * len(names)
    shown = progress or Silent()
    with new_folder(target) as folder:
        writing = _Writing(folder, max_pixels)
        with shown.stage("Drawing defects", len(dataset.train_good()) + total) as advance:
            writing.copy(fit, advance)
            writing.good(held_out, advance)
            images = writing.images(held_out, total, len(names))
            drawn = synthetic.draw_defects(images, kinds=names, seed=seed, strength=strength, size=size)
            writing.defects(drawn, advance)
        counts = writing.listed()
    return Synthesised(target, len(fit), len(held_out), counts, strength, size, seed)


def _divided(dataset: Dataset, seed: int) -> tuple[Sequence[Sample], Sequence[Sample]]:
    good = dataset.train_good()
    if len(good) < FEWEST:
        images = "1 good image for training is" if len(good) == 1 else f"{len(good)} good images for training are"
        raise DataError(f"{dataset.root}: {images} too few to hold some out; give {FEWEST} or more.")
    return split_good(good, seed=seed, share=HELD_OUT)


def _warn_of_depth(sample: Sample) -> None:
    if read_header(sample.path).bits > 8:
        warnings.warn(
            "these images are of 16 bits; the test images with defects are written in 8. Fit on the copies without "
            "--window: a model with one refuses images of 8 bits.",
            KizuWarning,
            stacklevel=3,
        )


class _Writing:
    """Files of the data set, and what was drawn on which."""

    def __init__(self, folder: Path, max_pixels: int) -> None:
        self._folder = folder
        self._max_pixels = max_pixels
        self._names: list[str] = []
        self._drawn_on: list[str] = []
        self._rows: list[tuple[str, str, str, Path, str]] = []

    def copy(self, samples: Iterable[Sample], advance: Advance) -> None:
        """Images to fit on, under their own names; of two with one name the second gets a number."""
        folder = self._folder / "train" / "good"
        folder.mkdir(parents=True)
        for sample in samples:
            _free(folder, sample.path.name).write_bytes(read_bytes(sample.path))
            advance()

    def good(self, samples: Sequence[Sample], advance: Advance) -> None:
        """Good images of the test, as PNG files like the defects: no format may tell them apart."""
        folder = self._folder / "test" / "good"
        folder.mkdir(parents=True)
        for sample in samples:
            path = _free(folder, f"{sample.path.stem}.png")
            path.write_bytes(encode_image(read_image(sample.path, max_pixels=self._max_pixels), ".png"))
            self._names.append(path.name)
            advance()

    def images(self, samples: Sequence[Sample], total: int, kinds: int) -> Iterator[np.ndarray]:
        """Images to draw on, ``total`` of them, over and over where there are fewer.

        Before the same image would get the same one of ``kinds`` again, one image is passed over: so every kind comes
        to every image.
        """
        for number in range(total):
            place = (number + number // math.lcm(len(samples), kinds)) % len(samples)
            self._drawn_on.append(self._names[place])
            yield read_image(samples[place].path, max_pixels=self._max_pixels)

    def defects(self, drawn: Iterable[SyntheticDefect], advance: Advance) -> None:
        """Pictures and masks."""
        for number, defect in enumerate(drawn):
            image = self._put(f"test/{defect.kind}/{number:04}.png", defect.image)
            mask = self._put(f"ground_truth/{defect.kind}/{number:04}_mask.png", defect.mask.astype(np.uint8) * 255)
            share = f"{float(defect.mask.mean()):.6f}"
            self._rows.append((image, mask, defect.kind, Path(self._drawn_on[number]), share))
            advance()

    def _put(self, name: str, image: np.ndarray) -> str:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(image, ".png"))
        return name

    def listed(self) -> dict[str, int]:
        """Write ``defects.csv``; how many there are of each kind."""
        (self._folder / "defects.csv").write_bytes(csv_table(_COLUMNS, self._rows))
        return dict(Counter(kind for _, _, kind, _, _ in self._rows))


def _free(folder: Path, name: str) -> Path:
    path, number = folder / name, 2
    while path.exists():
        path = folder / f"{Path(name).stem} ({number}){Path(name).suffix}"
        number += 1
    return path
