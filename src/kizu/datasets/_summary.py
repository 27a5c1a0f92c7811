"""What was found, counted: for people before work starts, for programs as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kizu.datasets._sample import Dataset
from kizu.errors import ImageError
from kizu.images import Header, read_ahead, read_header
from kizu.wording import plural

_DEEP = (
    "16 bits a sample in {}: 65535 becomes 255 without --window. "
    "If the camera fills only part of that, fit with --window auto"
)

_PAGES = (
    "{} of several pages: the first is the image. "
    "Where pages are channels, fit with --channels; else save each as a file"
)


@dataclass(frozen=True)
class DatasetSummary:
    """Counts of a data set. Sizes are ``(width, height)`` in pixels as shown; None if none is readable."""

    root: str
    product: str
    layout: str
    counts: dict[str, dict[str, int]]
    """Images by split and defect type; without label: ``"unlabelled"``."""
    masks: int
    """Mask files that belong to an image."""
    defects: int
    """Bad images in the test split."""
    defects_without_mask: int
    formats: dict[str, int]
    """Readable images by format, most frequent first."""
    bits: dict[int, int]
    """Readable images by bits a sample."""
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    most_common: tuple[int, int] | None
    most_common_count: int
    unreadable: tuple[str, ...]
    """Messages about images whose header cannot be read."""
    notes: tuple[str, ...]

    @property
    def images(self) -> int:
        """All images, unreadable ones included."""
        return sum(sum(kinds.values()) for kinds in self.counts.values())

    def lines(self) -> list[str]:
        """The summary for people, a few lines."""
        head = [f"{self.product}: {plural(self.images, 'image')} ({self.layout}) in {self.root}"]
        splits = [f"{split}: {_list(kinds)}" for split, kinds in self.counts.items()]
        body = [*splits, *self._mask_lines(), *self._file_lines()]
        return head + [f"  {line}" for line in [*body, *(f"note: {note}" for note in self.notes)]]

    def _mask_lines(self) -> list[str]:
        if not self.defects and not self.masks:
            return []
        marked = self.defects - self.defects_without_mask
        return [f"masks: {self.masks}; {marked} of {plural(self.defects, 'bad test image')} marked"]

    def _file_lines(self) -> list[str]:
        lines = []
        if self.most_common and self.smallest and self.largest:
            kinds = f"{_list(self.formats)}; {' and '.join(str(bits) for bits in self.bits)} bits a sample"
            lines += [
                f"files: {kinds}",
                f"sizes in pixels: {self._sizes(self.smallest, self.largest, self.most_common)}",
            ]
        if self.unreadable:
            lines.append(f"unreadable: {len(self.unreadable)}, the first: {self.unreadable[0]}")
        return lines

    def _sizes(self, smallest: tuple[int, int], largest: tuple[int, int], common: tuple[int, int]) -> str:
        if smallest == largest:
            return f"all {_size(common)}"
        most = f", most often {_size(common)} ({self.most_common_count})" if self.most_common_count > 1 else ""
        return f"{_size(smallest)} to {_size(largest)}{most}"

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values for JSON."""
        return {
            "root": self.root,
            "product": self.product,
            "layout": self.layout,
            "images": self.images,
            "counts": self.counts,
            "masks": {
                "found": self.masks,
                "defects": self.defects,
                "defects_without_mask": self.defects_without_mask,
            },
            "formats": self.formats,
            "bits": {str(bits): count for bits, count in self.bits.items()},
            "sizes": {
                "smallest": _pair(self.smallest),
                "largest": _pair(self.largest),
                "most_common": _pair(self.most_common),
                "most_common_count": self.most_common_count,
            },
            "unreadable": list(self.unreadable),
            "notes": list(self.notes),
        }


def summarise(dataset: Dataset, *, windowed: bool = False, channelled: bool = False) -> DatasetSummary:
    """Count a data set; reads the header of every image, several at a time. ``windowed`` and ``channelled``: as
    `kizu.datasets.Dataset.summary` has them.
    """
    headers, unreadable = _headers(sample.path for sample in dataset.samples)
    sizes = Counter((header.size[1], header.size[0]) for header in headers)
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    common = sizes.most_common(1)
    defects = [sample for sample in dataset.test() if sample.label == "bad"]
    bits = Counter(header.bits for header in headers)
    return DatasetSummary(
        root=str(dataset.root),
        product=dataset.product,
        layout=dataset.layout,
        counts=dataset.counts(),
        masks=sum(sample.mask is not None for sample in dataset.samples),
        defects=len(defects),
        defects_without_mask=sum(sample.mask is None for sample in defects),
        formats=dict(Counter(header.format for header in headers).most_common()),
        bits=dict(sorted(bits.items())),
        smallest=by_area[0] if by_area else None,
        largest=by_area[-1] if by_area else None,
        most_common=common[0][0] if common else None,
        most_common_count=common[0][1] if common else 0,
        unreadable=unreadable,
        notes=(*dataset.notes, *_of_files(headers, windowed=windowed, channelled=channelled)),
    )


def _of_files(headers: Sequence[Header], *, windowed: bool, channelled: bool) -> Iterator[str]:
    """What a fit would make of the files without a word, and how to have it otherwise."""
    deep = sum(header.bits == 16 for header in headers)
    if deep and not windowed:
        yield _DEEP.format(plural(deep, "image"))
    paged = sum(header.more_pages for header in headers)
    if paged and not channelled:
        yield _PAGES.format(plural(paged, "file"))


def _headers(paths: Iterable[Path]) -> tuple[list[Header], tuple[str, ...]]:
    headers, unreadable = [], []
    for fetched in read_ahead(paths, read_header, workers=8, ahead=64):
        try:
            headers.append(fetched.get())
        except ImageError as error:
            unreadable.append(str(error))
    return headers, tuple(unreadable)


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _pair(size: tuple[int, int] | None) -> list[int] | None:
    return list(size) if size else None
