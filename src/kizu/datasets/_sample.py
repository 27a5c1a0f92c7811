"""What every layout yields, and the words that mean good and bad."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kizu.wording import Wording

if TYPE_CHECKING:
    from kizu.datasets._summary import DatasetSummary

Split = Literal["train", "calibration", "test"]
Label = Literal["good", "bad"]

GOOD_WORDS = ("good", "ok", "0", "良品")
BAD_WORDS = ("bad", "ng", "ko", "1", "不良", "不良品")


def what_it_means(word: str) -> tuple[Label, str]:
    """Label and defect type of a folder's name or a list's label; other words are types of defect.

    >>> what_it_means("OK"), what_it_means("ng"), what_it_means("scratch")
    (('good', 'good'), ('bad', 'bad'), ('bad', 'scratch'))
    """
    word = word.strip()
    if word.lower() in GOOD_WORDS:
        return "good", "good"
    return "bad", "bad" if word.lower() in BAD_WORDS else word


@dataclass(frozen=True)
class Sample:
    """One image of a data set."""

    path: Path
    split: Split
    label: Label | None
    """None: nobody has said."""
    defect_type: str
    """``"good"``, a kind of defect as ``"crack"``, ``"bad"`` when unknown, ``""`` without label."""
    mask: Path | None = None
    """A file, or a folder of files whose marks count together."""


@dataclass(frozen=True)
class Dataset:
    """The samples found under one path, sorted by split, type and name."""

    root: Path
    """The folder or list that was given."""
    layout: str
    """In words: ``"MVTec AD"``, ``"VisA"``, ``"good/bad folders"``, ``"folder of good images"`` or ``"list"``."""
    samples: tuple[Sample, ...]
    remarks: tuple[Wording, ...] = ()
    """What was left out or looks odd."""
    divided: bool = False
    """Whether a seed, not the data, says which of the good images are for testing."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks in English, one line each."""
        return tuple(map(str, self.remarks))

    @property
    def product(self) -> str:
        """The thing inspected: the name of the folder, or of the list without its suffix."""
        root = self.root.resolve()
        return root.stem if self.layout == "list" else root.name

    def train_good(self) -> tuple[Sample, ...]:
        """What a detector may be fitted on: good samples of the train split."""
        return tuple(s for s in self.samples if s.split == "train" and s.label == "good")

    def kept_for_fitting(self) -> int:
        """Good images that nobody has put into the train split: they are not judged, the others of them are."""
        return len(self.train_good()) if self.divided else 0

    def calibration(self) -> tuple[Sample, ...]:
        """Samples of the calibration split."""
        return tuple(s for s in self.samples if s.split == "calibration")

    def test(self) -> tuple[Sample, ...]:
        """Samples of the test split."""
        return tuple(s for s in self.samples if s.split == "test")

    def counts(self) -> dict[str, dict[str, int]]:
        """Images by split and kind of defect; those without label are ``"unlabelled"``."""
        found: dict[str, dict[str, int]] = {}
        for sample in self.samples:
            kinds = found.setdefault(sample.split, {})
            kind = sample.defect_type or "unlabelled"
            kinds[kind] = kinds.get(kind, 0) + 1
        return found

    def summary(self, *, windowed: bool = False, channelled: bool = False) -> DatasetSummary:
        """Count what was found; reads the header of every image, but decodes none. ``windowed``: images are seen
        through a window, so that nothing need be said of 16 bits; ``channelled``: their channels were chosen, so that
        nothing need be said of pages.
        """
        from kizu.datasets._summary import summarise

        return summarise(self, windowed=windowed, channelled=channelled)
